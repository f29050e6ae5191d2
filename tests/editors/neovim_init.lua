-- What a user's init.lua would hold. The test sets KRUK_TEST_PLUGIN and KRUK_TEST_CONFIG (JSON).
vim.opt.runtimepath:prepend(vim.env.KRUK_TEST_PLUGIN)
vim.o.swapfile = false
vim.o.shadafile = 'NONE'
vim.o.termguicolors = true
vim.o.laststatus = 2
vim.o.showmode = false
vim.o.statusline = " %t%m%=%{v:lua.require'kruk'.statusline()} "
vim.g.kruk = vim.json.decode(vim.env.KRUK_TEST_CONFIG)
vim.keymap.set('i', '<C-Right>', '<Plug>(kruk-accept-word)')
vim.keymap.set('i', '<C-End>', '<Plug>(kruk-accept-line)')
