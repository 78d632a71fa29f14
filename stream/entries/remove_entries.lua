#!lua
-- Removes entries. A node with several entries keeps the bytes of a removed entry until all its entries are removed.
-- KEYS[1]  the stream
-- KEYS[2]  the record of removed entries: `erased`, the number removed here; `trimmed`, the number that had been trimmed
--          before, and `before`, an id above them all
-- ARGV     the ids
-- reply    the number of removed entries, and the number of nodes that were freed
local function facts()
  local reply, named = redis.call('XINFO', 'STREAM', KEYS[1]), {}
  for place = 1, #reply, 2 do named[reply[place]] = reply[place + 1] end
  return named
end
local before = facts()
local erased = tonumber(redis.call('HGET', KEYS[2], 'erased') or 0)
local trimmed = before['entries-added'] - before['length'] - erased
if tostring(trimmed) ~= redis.call('HGET', KEYS[2], 'trimmed') then
  local oldest = before['first-entry']
  redis.call('HSET', KEYS[2], 'trimmed', trimmed, 'before', oldest and oldest[1] or before['last-generated-id'])
end
local removed = redis.call('XDEL', KEYS[1], unpack(ARGV))
redis.call('HSET', KEYS[2], 'erased', erased + removed)
return {removed, before['radix-tree-keys'] - facts()['radix-tree-keys']}
