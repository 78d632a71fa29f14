#!lua
-- Appends many entries with the same fields in one call, all of them or none.
-- KEYS[1]  the stream
-- ARGV     the number of fields n, the n names, then n values for each entry
-- reply    the number of entries appended
-- The first line makes Redis refuse the script before its first write when memory is short.
local width = tonumber(ARGV[1])
local entry = {}
for i = 1, width do
  entry[2 * i - 1] = ARGV[1 + i]
end
local count = 0
for at = 2 + width, #ARGV, width do
  for i = 1, width do
    entry[2 * i] = ARGV[at + i - 1]
  end
  redis.call('XADD', KEYS[1], '*', unpack(entry))
  count = count + 1
end
return count
