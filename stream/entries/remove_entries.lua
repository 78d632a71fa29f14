#!lua
-- Removes entries. A node with several entries keeps the bytes of a removed entry until all its entries are removed.
-- KEYS[1]  the stream
-- ARGV     the ids
-- reply    the number of removed entries, and the number of nodes that were freed
local function nodes()
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for place = 1, #facts, 2 do
    if facts[place] == 'radix-tree-keys' then return facts[place + 1] end
  end
  return 0
end
local before = nodes()
local removed = redis.call('XDEL', KEYS[1], unpack(ARGV))
return {removed, before - nodes()}
