-- `:checkhealth kruk` says what is missing when this does nothing.
if vim.g.loaded_kruk or vim.fn.has('nvim-0.10') == 0 then
  return
end
vim.g.loaded_kruk = true

vim.api.nvim_create_user_command('Kruk', function(opts)
  require('kruk.command').run(opts.fargs, opts)
end, {
  nargs = '*',
  range = true,
  desc = 'Kruk: explain, fix, document, tests, edit, simplify, chat, status, why, toggle, model, …',
  complete = function(...)
    return require('kruk.command').complete(...)
  end,
})

for name, part in pairs({ [''] = false, ['-word'] = 'word', ['-line'] = 'line' }) do
  vim.keymap.set('i', ('<Plug>(kruk-accept%s)'):format(name), function()
    return require('kruk').accept(part or nil) and '<C-g>u' or ''
  end, { expr = true, desc = 'Kruk: accept the suggestion' .. (part and "'s next " .. part or '') })
end
for name, count in pairs({ next = 1, previous = -1 }) do
  vim.keymap.set('i', ('<Plug>(kruk-%s)'):format(name), function()
    require('kruk.suggestion').select(count)
  end, { desc = ('Kruk: %s suggestion'):format(name) })
end
for _, name in ipairs({ 'send', 'apply', 'insert', 'cancel' }) do
  vim.keymap.set('n', ('<Plug>(kruk-%s)'):format(name), ('<Cmd>Kruk %s<CR>'):format(name))
end

local group = vim.api.nvim_create_augroup('kruk', {})

vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'kruk' then
      require('kruk').attach(event.buf)
    end
  end,
})

-- Where the cursor rests somebody may soon type: the server can make ready.
vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorHold', 'InsertEnter' }, {
  group = group,
  callback = function(event)
    local client = vim.lsp.get_clients({ name = 'kruk', bufnr = event.buf })[1]
    if client and event.buf == vim.api.nvim_get_current_buf() then
      local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
      require('kruk.lsp').call(client, 'notify', 'kruk/didMoveCursor', params)
    end
  end,
})

require('kruk').apply()
