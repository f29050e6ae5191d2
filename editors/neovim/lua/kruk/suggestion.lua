-- Suggestions on the screen: by the inline completion of Neovim 0.12, before that by ours.
local ghost = require('kruk.ghost')
local lsp = require('kruk.lsp')
local M = {}

local native = vim.lsp.inline_completion

--- Whether suggestions are shown in a buffer (0: the current one).
---@param bufnr integer
---@return boolean
function M.is_shown(bufnr)
  bufnr = bufnr == 0 and vim.api.nvim_get_current_buf() or bufnr
  if native then
    return native.is_enabled({ bufnr = bufnr })
  end
  return require('kruk.automatic').is_enabled(bufnr)
end

---@param bufnr integer
---@param enable boolean
function M.show(bufnr, enable)
  if not enable then
    ghost.hide()
    -- An answer that arrives after its buffer was switched off is an error inside Neovim 0.12.
    for _, client in ipairs(vim.lsp.get_clients({ bufnr = bufnr })) do
      lsp.cancel(client, 'textDocument/inlineCompletion', bufnr)
    end
  end
  if native then
    native.enable(enable, { bufnr = bufnr })
  else
    require('kruk.automatic').enable(enable, bufnr)
  end
end

--- Take a piece of what Neovim shows; what it shows of another server, only whole, as it would itself.
local function take_item(item, part)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if not client or client.name ~= 'kruk' then
    return not part and item or nil
  end
  local bufnr = vim.api.nvim_get_current_buf()
  local row, col = item.range:to_extmark()
  ghost.show({
    bufnr = bufnr,
    row = row,
    col = col,
    text = item.insert_text,
    on_taken = lsp.on_taken(client, item.command),
  })
  local left = ghost.current() -- nothing when what was typed since does not agree with it
  if left then
    ghost.take(left, part)
  end
end

--- Put the suggestion on the screen, or its first word or line, into the buffer; soon, because mappings with `expr`
--- may not change text.
---@param part? 'word'|'line'
---@return boolean accepted false when there was none
function M.accept(part)
  if ghost.current() then
    vim.schedule(function()
      local left = ghost.current()
      if left then
        ghost.take(left, part)
      end
    end)
    return true
  end
  return native ~= nil and native.get({
    on_accept = function(item)
      return take_item(item, part)
    end,
  })
end

--- Show the next suggestion, or the one before, where Neovim knows several.
---@param count integer
function M.select(count)
  if native then
    native.select({ count = count })
  end
end

if native then
  -- Neovim draws again: what we drew of the suggestion before gives way.
  vim.api.nvim_create_autocmd('LspRequest', {
    group = vim.api.nvim_create_augroup('kruk.suggestion', {}),
    callback = function(event)
      local request = event.data.request
      if request.type == 'complete' and request.method == 'textDocument/inlineCompletion' then
        ghost.hide()
      end
    end,
  })
end

return M
