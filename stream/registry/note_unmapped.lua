#!lua
-- Adds counts by name to a hash of bounded size, which expires when no names are added.
-- KEYS[1]  the hash; a value is "<count> <Unix time of the last use>"
-- ARGV     now, the seconds that a name is kept, the maximum number of names, the name for all others, then the name and
--          count of each
-- The first line makes Redis refuse the script before its first write when memory is short.
local now, kept, most, other = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local counts, names = {}, 0
local facts = redis.call('HGETALL', KEYS[1])
for at = 1, #facts, 2 do
  local name = facts[at]
  local count, seen = string.match(facts[at + 1], '^(%d+) (%d+)$')
  if now - tonumber(seen) > kept then
    redis.call('HDEL', KEYS[1], name)
  else
    counts[name] = tonumber(count)
    if name ~= other then
      names = names + 1
    end
  end
end
for at = 5, #ARGV, 2 do
  local name = ARGV[at]
  if name ~= other and not counts[name] then
    if names < most then
      names = names + 1
    else
      name = other
    end
  end
  counts[name] = (counts[name] or 0) + tonumber(ARGV[at + 1])
  redis.call('HSET', KEYS[1], name, string.format('%d %d', counts[name], now))
end
redis.call('EXPIRE', KEYS[1], kept)
