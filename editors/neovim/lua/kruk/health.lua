-- `:checkhealth kruk`.
local kruk = require('kruk')
local lsp = require('kruk.lsp')
local health = vim.health
local M = {}

local function check_executable(cmd)
  if vim.fn.executable(cmd[1]) == 0 then
    return health.error(('`%s` is not an executable'):format(cmd[1]), {
      'Install Kruk: `pipx install kruk` or `uv tool install kruk`, then open a new shell',
      "Or say where it is: vim.g.kruk = { cmd = { '/path/to/kruk', 'serve' } }",
    })
  end
  local path, version = vim.fn.exepath(cmd[1]), kruk.program('--version')
  if not version then
    return health.ok(path)
  end
  local result = vim.system(version, { text = true }):wait(15000)
  if result.code == 0 then
    health.ok(('%s: %s'):format(path, vim.trim(result.stdout)))
  else
    local failure = ('`%s` failed: %s'):format(table.concat(version, ' '), vim.trim(result.stderr))
    health.error(failure, { '`kruk doctor` in a shell says more' })
  end
end

local function check_client(client)
  local names = {}
  for bufnr in vim.spairs(client.attached_buffers) do
    local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(bufnr), ':~:.')
    table.insert(names, kruk.is_enabled(bufnr) and name or name .. ' (off: `:Kruk toggle`)')
  end
  health.ok(('Client %d shows suggestions in %s'):format(client.id, table.concat(names, ', ')))
  local answer = lsp.call(client, 'request_sync', 'kruk/status', vim.empty_dict(), 3000, vim.api.nvim_get_current_buf())
  if not answer or type(answer.result) ~= 'table' then
    local err = answer and answer.err and answer.err.message
    return health.error('No answer to kruk/status: ' .. (err or 'not within 3 seconds'))
  end
  local status = require('kruk.status').update(client.id, answer.result)
  local report = ({ error = health.error, off = health.warn })[status.state] or health.ok
  local message = status.message ~= '' and ': ' .. status.message or ''
  report(('Model: %s%s'):format(require('kruk.status').words(status), message))
end

local function check_tab()
  local owner = kruk.tab_owner()
  if owner and kruk.config().tab then
    health.warn(('<Tab> is mapped in Insert mode (%s), so `tab = true` left it alone'):format(owner), {
      'Call require("kruk").accept() first in that mapping, or map another key; see |kruk-mappings|',
    })
  elseif vim.fn.maparg('<Tab>', 'i', false, true).callback == kruk.tab then
    health.ok('<Tab> accepts a suggestion')
  elseif vim.fn.hasmapto('<Plug>(kruk-accept)', 'i') == 0 then
    health.info('No key is mapped to <Plug>(kruk-accept); see |kruk-mappings|')
  end
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    for _, map in ipairs(vim.api.nvim_buf_get_keymap(bufnr, 'i')) do
      if map.lhs == '<Tab>' then
        health.warn(('Buffer %d has a <Tab> of its own: %s'):format(bufnr, map.desc or map.rhs or 'Lua'))
      end
    end
  end
end

function M.check()
  health.start('kruk: editor')
  if vim.fn.has('nvim-0.10') == 0 then
    return health.error('Neovim 0.10 or newer is needed, this is ' .. tostring(vim.version()))
  end
  local by = vim.lsp.inline_completion and 'its own inline completion' or "Kruk's ghost text, for want of its own"
  health.ok(('Neovim %s shows suggestions by %s'):format(tostring(vim.version()), by))
  for _, problem in ipairs(select(2, kruk.config())) do
    health.warn('Configuration: ' .. problem)
  end
  check_tab()

  health.start('kruk: server')
  local cmd = lsp.config().cmd
  if type(cmd) == 'table' then
    check_executable(cmd)
  end
  if not lsp.is_enabled() then
    health.warn('The server is not started by itself', { '`:Kruk restart` starts it' })
  end
  local clients = vim.lsp.get_clients({ name = 'kruk' })
  vim.iter(clients):each(check_client)
  if require('kruk.restart').is_waiting() then
    health.warn('The server ended by itself and is about to be started again', { '`:Kruk log` says why' })
  end
  if #clients == 0 then
    health.info('No buffer is served now: open a file that has a filetype')
  end
end

return M
