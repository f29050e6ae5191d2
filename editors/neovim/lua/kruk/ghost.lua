-- One suggestion, drawn at the cursor by us: all of it before Neovim 0.12, later what is left after a word or a line
-- of it was accepted.
local api = vim.api
local M = {}

---@class kruk.Ghost
---@field bufnr integer
---@field row integer where it begins, from 0
---@field col integer in bytes, from 0
---@field text string
---@field on_taken? fun() called when the last of it is in the buffer

local namespace = api.nvim_create_namespace('kruk.ghost')
local current ---@type kruk.Ghost?

if vim.fn.has('nvim-0.12') == 0 then
  api.nvim_set_hl(0, 'ComplHint', { link = 'NonText', default = true })
end

local function draw(ghost)
  local tab = (' '):rep(vim.bo[ghost.bufnr].tabstop)
  local lines = vim.split(ghost.text:gsub('\t', tab), '\n', { plain = true })
  local below = {}
  for i = 2, #lines do
    below[i - 1] = { { lines[i], 'ComplHint' } }
  end
  api.nvim_buf_set_extmark(ghost.bufnr, namespace, ghost.row, ghost.col, {
    virt_text = { { lines[1], 'ComplHint' } },
    virt_text_pos = 'inline',
    virt_lines = below,
    hl_mode = 'combine',
  })
end

function M.hide()
  if current and api.nvim_buf_is_valid(current.bufnr) then
    api.nvim_buf_clear_namespace(current.bufnr, namespace, 0, -1)
  end
  current = nil
end

--- Show a suggestion in place of the one before, less what has been typed of it already.
---@param ghost kruk.Ghost
function M.show(ghost)
  M.hide()
  current = ghost
  M.follow()
end

--- The suggestion at the cursor.
---@return kruk.Ghost?
function M.current()
  return current and current.bufnr == api.nvim_get_current_buf() and current or nil
end

--- Go with the cursor while what is typed agrees with the suggestion; hide it otherwise.
function M.follow()
  local ghost = M.current()
  if not ghost then
    return M.hide()
  end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local ok, typed = pcall(api.nvim_buf_get_text, ghost.bufnr, ghost.row, ghost.col, row - 1, col, {})
  local text = ok and table.concat(typed, '\n')
  if not text or text == ghost.text or not vim.startswith(ghost.text, text) then
    return M.hide()
  end
  ghost.row, ghost.col, ghost.text = row - 1, col, ghost.text:sub(#text + 1)
  api.nvim_buf_clear_namespace(ghost.bufnr, namespace, 0, -1)
  draw(ghost)
end

--- The first word, the first line, or all of a text. The white space before it comes with it.
---@param text string
---@param part? 'word'|'line'
local function first(text, part)
  local found = part == 'word' and vim.fn.matchstr(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\)]])
    or part == 'line' and text:match('^\n*[^\n]*')
  return found and found ~= '' and found or text
end

--- Put the suggestion, or the first word or line of it, into the buffer; the rest stays on the screen.
---@param ghost kruk.Ghost
---@param part? 'word'|'line'
function M.take(ghost, part)
  local text = first(ghost.text, part)
  local rest = ghost.text:sub(#text + 1)
  local lines = vim.split(text, '\n', { plain = true })
  M.hide()
  api.nvim_buf_set_text(ghost.bufnr, ghost.row, ghost.col, ghost.row, ghost.col, lines)
  local row, col = ghost.row + #lines - 1, (#lines == 1 and ghost.col or 0) + #lines[#lines]
  api.nvim_win_set_cursor(0, { row + 1, col })
  if rest ~= '' then
    M.show({ bufnr = ghost.bufnr, row = row, col = col, text = rest, on_taken = ghost.on_taken })
  elseif ghost.on_taken then
    ghost.on_taken()
  end
end

local group = api.nvim_create_augroup('kruk.ghost', {})
api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, { group = group, callback = M.follow })
api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, { group = group, callback = M.hide })

return M
