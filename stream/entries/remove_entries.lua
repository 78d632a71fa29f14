#!lua
-- Removes entries. A node of the stream that holds several entries keeps the bytes of a removed one until all of them go.
-- KEYS[1]  the stream
-- ARGV     the ids
-- reply    the number of entries removed, and the number of nodes that went with them
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
