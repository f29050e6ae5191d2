-- Starting the server again when it ended by itself: soon at first, then later and later, then not at all.
local lsp = require('kruk.lsp')
local M = {}

--- Seconds before each new start.
M.delays_s = { 1, 2, 5, 15, 30 }

local STEADY_S = 60 -- after so long a life, an end is the first one again
local TERMINATED = 15 -- the signal of whoever stops it on purpose, Neovim for example

local n_ends = 0
local started ---@type integer? when, in milliseconds
local timer ---@type uv.uv_timer_t?
local is_asked = false

local function say(text, level)
  vim.notify('Kruk: ' .. text, vim.log.levels[level])
end

--- The server has answered `initialize`.
function M.on_start()
  started, is_asked = vim.uv.now(), false
  if n_ends > 0 then
    say('the server runs again', 'INFO')
  end
end

--- The next end is wanted.
function M.expect()
  is_asked, n_ends = true, 0
  if timer then
    timer:stop()
    timer = nil
  end
end

--- Whether the server is about to be started again.
---@return boolean
function M.is_waiting()
  return timer ~= nil
end

--- The server has ended.
---@param code integer
---@param signal integer
function M.on_exit(code, signal)
  local is_wanted = is_asked or (code == 0 and signal == 0) or signal == TERMINATED or not lsp.is_enabled()
  if is_wanted or vim.v.exiting ~= vim.NIL then
    return
  end
  if started and vim.uv.now() - started > STEADY_S * 1000 then
    n_ends = 0
  end
  started, n_ends = nil, n_ends + 1
  local why = signal ~= 0 and 'signal ' .. signal or 'exit code ' .. code
  local delay = M.delays_s[n_ends]
  if not delay then
    n_ends = 0
    return say(('the server ended again (%s) and stays off; see `:Kruk log`, then `:Kruk restart`'):format(why), 'ERROR')
  end
  say(('the server ended by itself (%s); it is started again in %d s'):format(why, delay), 'WARN')
  timer = vim.defer_fn(function()
    timer = nil
    lsp.enable(false)
    lsp.enable(true)
  end, delay * 1000)
end

return M
