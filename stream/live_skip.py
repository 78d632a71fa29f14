"""Gives up what the live group is too late for: it is stored all the same, and nobody waits for it any more."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from stream.failures import translated_errors
from stream.keys import LIVE_GROUP, LIVE_STATE, stream_key

# KEYS[1] the stream, KEYS[2] the live state, ARGV[1] the group; replies how many entries it will not get.
# The id that is used up, and the floor raised to it, tell subscribers that something is missing.
# Allowed when memory is short: what a group that stands still needs is kept from trimming.
_SKIP: Final = """#!lua flags=allow-oom
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
"""


async def skip_to_the_end(redis: Redis, partition: int) -> int:
    """Let the live group go on with what comes next; return how many entries it missed. Raises StreamUnavailable.

    Whoever follows the timeline is told that it has a gap. The group must be there.
    """
    script = redis.register_script(_SKIP)
    with translated_errors():
        skipped: int = await script(keys=[stream_key(partition), LIVE_STATE], args=[LIVE_GROUP])
    return skipped
