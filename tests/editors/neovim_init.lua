-- What a user's init.lua would hold. The test sets KRUK_TEST_PLUGIN and KRUK_TEST_CONFIG (JSON).
vim.opt.runtimepath:prepend(vim.env.KRUK_TEST_PLUGIN)
vim.o.swapfile = false
vim.o.shadafile = 'NONE'
vim.o.laststatus = 2
vim.o.statusline = "%f %{v:lua.require'kruk'.statusline()}"
vim.g.kruk = vim.json.decode(vim.env.KRUK_TEST_CONFIG)

-- A Neovim that was moved from where it was built for finds no parser, and its ftplugin of Markdown fails on that.
local highlight = vim.treesitter.start
vim.treesitter.start = function(...)
  pcall(highlight, ...)
end

--- The suggestion on the screen: { row, column, text }, or nil.
function _G.ghost()
  local ns = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
  local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
  if not mark then
    return nil
  end
  local lines = { vim.iter(mark[4].virt_text or {}):fold('', function(all, chunk)
    return all .. chunk[1]
  end) }
  for _, chunks in ipairs(mark[4].virt_lines or {}) do
    table.insert(lines, chunks[1][1])
  end
  return { mark[2], mark[3], table.concat(lines, '\n') }
end

--- Whether the server still owes an answer about inline completion.
function _G.waiting()
  for _, client in ipairs(vim.lsp.get_clients({ name = 'kruk' })) do
    for _, request in pairs(client.requests) do
      if request.type == 'pending' and request.method == 'textDocument/inlineCompletion' then
        return true
      end
    end
  end
  return false
end
