-- `:checkhealth kruk` says what is missing when this does nothing.
if vim.g.loaded_kruk or vim.fn.has('nvim-0.12') == 0 then
  return
end
vim.g.loaded_kruk = true

vim.api.nvim_create_user_command('Kruk', function(opts)
  require('kruk.command').run(opts.fargs)
end, {
  nargs = '*',
  desc = 'Kruk: status, why, toggle, restart, model, log',
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

require('kruk').apply()
