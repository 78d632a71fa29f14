#!lua flags=allow-oom
-- Moves the cursor of the live workers to the end of a stream. It uses up a message id and raises the floor to it, by which
-- subscribers detect the gap.
-- KEYS[1]  the stream
-- KEYS[2]  the cursor of the live workers
-- KEYS[3]  the live state
-- ARGV[1]  the number of entries after the cursor, as far as it is known
-- reply    the number of skipped entries
-- Allowed when memory is short: entries that the live workers need are not trimmed.
local facts = {}
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #stream, 2 do
  facts[stream[i]] = stream[i + 1]
end
local read = redis.call('HGET', KEYS[2], 'read')
local skipped = read and facts['entries-added'] - tonumber(read) or tonumber(ARGV[1])
redis.call('HSET', KEYS[2], 'cursor', facts['last-generated-id'], 'read', facts['entries-added'])
local time = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[3], 'last') or '0')
local id = string.format('%.0f', math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), last + 1))
redis.call('HSET', KEYS[3], 'last', id, 'floor', id)
return skipped
