-- The models that `kruk models list` knows, for choosing one.
local kruk = require('kruk')
local M = {}

---@class kruk.Model
---@field id string
---@field installed boolean
---@field size_bytes? integer

local known ---@type kruk.Model[]?

local function read(result)
  local ok, models = pcall(vim.json.decode, result.stdout)
  return result.code == 0 and ok and models or nil
end

--- The models there are, read once; waits for that.
---@return kruk.Model[]
function M.list()
  local command = not known and kruk.program('models', 'list', '--json')
  if command then
    known = read(vim.system(command, { text = true }):wait(10000))
  end
  return known or {}
end

--- Choose one of those that are on this machine.
---@param done fun(id: string)
---@param say fun(text: string, level?: string)
function M.choose(done, say)
  known = nil
  local here = vim.tbl_filter(function(model)
    return model.installed
  end, M.list())
  if #here == 0 then
    return say('no model is on this machine; `:Kruk pull` gets the default one', 'WARN')
  end
  vim.ui.select(here, {
    prompt = 'Model',
    format_item = function(model)
      return model.size_bytes and ('%s  %.2f GB'):format(model.id, model.size_bytes / 1e9) or model.id
    end,
  }, function(model)
    if model then
      done(model.id)
    end
  end)
end

--- Download a model in a terminal, which shows the progress; Ctrl-C there stops it, and the next time goes on.
---@param id? string nil: the default model
---@param say fun(text: string, level?: string)
function M.pull(id, say)
  local command = kruk.program('models', 'pull', id)
  if not command then
    return say('`cmd` does not say how to run `kruk models pull`; run it in a shell', 'WARN')
  end
  vim.cmd('botright 8new')
  local open = vim.fn.has('nvim-0.11') == 1 and function(cmd, opts)
    return vim.fn.jobstart(cmd, vim.tbl_extend('force', opts, { term = true }))
  end or vim.fn.termopen
  open(command, {
    on_exit = function(_, code)
      known = nil
      if code == 0 then
        say(('the model is here; `:Kruk model %s` loads it'):format(id or ''))
      end
    end,
  })
  vim.cmd.startinsert()
end

return M
