-- What the server's commands are told of the place: the file, the cursor or the range, the diagnostics there.
local M = {}

--- The actions, as their commands are named behind `kruk.`; the same as in Kruk's prompts/actions.
M.names = { 'explain', 'fix', 'document', 'tests', 'edit', 'simplify' }

---@param client vim.lsp.Client
---@param opts vim.api.keyset.create_user_command.command_args
---@return table uri and range
function M.place(client, opts)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local range = { start = params.position, ['end'] = params.position }
  if opts.range > 0 then
    range = {
      start = { line = opts.line1 - 1, character = 0 },
      ['end'] = { line = opts.line2, character = 0 },
    }
  end
  return { uri = params.textDocument.uri, range = range }
end

--- A diagnostic as LSP has it, where Neovim has no function for that (0.10).
local function from(diagnostic)
  return {
    range = {
      start = { line = diagnostic.lnum, character = diagnostic.col },
      ['end'] = { line = diagnostic.end_lnum, character = diagnostic.end_col },
    },
    message = diagnostic.message,
    severity = diagnostic.severity,
    source = diagnostic.source,
  }
end

--- The argument of an action's command.
---@param name string
---@param instruction string
function M.argument(client, opts, name, instruction)
  local argument = M.place(client, opts)
  argument.version = vim.lsp.util.buf_versions[vim.api.nvim_get_current_buf()]
  argument.instruction = instruction
  if name == 'fix' then
    local here = vim.tbl_filter(function(diagnostic)
      return diagnostic.lnum >= opts.line1 - 1 and diagnostic.lnum < opts.line2
    end, vim.diagnostic.get(0))
    argument.diagnostics = vim.lsp.diagnostic.from and vim.lsp.diagnostic.from(here) or vim.tbl_map(from, here)
  end
  return argument
end

return M
