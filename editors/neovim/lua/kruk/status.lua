-- What the server said of itself last: `kruk/didChangeStatus`, or the answer to `kruk/status`.
local lsp = require('kruk.lsp')
local M = {}

---@class kruk.Status
---@field state 'loading'|'ready'|'busy'|'off'|'error'
---@field message string
---@field model string
---@field percent? number
---@field tokensPerSecond? number

---@type table<integer, kruk.Status>
local of_client = {}

---@param client_id integer
---@param sent? table what the server sent, nil when it ended
---@return kruk.Status?
function M.update(client_id, sent)
  local status ---@type kruk.Status?
  if sent then
    status = { state = 'off', message = '', model = '' }
    for name, value in pairs(sent) do
      status[name] = value ~= vim.NIL and value or status[name]
    end
    vim.api.nvim_exec_autocmds('User', { pattern = 'KrukStatus', modeline = false, data = status })
  end
  of_client[client_id] = status
  vim.cmd.redrawstatus()
  return status
end

--- Ask the server, and remember its answer.
---@param client vim.lsp.Client
---@param done? fun(err?: lsp.ResponseError, status?: kruk.Status)
function M.ask(client, done)
  lsp.request(client, 'kruk/status', vim.empty_dict(), function(err, sent)
    local status = not err and M.update(client.id, sent) or nil
    if done then
      done(err, status)
    end
  end)
end

--- A status in words: `loading qwen2.5-coder-0.5b-instruct, 42%`, `ready qwen2.5-coder-0.5b-instruct, 31 tokens/s`.
---@param status kruk.Status
---@return string
function M.words(status)
  local words = vim.trim(status.state .. ' ' .. vim.fs.basename(status.model))
  if status.percent and status.state == 'loading' then
    words = ('%s, %d%%'):format(words, status.percent)
  elseif status.tokensPerSecond and status.state ~= 'error' then
    words = ('%s, %.0f tokens/s'):format(words, status.tokensPerSecond)
  end
  return words
end

--- Empty where Kruk does not serve the buffer.
---@return string
function M.component()
  local client = lsp.client(0)
  if not client then
    return require('kruk.restart').is_waiting() and 'Kruk: restarting' or ''
  elseif not require('kruk').is_enabled(0) then
    return 'Kruk: off'
  end
  local status = of_client[client.id]
  return 'Kruk: ' .. (status and M.words(status) or 'starting')
end

return M
