#!lua flags=allow-oom
-- Moves the live group to the end of a stream. It uses up a message id and raises the floor to it, by which subscribers
-- detect the gap.
-- KEYS[1]  the stream
-- KEYS[2]  the live state
-- ARGV[1]  the group
-- reply    the number of skipped entries
-- Allowed when memory is short: entries that a stalled group needs are not trimmed.
local facts = {}
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #stream, 2 do
  facts[stream[i]] = stream[i + 1]
end
local skipped = 0
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000)
while #pending > 0 do
  for _, entry in ipairs(pending) do
    skipped = skipped + redis.call('XACK', KEYS[1], ARGV[1], entry[1])
  end
  pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000)
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do
    about[group[i]] = group[i + 1]
  end
  if about['name'] == ARGV[1] then
    skipped = skipped + (about['lag'] or 0)
  end
end
redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], facts['last-generated-id'], 'ENTRIESREAD', facts['entries-added'])
local time = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[2], 'last') or '0')
local id = string.format('%.0f', math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), last + 1))
redis.call('HSET', KEYS[2], 'last', id, 'floor', id)
return skipped
