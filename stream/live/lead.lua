#!lua
-- Makes a live worker lead a partition, or prolongs its lead, unless the lease of another one is running.
-- KEYS[1]  the stream
-- KEYS[2]  the cursor of the live workers
-- ARGV[1]  the name of the worker
-- ARGV[2]  the lease in milliseconds
-- ARGV[3]  the consumer group of the live workers of the release before
-- reply    nothing if another worker leads, else the cursor, and 1 if it was missing or past the end of the stream
local function named(reply)
  local facts = {}
  for i = 1, #reply, 2 do
    facts[reply[i]] = reply[i + 1]
  end
  return facts
end
local function is_above(one, other)
  local ms, seq = string.match(one, '(%d+)-(%d+)')
  local other_ms, other_seq = string.match(other, '(%d+)-(%d+)')
  if ms == other_ms then
    return tonumber(seq) > tonumber(other_seq)
  end
  return tonumber(ms) > tonumber(other_ms)
end
local function id_before(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  if tonumber(seq) > 0 then
    return ms .. '-' .. string.format('%.0f', tonumber(seq) - 1)
  end
  return string.format('%.0f', tonumber(ms) - 1) .. '-18446744073709551615'
end
local function start()
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = named(reply)
    if group['name'] == ARGV[3] then
      -- entries after the oldest pending one that were published count as read, and are recognised by their event ids
      local pending = redis.call('XPENDING', KEYS[1], ARGV[3])
      local read = group['entries-read'] and group['entries-read'] - pending[1]
      return pending[1] > 0 and id_before(pending[2]) or group['last-delivered-id'], read
    end
  end
  return '0-0', 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local state = redis.call('HMGET', KEYS[2], 'cursor', 'read', 'leader', 'until')
local left = tonumber(state[4] or '0') - now
-- a lease that is longer than any was given by a clock that was ahead
if state[3] and state[3] ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[2]) then
  return false
end
local exists = redis.call('EXISTS', KEYS[1]) == 1
local stream = exists and named(redis.call('XINFO', 'STREAM', KEYS[1])) or {}
local last, appended = stream['last-generated-id'] or '0-0', stream['entries-added'] or 0
local cursor, read, is_reset = state[1], state[2], 0
if not cursor then
  is_reset = 1
  if exists then
    cursor, read = start()
  else
    cursor, read = last, appended
  end
elseif is_above(cursor, last) then
  cursor, read, is_reset = last, appended, 1
elseif exists and #redis.call('XRANGE', KEYS[1], '(' .. cursor, '+', 'COUNT', 1) == 0 then
  -- also if entries were removed before they were read
  read = appended
end
redis.call('HSET', KEYS[2], 'cursor', cursor, 'leader', ARGV[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
if read then
  redis.call('HSET', KEYS[2], 'read', read)
end
return {cursor, is_reset}
