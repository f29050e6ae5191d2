-- The LSP client, and what it lacks in Neovim 0.10: `vim.lsp.config` and `vim.lsp.enable`; clients with methods.
local M = {}

local is_old = not vim.lsp.config
local is_on = false
local read ---@type table?

--- The configuration in lsp/kruk.lua, with what users have changed of it.
---@return table
function M.config()
  if not is_old then
    return vim.lsp.config.kruk
  end
  read = read or dofile(vim.api.nvim_get_runtime_file('lsp/kruk.lua', false)[1])
  return read
end

--- Have lsp/kruk.lua read again.
function M.forget()
  read = nil
  if not is_old then
    vim.lsp.config('kruk', {})
  end
end

--- What tells the server, as it asked, that its suggestion was taken.
---@param client vim.lsp.Client
---@param command table
---@return fun()
function M.on_taken(client, command)
  return function()
    M.request(client, 'workspace/executeCommand', command, function() end)
  end
end

--- Call a method of a client.
---@param client vim.lsp.Client
---@param name string
function M.call(client, name, ...)
  if is_old then
    return client[name](...)
  end
  return client[name](client, ...)
end

local function attach(bufnr)
  local config = vim.deepcopy(M.config())
  config.name = 'kruk'
  config.root_dir(bufnr, function(root)
    config.root_dir = root
    vim.lsp.start(config, { bufnr = bufnr, reuse_client = config.reuse_client })
  end)
end

--- Whether the server is started for files that are opened.
---@return boolean
function M.is_enabled()
  if vim.lsp.is_enabled then -- not in all of 0.11
    return vim.lsp.is_enabled('kruk')
  end
  return is_on
end

--- Serve all files that are open or will be; or none, which stops the server.
---@param enable boolean
function M.enable(enable)
  is_on = enable
  if not is_old then
    return vim.lsp.enable('kruk', enable)
  end
  local group = vim.api.nvim_create_augroup('kruk.start', {})
  if not enable then
    return vim.lsp.stop_client(vim.lsp.get_clients({ name = 'kruk' }))
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event)
      attach(event.buf)
    end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) and vim.bo[bufnr].filetype ~= '' then
      attach(bufnr)
    end
  end
end

--- The client that serves a buffer (0: the current one); without a buffer, any.
---@param bufnr? integer
---@return vim.lsp.Client?
function M.client(bufnr)
  return vim.lsp.get_clients({ name = 'kruk', bufnr = bufnr })[1]
end

--- Send a request; what is not told yet of the buffer goes first.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param done fun(err?: lsp.ResponseError, result?: any)
---@param bufnr? integer
function M.request(client, method, params, done, bufnr)
  M.call(client, 'request', method, params, done, bufnr or vim.api.nvim_get_current_buf())
end

--- Have the server run one of its commands.
---@param client vim.lsp.Client
---@param command string
---@param argument any
---@param done fun(err?: lsp.ResponseError, result?: any)
function M.execute(client, command, argument, done)
  M.request(client, 'workspace/executeCommand', { command = command, arguments = { argument } }, done)
end

--- Take the CR out of suggestions in files with CRLF: Neovim would show it, and insert it into its lines.
---@param client vim.lsp.Client
function M.without_cr(client)
  local request = client.rpc.request
  client.rpc.request = function(method, params, answer, ...)
    local function clean(err, result, ...)
      for _, item in ipairs(type(result) == 'table' and result.items or {}) do
        item.insertText = item.insertText:gsub('\r\n', '\n')
      end
      return answer(err, result, ...)
    end
    return request(method, params, method == 'textDocument/inlineCompletion' and clean or answer, ...)
  end
end

--- Cancel the requests of a method that are under way, in one buffer or in all.
---@param client vim.lsp.Client
---@param method string
---@param bufnr? integer
---@return integer how many
function M.cancel(client, method, bufnr)
  local n = 0
  for id, request in pairs(client.requests) do
    if request.type == 'pending' and request.method == method and (not bufnr or request.bufnr == bufnr) then
      M.call(client, 'cancel_request', id)
      n = n + 1
    end
  end
  return n
end

return M
