-- Asking for suggestions while somebody types, where Neovim does not do it by itself: before 0.12.
local ghost = require('kruk.ghost')
local lsp = require('kruk.lsp')
local M = {}

local AUTOMATIC = 2 -- InlineCompletionTriggerKind
local DELAY_MS = 75 -- of rest after a key

local groups = {} ---@type table<integer, integer> autocommand groups of the buffers that are on
local timer = assert(vim.uv.new_timer())

--- Show an answer that was asked for at a place, which is also where its range begins.
local function show(bufnr, client, result, row, col)
  local is_here = groups[bufnr] and vim.api.nvim_get_current_buf() == bufnr
  if not is_here or not vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    return
  end
  local item = (result.items or result)[1]
  if not item then
    return ghost.hide()
  end
  ghost.show({
    bufnr = bufnr,
    row = row,
    col = col,
    text = item.insertText,
    on_taken = lsp.on_taken(client, item.command),
  })
end

local function ask(bufnr)
  local client = lsp.client(bufnr)
  if not client or vim.api.nvim_get_current_buf() ~= bufnr or not groups[bufnr] then
    return
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = AUTOMATIC }
  lsp.request(client, 'textDocument/inlineCompletion', params, function(_, result)
    if result then -- nothing: a newer request is under way
      show(bufnr, client, result, row - 1, col)
    end
  end, bufnr)
end

---@param bufnr integer
---@return boolean
function M.is_enabled(bufnr)
  return groups[bufnr] ~= nil
end

---@param enable boolean
---@param bufnr integer
function M.enable(enable, bufnr)
  if not enable then
    if groups[bufnr] then
      vim.api.nvim_del_augroup_by_id(groups[bufnr])
    end
    groups[bufnr] = nil
    return ghost.hide()
  end
  groups[bufnr] = vim.api.nvim_create_augroup('kruk.automatic.' .. bufnr, {})
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedP' }, {
    group = groups[bufnr],
    buffer = bufnr,
    callback = function()
      timer:start(DELAY_MS, 0, function()
        vim.schedule(function()
          ask(bufnr)
        end)
      end)
    end,
  })
  vim.api.nvim_create_autocmd('InsertLeave', {
    group = groups[bufnr],
    buffer = bufnr,
    callback = function()
      timer:stop()
      local client = lsp.client(bufnr)
      if client then
        lsp.cancel(client, 'textDocument/inlineCompletion', bufnr)
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufDelete', 'LspDetach' }, {
    group = groups[bufnr],
    buffer = bufnr,
    callback = vim.schedule_wrap(function()
      if not lsp.client(bufnr) then
        M.enable(false, bufnr)
      end
    end),
  })
end

return M
