"""Consumer groups: made before they are needed, rid of consumers that are gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.failures import translated_errors
from stream.keys import stream_key

# KEYS[1] the stream, ARGV[1] the group, ARGV[2] idle milliseconds; replies how many consumers were removed.
# One script, so that no consumer can be given an entry between the look and the removal.
_REMOVE_IDLE: Final = """#!lua
local removed = 0
if redis.call('EXISTS', KEYS[1]) == 0 then
  return removed
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local facts = {}
  for i = 1, #consumer, 2 do
    facts[consumer[i]] = consumer[i + 1]
  end
  if facts['pending'] == 0 and facts['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts['name'])
    removed = removed + 1
  end
end
return removed
"""


async def ensure_group(redis: Redis, partition: int, group: str) -> bool:
    """Make the group, and the stream, unless they are there; return whether it was made. Raises StreamUnavailable.

    It starts at the first entry, never at the last: whatever was written before the group existed is for it too.
    """
    key = stream_key(partition)
    with translated_errors():
        # a Redis that is out of memory refuses to make a group, also one that is there: workers must drain it
        if await has_group(redis, partition, group):
            return False
        try:
            await redis.xgroup_create(key, group, id="0", mkstream=True)
        except ResponseError as error:
            if str(error).startswith("BUSYGROUP"):
                return False
            raise
    return True


async def has_group(redis: Redis, partition: int, group: str) -> bool:
    """Return whether the group is there. Raises StreamUnavailable."""
    with translated_errors():
        try:
            groups = await redis.xinfo_groups(stream_key(partition))
        except ResponseError as error:
            if "no such key" in str(error):
                return False
            raise
    return any(facts["name"] == group.encode() for facts in groups)


async def remove_idle_consumers(redis: Redis, partition: int, group: str, idle: timedelta) -> int:
    """Remove consumers that were idle for long and hold nothing; return how many. Never drops a pending entry.

    Raises StreamUnavailable, GroupMissing among it.
    """
    script = redis.register_script(_REMOVE_IDLE)
    with translated_errors():
        removed: int = await script(keys=[stream_key(partition)], args=[group, idle // timedelta(milliseconds=1)])
    return removed
