-- What the tests look at and work around, added to any Neovim that they start.

-- A Neovim that was moved from where it was built for finds no parser, and its ftplugin of Markdown fails on that.
local highlight = vim.treesitter.start
vim.treesitter.start = function(...)
  pcall(highlight, ...)
end

--- The suggestion on the screen: { row, column, text }, or nil.
function _G.ghost()
  local mark
  for _, name in ipairs({ 'nvim.lsp.inline_completion', 'kruk.ghost' }) do
    local ns = vim.api.nvim_create_namespace(name)
    local marks = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })
    assert(#marks + (mark and 1 or 0) < 2, 'more than one suggestion is on the screen')
    mark = mark or marks[1]
  end
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

--- The text of the newest buffer whose name matches a pattern, or ''.
function _G.text_of(pattern)
  local text = ''
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(bufnr):find(pattern) then
      text = table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n')
    end
  end
  return text
end

--- The screen as text.
function _G.screen()
  local lines = {}
  for row = 1, vim.o.lines do
    local cells = {}
    for column = 1, vim.o.columns do
      cells[column] = vim.fn.screenstring(row, column)
    end
    lines[row] = (table.concat(cells):gsub('%s+$', ''))
  end
  return table.concat(lines, '\n')
end

--- The screen for a recording: for each row its runs of { text, colour, background, attributes }, then the cursor.
function _G.cells()
  if vim.api.nvim_get_mode().mode ~= 'c' then -- there it would hide what is typed
    vim.cmd.redraw()
  end
  local rows = {}
  for row = 0, vim.o.lines - 1 do
    local runs, last = {}, nil
    for column = 0, vim.o.columns - 1 do
      local cell = vim.api.nvim__inspect_cell(1, row, column)
      local text, look = cell[1] or '', cell[2] or {}
      local marks = (look.bold and 'b' or '') .. (look.italic and 'i' or '') .. (look.reverse and 'r' or '')
      marks = marks .. ((look.underline or look.undercurl) and 'u' or '')
      local run = { text == '' and ' ' or text, look.foreground or -1, look.background or -1, marks }
      if last and last[2] == run[2] and last[3] == run[3] and last[4] == run[4] then
        last[1] = last[1] .. run[1]
      else
        last = run
        table.insert(runs, run)
      end
    end
    rows[row + 1] = runs
  end
  table.insert(rows, { vim.fn.screenrow() - 1, vim.fn.screencol() - 1 })
  return rows
end
