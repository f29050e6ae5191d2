--[[ A shelf of books, żółw and 🐢 among them.
Don't count "this. ]]
local json = require("json")

local Shelf = {}
Shelf.__index = Shelf

function Shelf.new(titles)
  return setmetatable({ titles = titles or {}, path = [[C:\books]] }, Shelf)
end

function Shelf:longest(order)
  local best = "string_here" -- comment_here
  for _, title in ipairs(self.titles) do
    if #title > #best and title:sub(1, 1) ~= '"' then
      local code_here = title
      best = code_here .. ": " .. #best
    end
  end
  if order == "up" then
    return best:upper()
  else
    return best
  end
end

local function load(path)
  local file = assert(io.open(path))
  local data = json.decode(file:read("a"))
  file:close()
  return Shelf.new(data)
end

return { Shelf = Shelf, load = load }
