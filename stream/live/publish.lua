#!lua
-- Publishes live messages and moves the cursor past their entries, in one step. It does nothing if the cursor is not where
-- the entries were read from, so each entry is published once. An event that was recently published from another entry is
-- not published again.
-- KEYS[1]  the stream
-- KEYS[2]  the cursor of the live workers
-- KEYS[3]  the timeline
-- KEYS[4]  the live state
-- KEYS[5]  the ids of recently published events
-- KEYS[6..]  the history of each type
-- ARGV[1]  the cursor that entries were read after, ARGV[2] the id of the last one, ARGV[3] their number
-- ARGV[4]  the name of the worker, ARGV[5] its lease in milliseconds
-- ARGV[6]  maximum number of messages of a history
-- ARGV[7]  maximum number of messages of the timeline, and of ids of published events
-- ARGV     then the channel of each type, then three values for each message: the number of its type, the id of its event,
--          the message without the beginning
-- reply    nothing if the cursor has moved or the last entry is lost, else the number of messages published, and of those
--          whose events were published before
-- A call takes at most 1,000 messages: more do not fit on the stack of unpack.
-- The first line makes Redis refuse the script before its first write when memory is short.
local position = redis.call('HMGET', KEYS[2], 'cursor', 'read')
-- an older copy of the stream may have the cursor, but not the entries
if position[1] ~= ARGV[1] or #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then
  return false
end
local types = #KEYS - 5
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('HGET', KEYS[4], 'last') or '0')
if last == 0 then
  -- earlier messages are unknown
  redis.call('HSET', KEYS[4], 'floor', string.format('%.0f', now - 1))
end
local published, repeated = 0, 0
local histories, timeline = {}, {}
for at = 8 + types, #ARGV, 3 do
  local next_id = math.max(now, last + 1)
  local id = string.format('%.0f', next_id)
  if redis.call('ZADD', KEYS[5], 'NX', id, ARGV[at + 1]) == 0 then
    repeated = repeated + 1
  else
    local kind = tonumber(ARGV[at])
    local message = '{"id":"' .. id .. '",' .. ARGV[at + 2]
    redis.call('PUBLISH', ARGV[7 + kind], message)
    local history = histories[kind] or {}
    histories[kind] = history
    history[#history + 1] = message
    timeline[#timeline + 1] = id
    timeline[#timeline + 1] = message
    published = published + 1
    last = next_id
  end
end
local lease_end = string.format('%.0f', math.floor(now / 1000) + tonumber(ARGV[5]))
local move = {'cursor', ARGV[2], 'leader', ARGV[4], 'until', lease_end}
if position[2] then
  move[7], move[8] = 'read', tonumber(position[2]) + tonumber(ARGV[3])
end
redis.call('HSET', KEYS[2], unpack(move))
if published > 0 then
  redis.call('HSET', KEYS[4], 'last', string.format('%.0f', last))
  redis.call('ZADD', KEYS[3], unpack(timeline))
  for kind, history in pairs(histories) do
    redis.call('LPUSH', KEYS[5 + kind], unpack(history))
    redis.call('LTRIM', KEYS[5 + kind], 0, tonumber(ARGV[6]) - 1)
  end
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -tonumber(ARGV[7]) - 1)
  local excess = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[7])
  if excess > 0 then
    local newest_gone = redis.call('ZRANGE', KEYS[3], excess - 1, excess - 1, 'WITHSCORES')
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, excess - 1)
    redis.call('HSET', KEYS[4], 'floor', string.format('%.0f', tonumber(newest_gone[2])))
  end
end
return {published, repeated}
