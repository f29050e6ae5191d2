-- The server as Neovim sees it. Change any of it with `vim.lsp.config('kruk', { ... })`.

local config = require('kruk').config()
local lsp = require('kruk.lsp')

local function add_workspace_folder(client, bufnr)
  local root = vim.fs.root(bufnr, lsp.config().root_markers or {})
  local folders = client.workspace_folders or {}
  local folder = root and { uri = vim.uri_from_fname(root), name = root }
  local known = vim.iter(folders):any(function(other)
    return folder and other.uri == folder.uri
  end)
  if folder and not known and lsp.call(client, 'supports_method', 'workspace/didChangeWorkspaceFolders') then
    client.workspace_folders = vim.list_extend(folders, { folder })
    lsp.call(client, 'notify', 'workspace/didChangeWorkspaceFolders', { event = { added = { folder }, removed = {} } })
  end
end

-- Before Neovim 0.12 the ghost text is ours: the server need not offer its suggestions as completion items.
local ours = { textDocument = { inlineCompletion = { dynamicRegistration = false } } }
local capabilities = vim.lsp.protocol.make_client_capabilities()
if not vim.lsp.inline_completion then
  capabilities = vim.tbl_deep_extend('force', capabilities, ours)
end

---@type vim.lsp.Config
return {
  cmd = config.cmd,
  root_markers = { '.git', '.hg', '.jj', 'pyproject.toml', 'package.json', 'Cargo.toml', 'go.mod' },
  settings = { kruk = config.settings },
  exit_timeout = 2000,
  capabilities = capabilities,

  -- Called for every buffer with a filetype; where `on_dir` is not called, Kruk does not start.
  root_dir = function(bufnr, on_dir)
    if not require('kruk').refusal(bufnr) then
      on_dir(vim.fs.root(bufnr, lsp.config().root_markers or {}))
    end
  end,

  -- One server, hence one model in memory, for all projects of this Neovim.
  reuse_client = function(client, wanted)
    return client.name == wanted.name and not lsp.call(client, 'is_stopped')
  end,

  -- The settings travel with `initialize` too, so that the right model is the first one loaded.
  before_init = function(params, wanted)
    params.initializationOptions = vim.tbl_get(wanted, 'settings', 'kruk') or vim.empty_dict()
  end,
  on_init = function(client)
    lsp.without_cr(client)
    require('kruk.restart').on_start()
    require('kruk.status').ask(client)
  end,
  on_attach = add_workspace_folder,
  on_exit = vim.schedule_wrap(function(code, signal, client_id)
    require('kruk.chat').forget()
    require('kruk.restart').on_exit(code, signal)
    require('kruk.status').update(client_id, nil)
  end),
  handlers = {
    ['kruk/didChangeStatus'] = function(_, status, ctx)
      require('kruk.status').update(ctx.client_id, status)
    end,
    ['window/showDocument'] = function(...)
      return require('kruk.chat').on_show(...)
    end,
  },
}
