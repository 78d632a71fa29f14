#!lua
-- Publishes live messages and acknowledges their entries in one step. An entry that was acknowledged before is skipped, so
-- a redelivered entry is published once. An event that was recently published from another entry is not published again.
-- KEYS[1]  the stream
-- KEYS[2]  the timeline
-- KEYS[3]  the live state
-- KEYS[4]  the ids of recently published events
-- KEYS[5..]  the history of each type
-- ARGV[1]  the group
-- ARGV[2]  maximum number of messages of a history
-- ARGV[3]  maximum number of messages of the timeline, and of ids of published events
-- ARGV     then the channel of each type, then four values for each entry: its id, the number of its type (0: acknowledge
--          only), the id of its event, its message without the beginning
-- reply    the number of entries published, of entries of events published before, of entries acknowledged before
-- A call takes at most 1,000 entries: more do not fit on the stack of unpack.
-- The first line makes Redis refuse the script before its first write when memory is short.
local types = #KEYS - 4
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('HGET', KEYS[3], 'last') or '0')
if last == 0 then
  -- earlier messages are unknown
  redis.call('HSET', KEYS[3], 'floor', string.format('%.0f', now - 1))
end
local published, repeated, passed = 0, 0, 0
local histories, timeline = {}, {}
for at = 4 + types, #ARGV, 4 do
  local kind = tonumber(ARGV[at + 1])
  if redis.call('XACK', KEYS[1], ARGV[1], ARGV[at]) == 0 then
    passed = passed + 1
  elseif kind > 0 then
    local next_id = math.max(now, last + 1)
    local id = string.format('%.0f', next_id)
    if redis.call('ZADD', KEYS[4], 'NX', id, ARGV[at + 2]) == 0 then
      repeated = repeated + 1
    else
      local message = '{"id":"' .. id .. '",' .. ARGV[at + 3]
      redis.call('PUBLISH', ARGV[3 + kind], message)
      local history = histories[kind] or {}
      histories[kind] = history
      history[#history + 1] = message
      timeline[#timeline + 1] = id
      timeline[#timeline + 1] = message
      published = published + 1
      last = next_id
    end
  end
end
if published > 0 then
  redis.call('HSET', KEYS[3], 'last', string.format('%.0f', last))
  redis.call('ZADD', KEYS[2], unpack(timeline))
  for kind, history in pairs(histories) do
    redis.call('LPUSH', KEYS[4 + kind], unpack(history))
    redis.call('LTRIM', KEYS[4 + kind], 0, tonumber(ARGV[2]) - 1)
  end
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -tonumber(ARGV[3]) - 1)
  local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
  if excess > 0 then
    local newest_gone = redis.call('ZRANGE', KEYS[2], excess - 1, excess - 1, 'WITHSCORES')
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, excess - 1)
    redis.call('HSET', KEYS[3], 'floor', string.format('%.0f', tonumber(newest_gone[2])))
  end
end
return {published, repeated, passed}
