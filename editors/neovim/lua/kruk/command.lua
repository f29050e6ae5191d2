-- `:Kruk {sub}`.
local action = require('kruk.action')
local chat = require('kruk.chat')
local kruk = require('kruk')
local lsp = require('kruk.lsp')
local status = require('kruk.status')
local M = {}

local function say(text, level)
  vim.notify('Kruk: ' .. text, vim.log.levels[level or 'INFO'])
end

--- Call `with` with the client of this buffer or else any; say why when there is none.
---@param with fun(client: vim.lsp.Client)
local function with_client(with)
  local client = lsp.client(0) or lsp.client()
  if client then
    return with(client)
  end
  local ended = lsp.is_enabled() and 'no file is open, or the server ended; see `:Kruk log`'
  local refusal = kruk.refusal(0) or ended or '`:Kruk restart` starts it'
  say('not running: ' .. refusal, 'WARN')
end

--- A callback that shows an error, and passes a result on.
local function shown_or(with)
  return function(err, result)
    if err then
      say(err.message, 'ERROR')
    else
      with(result)
    end
  end
end

local function buffer_state(bufnr)
  if not lsp.client(bufnr) then
    return 'not served: ' .. (kruk.refusal(bufnr) or 'Kruk did not attach to it')
  end
  return kruk.is_enabled(bufnr) and 'suggestions on' or 'suggestions off (`:Kruk toggle`)'
end

--- One room of a trace: its milliseconds, its name, its counts.
local function room_line(room)
  local counts = {}
  for name, value in vim.spairs(room) do
    if name ~= 'room' and name ~= 'ms' and value ~= vim.NIL and type(value) ~= 'table' then
      local shown = type(value) == 'string' and value:find('%c') and vim.inspect(value) or tostring(value)
      table.insert(counts, name .. ' ' .. shown)
    end
  end
  local all = #counts > 0 and (' (%s)'):format(table.concat(counts, ', ')) or ''
  return ('  %8.1f ms  %s%s'):format(tonumber(room.ms) or 0, room.room, all)
end

--- The answer to `kruk/lastCompletion` in words.
local function explain(trace)
  if type(trace) ~= 'table' or vim.tbl_isempty(trace) then
    return 'nothing has been asked of the server yet'
  end
  local reason = type(trace.reason) == 'string' and trace.reason or 'the server gives no reason'
  local suggested = type(trace.text) == 'string' and trace.text ~= ''
  local lines = { suggested and 'suggested ' .. vim.inspect(trace.text) or 'no suggestion: ' .. reason }
  if type(trace.totalMs) == 'number' then
    table.insert(lines, ('  %8.1f ms  in all'):format(trace.totalMs))
  end
  vim.list_extend(lines, vim.tbl_map(room_line, type(trace.rooms) == 'table' and trace.rooms or {}))
  return table.concat(lines, '\n')
end

---@type table<string, fun(args: string[], opts: vim.api.keyset.create_user_command.command_args)>
local commands = {}

function commands.status()
  local bufnr = vim.api.nvim_get_current_buf()
  with_client(function(client)
    status.ask(client, shown_or(function(answer)
      local says = answer.state ~= 'ready' and answer.message ~= ''
      local message = says and '\n  ' .. answer.message or ''
      say(('%s%s\n  This buffer: %s'):format(status.words(answer), message, buffer_state(bufnr)))
    end))
  end)
end

function commands.why()
  local bufnr = vim.api.nvim_get_current_buf()
  with_client(function(client)
    lsp.request(client, 'kruk/lastCompletion', vim.empty_dict(), shown_or(function(trace)
      local served = lsp.client(bufnr) and kruk.is_enabled(bufnr)
      local here = served and '' or ('this buffer: %s\nThe last one: '):format(buffer_state(bufnr))
      say(here .. explain(trace))
    end))
  end)
end

function commands.toggle(args)
  local what, bufnr = args[1], vim.api.nvim_get_current_buf()
  local filetype = vim.bo[bufnr].filetype
  if what == 'filetype' and filetype == '' then
    return say('this buffer has no filetype', 'WARN')
  elseif what and what ~= 'buffer' and what ~= 'filetype' then
    return say(('`:Kruk toggle` is followed by nothing, `buffer` or `filetype`, not `%s`'):format(what), 'ERROR')
  end
  local on = kruk.toggle(what == 'buffer' and bufnr or what == 'filetype' and filetype or nil)
  local where = { buffer = ' in this buffer', filetype = ' in ' .. filetype .. ' files' }
  say(('suggestions %s%s'):format(on and 'on' or 'off', where[what] or ''))
end

function commands.restart()
  require('kruk.restart').expect()
  local old = vim.lsp.get_clients({ name = 'kruk', _uninitialized = true })
  lsp.enable(false) -- stops those that are initialized
  local function start()
    for _, client in ipairs(old) do
      if not client.initialized then
        lsp.call(client, 'stop')
      end
      if vim.lsp.get_client_by_id(client.id) then
        return vim.defer_fn(start, 50)
      end
    end
    lsp.forget()
    lsp.enable(true)
  end
  start()
end

--- Have the server run a command; what comes of it, it shows itself.
local function execute(client, name, argument)
  lsp.execute(client, name, argument, shown_or(function() end))
end

function commands.model(args)
  with_client(function(client)
    local function use(id)
      execute(client, 'kruk.useModel', id)
    end
    if #args > 0 then
      return use(table.concat(args, ' '))
    end
    require('kruk.models').choose(use, say)
  end)
end

function commands.pull(args)
  require('kruk.models').pull(args[1], say)
end

for _, name in ipairs(action.names) do
  commands[name] = function(args, opts)
    with_client(function(client)
      local function run(instruction)
        if instruction then
          chat.prepare(opts)
          execute(client, 'kruk.' .. name, action.argument(client, opts, name, instruction))
        end
      end
      local given = table.concat(args, ' ')
      if name == 'edit' and given == '' then
        return vim.ui.input({ prompt = 'Change it how? ' }, run)
      end
      run(given)
    end)
  end
end

local function fail(message)
  say(message, 'ERROR')
end

function commands.chat(args, opts)
  with_client(function(client)
    chat.prepare(opts)
    local place = opts.range > 0 and action.place(client, opts) or vim.empty_dict()
    chat.new(client, place, table.concat(args, ' '), fail)
  end)
end

function commands.chats()
  chat.choose(say)
end

function commands.send()
  if vim.bo.filetype ~= 'markdown' then
    return say('this is no chat; `:Kruk chat` begins one', 'WARN')
  end
  with_client(function(client)
    chat.send(client, vim.api.nvim_get_current_buf(), fail)
  end)
end

function commands.apply()
  with_client(function(client)
    chat.apply(client, say)
  end)
end

function commands.insert()
  chat.insert(say)
end

function commands.cancel()
  with_client(function(client)
    if lsp.cancel(client, 'workspace/executeCommand') == 0 then
      say('nothing is being written')
    end
  end)
end

function commands.log()
  vim.cmd('tab sview +$ ' .. vim.fn.fnameescape(vim.lsp.log.get_filename()))
end

---@param args string[]
---@param opts vim.api.keyset.create_user_command.command_args
function M.run(args, opts)
  local name = args[1] or 'status'
  if commands[name] then
    return commands[name](vim.list_slice(args, 2), opts)
  end
  say(('there is no `:Kruk %s`; there are %s'):format(name, table.concat(M.complete('', 'Kruk'), ', ')), 'ERROR')
end

--- What may stand behind a subcommand.
---@type table<string, fun(lead: string): string[]>
local arguments = {
  toggle = function()
    return { 'buffer', 'filetype' }
  end,
  model = function(lead)
    local ids = {}
    for _, model in ipairs(require('kruk.models').list()) do
      table.insert(ids, model.installed and model.id or nil)
    end
    return vim.list_extend(ids, vim.fn.getcompletion(lead, 'file'))
  end,
  pull = function()
    return vim.tbl_map(function(model)
      return model.id
    end, require('kruk.models').list())
  end,
}

--- The names that may stand where `lead` stands in `line`.
function M.complete(lead, line)
  local words = vim.split(vim.trim(line:sub(line:find('Kruk') or 1, #line - #lead)), '%s+')
  local names = not words[2] and vim.fn.sort(vim.tbl_keys(commands))
    or not words[3] and arguments[words[2]] and arguments[words[2]](lead)
    or {}
  return vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names)
end

return M
