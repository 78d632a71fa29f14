#!lua
-- Ends the lead of a live worker.
-- KEYS[1]  the cursor of the live workers
-- ARGV[1]  the name of the worker
if redis.call('HGET', KEYS[1], 'leader') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'until', 0)
end
