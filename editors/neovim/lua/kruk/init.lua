local lsp = require('kruk.lsp')
local suggestion = require('kruk.suggestion')
local M = {}

---@class kruk.Config
---@field cmd? string[] Command line of the server
---@field settings? kruk.Settings Settings of the server, without the section name `kruk`
---@field autostart? boolean Start the server by itself; if not, `:Kruk restart` starts it
---@field enabled? boolean Show suggestions; if not, `:Kruk toggle` turns them on
---@field tab? boolean Map <Tab> in Insert mode, unless it is mapped already
---@field max_bytes? integer Larger buffers are left alone

---@type kruk.Config
local defaults = {
  cmd = { 'kruk', 'serve' },
  settings = {},
  autostart = true,
  enabled = true,
  tab = false,
  max_bytes = 2 * 1024 * 1024,
}

---@type kruk.Config
local overrides = {}

-- What `:Kruk toggle` chose: for all buffers, and for some filetypes; nil before that.
local shown ---@type boolean?
local shown_in = {} ---@type table<string, boolean>

local function check(name, value)
  local kind = type(defaults[name])
  if kind == 'nil' then
    error(('unknown option %q; see |kruk-configuration|'):format(name), 0)
  elseif name == 'cmd' and not (vim.islist(value) and type(value[1]) == 'string') then
    error(('cmd: expected a list such as { "kruk", "serve" }, got %s'):format(type(value)), 0)
  elseif type(value) ~= kind then
    error(('%s: expected %s, got %s'):format(name, kind, type(value)), 0)
  end
end

--- The defaults, above them what |kruk.setup()| was given, above that `vim.g.kruk`.
--- A wrong value is left out and described in the second result.
---@return kruk.Config
---@return string[] problems
function M.config()
  local config, problems = vim.deepcopy(defaults), {}
  for _, layer in ipairs({ overrides, vim.g.kruk or {} }) do
    for name, value in pairs(layer) do
      local ok, problem = pcall(check, name, value)
      if ok then
        config[name] = value
      else
        table.insert(problems, problem)
      end
    end
  end
  if vim.tbl_isempty(config.settings) then
    config.settings = vim.empty_dict() -- an object in JSON, not a list
  end
  return config, problems
end

--- Override defaults. Calling it is not necessary; `vim.g.kruk` wins over it.
---@param opts? kruk.Config
function M.setup(opts)
  overrides = opts or {}
  if vim.g.loaded_kruk then
    M.apply()
  end
end

--- Do what the configuration says: enable the server, map <Tab>.
function M.apply()
  local config, problems = M.config()
  if #problems > 0 then
    vim.notify('Kruk: ' .. table.concat(problems, '\nKruk: '), vim.log.levels.WARN)
  end
  lsp.forget()
  if config.autostart then
    lsp.enable(true)
  end
  if config.tab and not M.tab_owner() then
    vim.keymap.set('i', '<Tab>', M.tab, { expr = true, desc = 'Kruk: accept the suggestion, or <Tab>' })
  end
end

--- The command line of another of Kruk's programs: `kruk models list` is `M.program('models', 'list')`.
---@return string[]? command nil when `cmd` does not say how
function M.program(...)
  local cmd = lsp.config().cmd
  local serve = type(cmd) == 'table' and vim.fn.index(cmd, 'serve') or -1
  return serve > 0 and vim.list_extend(vim.list_slice(cmd, 1, serve), { ... }) or nil
end

--- Why Kruk does not serve a buffer, or nil when it may.
---@param bufnr integer
---@return string?
function M.refusal(bufnr)
  local cmd, max_bytes = lsp.config().cmd, M.config().max_bytes
  local name = vim.api.nvim_buf_get_name(bufnr)
  if type(cmd) == 'table' and vim.fn.executable(cmd[1]) == 0 then
    return ('`%s` is not an executable: install Kruk, or set vim.g.kruk.cmd'):format(cmd[1])
  elseif vim.bo[bufnr].buftype ~= '' then
    return ('this is a %s buffer, not a file'):format(vim.bo[bufnr].buftype)
  elseif name == '' or name:find('^%a[%w+.-]*://') then
    return 'the buffer is not a file on disk'
  elseif vim.api.nvim_buf_get_offset(bufnr, vim.api.nvim_buf_line_count(bufnr)) > max_bytes then
    return ('the file is larger than %d bytes (vim.g.kruk.max_bytes)'):format(max_bytes)
  elseif vim.bo[bufnr].filetype == '' then
    return 'the buffer has no filetype'
  end
end

local function wants(bufnr)
  local in_filetype = shown_in[vim.bo[bufnr].filetype]
  return vim.F.if_nil(in_filetype, vim.F.if_nil(shown, M.config().enabled))
end

--- Whether suggestions are shown in a buffer (0: the current one).
---@param bufnr integer
---@return boolean
function M.is_enabled(bufnr)
  return suggestion.is_shown(bufnr)
end

--- Show suggestions in a buffer that Kruk begins to serve, unless they are off.
---@param bufnr integer
function M.attach(bufnr)
  if wants(bufnr) then
    suggestion.show(bufnr, true)
  end
end

--- Turn suggestions on or off: in one buffer, or in all that Kruk serves now and later, or in those of one filetype.
---@param where? integer|string buffer or filetype
---@return boolean enabled
function M.toggle(where)
  local bufnr = type(where) == 'number' and where or vim.api.nvim_get_current_buf()
  local enable = not wants(bufnr)
  if lsp.client(bufnr) then
    enable = not M.is_enabled(bufnr)
  end
  if type(where) == 'number' then
    suggestion.show(bufnr, enable)
  else
    if where then
      shown_in[where] = enable
    else
      shown, shown_in = enable, {}
    end
    for _, client in ipairs(vim.lsp.get_clients({ name = 'kruk' })) do
      for attached in pairs(client.attached_buffers) do
        if not where or vim.bo[attached].filetype == where then
          suggestion.show(attached, enable)
        end
      end
    end
  end
  vim.cmd.redrawstatus()
  return enable
end

--- Put the suggestion on the screen into the buffer, or its first word or line.
---@param part? 'word'|'line'
---@return boolean accepted false when there was none
function M.accept(part)
  return suggestion.accept(part)
end

--- What <Tab> does: accept, else jump in a snippet, else itself. For a mapping with `expr = true`.
---@return string keys
function M.tab()
  if M.accept() then
    return '<C-g>u' -- so that it can be undone by itself
  elseif vim.snippet.active({ direction = 1 }) then
    return '<Cmd>lua vim.snippet.jump(1)<CR>'
  end
  return '<Tab>'
end

--- Who maps <Tab> in Insert mode, when it is neither Neovim itself nor Kruk.
---@return string? description
function M.tab_owner()
  local map = vim.fn.maparg('<Tab>', 'i', false, true)
  if vim.tbl_isempty(map) or map.callback == M.tab or (map.desc or ''):find('^vim%.snippet') then
    return nil
  end
  return map.desc or map.rhs or 'a Lua function'
end

--- State and model of the server for this buffer, as a component of 'statusline'.
---@return string
function M.statusline()
  return require('kruk.status').component()
end

return M
