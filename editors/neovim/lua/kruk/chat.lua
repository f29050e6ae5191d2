-- Chats and explanations: Markdown documents that the server fills, each in a split, each knowing the code it is about.
local lsp = require('kruk.lsp')
local M = {}

local WIDE = 140 -- columns from which on a split is beside the code

---@class kruk.Origin
---@field bufnr integer the buffer that the document was opened from
---@field first? integer extmarks around the lines that were given as a range
---@field last? integer

local namespace = vim.api.nvim_create_namespace('kruk.chat')
local origins = {} ---@type table<integer, kruk.Origin> by the document's buffer
local answering = {} ---@type table<integer, boolean>

--- What the next document that the server shows is opened with: modifiers such as `:vertical`, and the lines it is about.
local wanted = {} ---@type { mods?: table, range?: { first: integer, last: integer } }

---@param opts vim.api.keyset.create_user_command.command_args
function M.prepare(opts)
  wanted = { mods = opts.smods, range = opts.range > 0 and { first = opts.line1, last = opts.line2 } or nil }
end

local function kind_of(name)
  name = name:gsub('\\', '/')
  return name:find('/answers/explanation%-[%d-]+%.md$') and 'explanation'
    or name:find('/chats/%d%d%d%d%-[%d%- ]+%.md$') and 'chat'
    or nil
end

--- Whether a buffer is a chat or an explanation.
---@param bufnr integer
function M.is_one(bufnr)
  return kind_of(vim.api.nvim_buf_get_name(bufnr)) ~= nil
end

local function origin_here(range)
  local bufnr = vim.api.nvim_get_current_buf()
  if M.is_one(bufnr) then
    return origins[bufnr]
  end
  local origin = { bufnr = bufnr } ---@type kruk.Origin
  if range then
    origin.first = vim.api.nvim_buf_set_extmark(bufnr, namespace, range.first - 1, 0, {})
    origin.last = vim.api.nvim_buf_set_extmark(bufnr, namespace, range.last - 1, 0, {})
  end
  return origin
end

--- A window at the end of the text goes with it while an answer comes.
local function follow(bufnr)
  vim.api.nvim_buf_attach(bufnr, false, {
    on_lines = function(_, _, _, _, last)
      for _, win in ipairs(answering[bufnr] and vim.fn.win_findbuf(bufnr) or {}) do
        if vim.api.nvim_win_get_cursor(win)[1] >= last then
          vim.schedule(function()
            if vim.api.nvim_win_is_valid(win) and vim.api.nvim_win_get_buf(win) == bufnr then
              vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(bufnr), 0 })
            end
          end)
        end
      end
    end,
  })
end

local function load(name, kind)
  local bufnr = vim.fn.bufadd(name)
  if not vim.api.nvim_buf_is_loaded(bufnr) then
    if kind == 'explanation' then
      vim.cmd(('noautocmd call bufload(%d)'):format(bufnr))
      vim.bo[bufnr].buftype = 'nofile' -- before its filetype: nothing is suggested in it, nothing asks to save it
      vim.bo[bufnr].swapfile = false
    else
      vim.fn.bufload(bufnr)
    end
    vim.bo[bufnr].buflisted = true
    vim.bo[bufnr].filetype = 'markdown'
    follow(bufnr)
  end
  return bufnr
end

--- Show a chat or an explanation in a split, or where it is shown already.
---@param name string
---@param takes_focus? boolean
function M.show(name, takes_focus)
  local kind, mods, range = kind_of(name), wanted.mods or {}, wanted.range
  local before, origin = vim.api.nvim_get_current_win(), origin_here(range)
  wanted = {}
  local bufnr = load(name, kind)
  origins[bufnr] = origins[bufnr] or origin
  local win = vim.fn.win_findbuf(bufnr)[1]
  if win then
    vim.api.nvim_set_current_win(win)
  else
    local is_placed = (mods.tab or -1) >= 0 or mods.vertical or (mods.split or '') ~= ''
    mods.vertical = mods.vertical or (not is_placed and vim.o.columns >= WIDE) or nil
    vim.cmd({ cmd = 'sbuffer', args = { tostring(bufnr) }, mods = mods })
    vim.wo.wrap, vim.wo.linebreak = true, true
  end
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(bufnr), 0 })
  if not takes_focus then
    vim.api.nvim_set_current_win(before)
  end
  local event = { pattern = 'KrukChat', modeline = false, data = { buf = bufnr, kind = kind } }
  vim.api.nvim_exec_autocmds('User', event)
  return bufnr
end

--- The handler of `window/showDocument`.
function M.on_show(err, params, ctx)
  local is_file = params and not params.external and vim.startswith(params.uri, 'file:')
  local name = is_file and vim.uri_to_fname(params.uri) or ''
  if not kind_of(name) then
    return vim.lsp.handlers['window/showDocument'](err, params, ctx)
  end
  M.show(name, params.takeFocus)
  return { success = true }
end

--- Make a new chat; with words, ask them at once.
---@param client vim.lsp.Client
---@param place table
---@param words string
---@param fail fun(message: string)
function M.new(client, place, words, fail)
  lsp.execute(client, 'kruk.newChat', place, function(err, result)
    if err then
      return fail(err.message)
    end
    if words == '' then
      return
    end
    local bufnr, n_looks = vim.uri_to_bufnr(result.uri), 0
    local last = vim.api.nvim_buf_get_lines(bufnr, -2, -1, false)[1] or ''
    vim.api.nvim_buf_set_lines(bufnr, -2, -1, false, { last .. words })
    local function send() -- once the server serves the new buffer
      n_looks = n_looks + 1
      if lsp.client(bufnr) then
        M.send(client, bufnr, fail)
      elseif n_looks < 100 then
        vim.defer_fn(send, 20)
      end
    end
    send()
  end)
end

--- Have the last question of a chat answered below it.
---@param client vim.lsp.Client
---@param bufnr integer
---@param fail fun(message: string)
function M.send(client, bufnr, fail)
  answering[bufnr] = true
  for _, win in ipairs(vim.fn.win_findbuf(bufnr)) do
    vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(bufnr), 0 })
  end
  local params = { command = 'kruk.chat', arguments = { { uri = vim.uri_from_bufnr(bufnr) } } }
  lsp.request(client, 'workspace/executeCommand', params, function(err)
    answering[bufnr] = nil
    if vim.api.nvim_buf_is_valid(bufnr) and kind_of(vim.api.nvim_buf_get_name(bufnr)) then
      vim.api.nvim_buf_call(bufnr, function()
        vim.cmd('silent! lockmarks update') -- a conversation is kept
      end)
    end
    if err then
      fail(err.message)
    end
  end, bufnr)
end

--- The server has ended: nothing is being answered.
function M.forget()
  answering = {}
end

--- The lines of the code block at a row, else of the last one above it, else of the first one below.
---@param lines string[]
---@param row integer from 1
---@return string[]?
function M.code_block(lines, row)
  local fence, begin, above ---@type string?, integer?, string[]?
  for i, line in ipairs(lines) do
    local mark = line:match('^%s*(```+)') or line:match('^%s*(~~~+)')
    if not fence and mark then
      fence, begin = mark, i
    elseif fence and mark and vim.startswith(mark, fence) and not line:find('[^%s`~]') then
      local block = vim.list_slice(lines, begin + 1, i - 1)
      if i >= row then
        return row < begin and above or block
      end
      fence, above = nil, block
    end
  end
  return above
end

--- The code block at the cursor, and the file that it is for; or what is missing.
---@return string[]? code
---@return kruk.Origin|string
local function code_for()
  local bufnr, row = vim.api.nvim_get_current_buf(), vim.api.nvim_win_get_cursor(0)[1]
  if not M.is_one(bufnr) then
    return nil, 'this is no chat: put the cursor on a code block of one'
  end
  local code = M.code_block(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), row)
  if not code then
    return nil, 'there is no code block here'
  end
  local origin = origins[bufnr]
  if not origin then -- opened by hand: the window that was left for it
    local other = vim.fn.winbufnr(vim.fn.winnr('#'))
    origin = other > 0 and other ~= bufnr and { bufnr = other } or nil
  end
  if not origin or not vim.api.nvim_buf_is_loaded(origin.bufnr) or M.is_one(origin.bufnr) then
    return nil, 'open the file that the code is for beside this chat'
  end
  return code, origin
end

--- Where the user is in a chat's file: the lines it is about, else the one with the cursor as an empty range.
---@param origin kruk.Origin
---@return integer first from 0
---@return integer last one behind
local function place_of(origin)
  local bufnr = origin.bufnr
  if origin.first then
    local first = vim.api.nvim_buf_get_extmark_by_id(bufnr, namespace, origin.first, {})[1]
    return first, vim.api.nvim_buf_get_extmark_by_id(bufnr, namespace, origin.last, {})[1] + 1
  end
  local win = vim.fn.win_findbuf(bufnr)[1]
  local row = (win and vim.api.nvim_win_get_cursor(win) or vim.api.nvim_buf_get_mark(bufnr, '"'))[1]
  return math.max(row - 1, 0), math.max(row - 1, 0)
end

--- Let the server put a chat's code where it belongs in the chat's file: in place of the lines the chat is about, or of
--- the definitions that the code defines anew, else at the cursor there.
---@param client vim.lsp.Client
---@param say fun(text: string, level?: string)
function M.apply(client, say)
  local code, origin = code_for()
  if not code or type(origin) == 'string' then
    return say(origin, 'WARN')
  end
  local first, last = place_of(origin)
  local range = { start = { line = first, character = 0 }, ['end'] = { line = last, character = 0 } }
  local argument = { uri = vim.uri_from_bufnr(origin.bufnr), range = range, code = table.concat(code, '\n') }
  local params = { command = 'kruk.apply', arguments = { argument } }
  lsp.request(client, 'workspace/executeCommand', params, function(err, result)
    if err then
      return say(err.message, 'ERROR')
    end
    origin.first = nil -- those lines are not there any more
    if result.leftOut > 0 then
      say(('applied; %d lines of it have no place there'):format(result.leftOut))
    end
  end, origin.bufnr)
end

--- Insert a chat's code below the cursor in the chat's file.
---@param say fun(text: string, level?: string)
function M.insert(say)
  local code, origin = code_for()
  if not code or type(origin) == 'string' then
    return say(origin, 'WARN')
  end
  local row = place_of({ bufnr = origin.bufnr })
  vim.api.nvim_buf_set_lines(origin.bufnr, row + 1, row + 1, false, code)
end

--- The chats that are open, then those of earlier sessions that Neovim remembers.
---@return string[]
function M.names()
  local names, seen = {}, {}
  local function add(name)
    if kind_of(name) == 'chat' and not seen[name] and vim.fn.filereadable(name) == 1 then
      seen[name] = true
      table.insert(names, name)
    end
  end
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    add(vim.api.nvim_buf_get_name(bufnr))
  end
  vim.iter(vim.v.oldfiles):each(function(name)
    add(vim.fn.fnamemodify(name, ':p'))
  end)
  return names
end

--- The first question of a chat, to know it by.
---@param name string
---@return string
function M.title(name)
  local is_yours = false
  for _, line in ipairs(vim.fn.readfile(name, '', 200)) do
    is_yours = is_yours or line == '## You'
    if is_yours and line ~= '' and line ~= '## You' then
      return line
    end
  end
  return '(no question yet)'
end

--- Choose one of the chats there are.
function M.choose(say)
  local names = M.names()
  if #names == 0 then
    return say('there is no chat yet; `:Kruk chat` begins one')
  end
  local function format(name)
    return ('%s  %s'):format(vim.fn.fnamemodify(name, ':t:r'), M.title(name))
  end
  vim.ui.select(names, { prompt = 'Chat', format_item = format }, function(name)
    if name then
      M.show(name, true)
    end
  end)
end

return M
