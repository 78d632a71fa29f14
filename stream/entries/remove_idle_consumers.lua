#!lua
-- Removes idle consumers without pending entries. It is one script, so that no entry is delivered to a consumer between
-- the check and its removal.
-- KEYS[1]  the stream
-- ARGV     the group, the idle time in milliseconds
-- reply    the number of consumers removed
local removed = 0
if redis.call('EXISTS', KEYS[1]) == 0 then
  return removed
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local facts = {}
  for i = 1, #consumer, 2 do
    facts[consumer[i]] = consumer[i + 1]
  end
  if facts['pending'] == 0 and facts['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts['name'])
    removed = removed + 1
  end
end
return removed
