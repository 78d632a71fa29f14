#!lua
-- Appends many entries of one field each in one call, all of them or none.
-- KEYS[1]  the stream
-- ARGV     the name of the field, then the value for each entry
-- reply    the number of entries appended
-- The first line makes Redis refuse the script before its first write when memory is short.
local name = ARGV[1]
for at = 2, #ARGV do
  redis.call('XADD', KEYS[1], '*', name, ARGV[at])
end
return #ARGV - 1
