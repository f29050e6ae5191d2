-- `:checkhealth kruk` says what is missing when this does nothing.
if vim.g.loaded_kruk or vim.fn.has('nvim-0.12') == 0 then
  return
end
vim.g.loaded_kruk = true

vim.api.nvim_create_user_command('Kruk', function(opts)
  require('kruk.command').run(opts.fargs, opts)
end, {
  nargs = '*',
  range = true,
  desc = 'Kruk: explain, fix, document, tests, edit, simplify, chat, send, cancel, status, why, toggle, …',
  complete = function(...)
    return require('kruk.command').complete(...)
  end,
})

vim.keymap.set('i', '<Plug>(kruk-accept)', function()
  return require('kruk').accept() and '<C-g>u' or ''
end, { expr = true, desc = 'Kruk: accept the suggestion' })

vim.keymap.set('i', '<Plug>(kruk-next)', function()
  vim.lsp.inline_completion.select({ count = 1 })
end, { desc = 'Kruk: next suggestion' })

vim.keymap.set('i', '<Plug>(kruk-previous)', function()
  vim.lsp.inline_completion.select({ count = -1 })
end, { desc = 'Kruk: previous suggestion' })

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('kruk', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'kruk' then
      require('kruk').attach(event.buf)
    end
  end,
})

-- Where the cursor rests somebody may soon type: the server can make ready.
vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorHold', 'InsertEnter' }, {
  group = 'kruk',
  callback = function(event)
    local client = vim.lsp.get_clients({ name = 'kruk', bufnr = event.buf })[1]
    if client and event.buf == vim.api.nvim_get_current_buf() then
      local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
      client:notify('kruk/didMoveCursor', params)
    end
  end,
})

require('kruk').apply()
