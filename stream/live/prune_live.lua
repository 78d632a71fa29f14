#!lua
-- Removes live messages past their retention. The oldest message of a history is at its end.
-- KEYS[1]  the timeline
-- KEYS[2]  the live state
-- KEYS[3]  the ids of recently published events
-- KEYS[4..]  the history of each type
-- ARGV[1]  the retention in microseconds
-- reply    the number of removed messages
local time = redis.call('TIME')
local oldest = tonumber(time[1]) * 1000000 + tonumber(time[2]) - tonumber(ARGV[1])
local before = '(' .. string.format('%.0f', oldest)
local removed = 0
local newest_gone = redis.call('ZREVRANGEBYSCORE', KEYS[1], before, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if #newest_gone > 0 then
  redis.call('HSET', KEYS[2], 'floor', string.format('%.0f', tonumber(newest_gone[2])))
  removed = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', before)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', before)
for history = 4, #KEYS do
  local message = redis.call('LINDEX', KEYS[history], -1)
  while message and tonumber(string.match(message, '^{"id":"(%d+)"') or '0') < oldest do
    redis.call('RPOP', KEYS[history])
    removed = removed + 1
    message = redis.call('LINDEX', KEYS[history], -1)
  end
end
return removed
