-- `:Kruk {sub}`.
local action = require('kruk.action')
local kruk = require('kruk')
local status = require('kruk.status')
local M = {}

local function say(text, level)
  vim.notify('Kruk: ' .. text, vim.log.levels[level or 'INFO'])
end

--- Call `with` with the client of this buffer or else any; say why when there is none.
---@param with fun(client: vim.lsp.Client)
local function with_client(with)
  local client = kruk.client(0) or vim.lsp.get_clients({ name = 'kruk' })[1]
  if client then
    return with(client)
  end
  local ended = vim.lsp.is_enabled('kruk') and 'no file is open, or the server ended; see `:Kruk log`'
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
  if not kruk.client(bufnr) then
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
    client:request('kruk/lastCompletion', vim.empty_dict(), shown_or(function(trace)
      local served = kruk.client(bufnr) and kruk.is_enabled(bufnr)
      local here = served and '' or ('this buffer: %s\nThe last one: '):format(buffer_state(bufnr))
      say(here .. explain(trace))
    end))
  end)
end

function commands.toggle(args)
  local bufnr = args[1] == 'buffer' and vim.api.nvim_get_current_buf() or nil
  local on = kruk.toggle(bufnr)
  say(('suggestions %s%s'):format(on and 'on' or 'off', bufnr and ' in this buffer' or ''))
end

function commands.restart()
  local old = vim.lsp.get_clients({ name = 'kruk', _uninitialized = true })
  vim.lsp.enable('kruk', false) -- stops those that are initialized
  local function start()
    for _, client in ipairs(old) do
      if not client.initialized then
        client:stop()
      end
      if vim.lsp.get_client_by_id(client.id) then
        return vim.defer_fn(start, 50)
      end
    end
    vim.lsp.enable('kruk') -- reads the configuration again
  end
  start()
end

function commands.model(args)
  with_client(function(client)
    local id = table.concat(args, ' ')
    if id == '' then
      return say('which model? An id from `kruk models list`, or the path of a GGUF file', 'ERROR')
    end
    local command = { title = 'Use model', command = 'kruk.useModel', arguments = { id } }
    client:exec_cmd(command, nil, shown_or(function() end))
  end)
end

--- Have the server run a command; what comes of it, it shows itself.
local function execute(client, name, argument)
  local context = { bufnr = vim.api.nvim_get_current_buf() } -- what is not told yet of this buffer goes first
  client:exec_cmd({ title = name, command = name, arguments = { argument } }, context, shown_or(function() end))
end

for _, name in ipairs(action.names) do
  commands[name] = function(args, opts)
    with_client(function(client)
      local function run(instruction)
        if instruction then
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

function commands.chat(_, opts)
  with_client(function(client)
    execute(client, 'kruk.newChat', opts.range > 0 and action.place(client, opts) or vim.empty_dict())
  end)
end

function commands.send(_, opts)
  with_client(function(client)
    execute(client, 'kruk.chat', action.place(client, opts))
  end)
end

function commands.cancel()
  with_client(function(client)
    for id, request in pairs(client.requests) do
      if request.type == 'pending' and request.method == 'workspace/executeCommand' then
        client:cancel_request(id)
      end
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

--- The names that may stand where `lead` stands in `line`.
function M.complete(lead, line)
  local words = vim.split(vim.trim(line:sub(1, #line - #lead)), '%s+')
  if words[2] == 'model' then
    return vim.fn.getcompletion(lead, 'file')
  end
  local names = words[2] == 'toggle' and { 'buffer' } or not words[2] and vim.tbl_keys(commands) or {}
  return vim.fn.sort(vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names))
end

return M
