"""What a trim removes: entries that every group has settled, when they are old or memory is short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from runtime.errors import StreamUnavailable
from stream.entries.entry import EntryId
from stream.entries.trimmer import TrimResult, lowest_needed, memory_of, trim
from stream.keys import LIVE_GROUP, STORE_GROUP, live_cursor_key, stream_key

KEY = stream_key(3)
BYTES_OF_AN_ENTRY = 100
AMPLE = 10**9
NOW_MS = 1_000_700
"""The clock of the server, and the time of the newest entry."""


@dataclass
class Group:
    name: str
    last_delivered: int
    """Milliseconds of the entry."""
    pending: Sequence[int] = ()


@dataclass
class Server:
    """The commands of one stream that a trim uses, with the answers of Redis. Entry n has the id `n-0`."""

    entries: list[int]
    groups: list[Group]
    entries_of_a_node: int = 100
    cursor: int | None = None
    """Milliseconds of the last entry that live workers published."""
    largest_page: int = 0
    keys: set[str] = field(default_factory=set)

    async def hmget(self, key: str, _names: Sequence[str]) -> list[bytes | None]:
        assert key == live_cursor_key(3)
        return [None if self.cursor is None else f"{self.cursor}-0".encode(), None, None, None]

    async def xrange(self, key: str, _after: str, *, count: int) -> list[object]:
        """Return nothing: a trim takes no notice of the number of entries that wait."""
        self.keys.add(key)
        return []

    async def xinfo_groups(self, key: str) -> list[dict[str, Any]]:
        self.keys.add(key)
        if not self.entries and not self.groups:
            raise ResponseError("no such key")
        return [
            {
                "name": one.name.encode(),
                "last-delivered-id": f"{one.last_delivered}-0".encode(),
                "lag": None,
                "consumers": 0,
            }
            for one in self.groups
        ]

    async def xpending(self, key: str, name: bytes) -> dict[str, Any]:
        self.keys.add(key)
        [group] = [one for one in self.groups if one.name.encode() == name]
        least = f"{min(group.pending)}-0".encode() if group.pending else None
        return {"pending": len(group.pending), "min": least}

    async def time(self) -> tuple[int, int]:
        return NOW_MS // 1000, NOW_MS % 1000 * 1000

    async def memory_usage(self, key: str) -> int | None:
        self.keys.add(key)
        return BYTES_OF_AN_ENTRY * len(self.entries) or None

    async def xlen(self, key: str) -> int:
        self.keys.add(key)
        return len(self.entries)

    async def xtrim(self, key: str, *, minid: str, approximate: bool = True, limit: int | None = None) -> int:
        """Remove entries below an id: all of them, or whole nodes only while the limit is not exceeded."""
        self.keys.add(key)
        milliseconds, _, sequence = minid.partition("-")
        below = sum(one < int(milliseconds) or (one == int(milliseconds) and int(sequence) > 0) for one in self.entries)
        if approximate:
            assert limit is not None
            self.largest_page = max(self.largest_page, limit)
            below = min(below, limit) // self.entries_of_a_node * self.entries_of_a_node
        del self.entries[:below]
        return below


def server(*groups: Group, count: int = 1_000) -> Server:
    """Return a server with entries of the last milliseconds, oldest first."""
    return Server(list(range(NOW_MS - count + 1, NOW_MS + 1)), list(groups))


async def trimmed(server: Server, age_ms: int, max_bytes: int = AMPLE, ignored: Sequence[str] = ()) -> TrimResult:
    result = await trim(cast("Redis", server), 3, timedelta(milliseconds=age_ms), max_bytes, ignored)
    assert server.keys == {KEY}
    assert result.bytes_used in (0, BYTES_OF_AN_ENTRY * len(server.entries))
    return result


ALL_SETTLED = Group(STORE_GROUP, NOW_MS)


@pytest.mark.parametrize(("age_ms", "removed"), [(0, 999), (1, 998), (499, 500), (999, 0), (10**9, 0)])
async def test_settled_entries_are_removed_when_they_are_older_than_the_retention(age_ms: int, removed: int) -> None:
    one = server(ALL_SETTLED)
    assert await trimmed(one, age_ms) == TrimResult(removed, BYTES_OF_AN_ENTRY * (1_000 - removed))
    assert one.entries[:1] == [NOW_MS - 999 + removed]


@pytest.mark.parametrize(
    ("groups", "removed"),
    [
        ([Group(STORE_GROUP, 0)], 0),
        ([Group(STORE_GROUP, NOW_MS - 500)], 500),
        ([Group(STORE_GROUP, NOW_MS, [NOW_MS - 700, NOW_MS - 300])], 299),
        ([Group(STORE_GROUP, NOW_MS - 500, [NOW_MS - 500])], 499),
        ([ALL_SETTLED, Group("other", NOW_MS - 800)], 200),
        ([Group("other", NOW_MS - 800), ALL_SETTLED], 200),
        ([ALL_SETTLED, Group("other", NOW_MS, [NOW_MS - 900])], 99),
        ([Group("ignored", 0, [NOW_MS - 999]), ALL_SETTLED], 999),
        ([Group("ignored", 0), Group("other", NOW_MS - 800), ALL_SETTLED], 200),
    ],
)
async def test_what_a_group_has_not_settled_stays_unless_the_group_is_ignored(
    groups: list[Group], removed: int
) -> None:
    assert (await trimmed(server(*groups), 0, ignored=["ignored"])).removed == removed
    assert (await trimmed(server(*groups), 0, 0, ignored=["ignored"])).removed in (removed, removed + 1)


@pytest.mark.parametrize("groups", [[], [Group("other", NOW_MS)]])
async def test_without_the_group_that_stores_nothing_is_removed(groups: list[Group]) -> None:
    one = server(*groups)
    assert await trimmed(one, 0, 0) == TrimResult(0, 0)
    assert len(one.entries) == 1_000
    assert await lowest_needed(cast("Redis", one), 3) is None


@pytest.mark.parametrize(("cursor", "removed"), [(0, 0), (NOW_MS - 700, 300), (NOW_MS, 999)])
async def test_what_live_workers_have_not_published_stays_and_their_group_of_the_release_before_counts_no_more(
    cursor: int, removed: int
) -> None:
    one = server(ALL_SETTLED, Group(LIVE_GROUP, NOW_MS - 900, [NOW_MS - 950]))
    one.cursor = cursor
    assert (await trimmed(one, 0)).removed == removed


async def test_the_group_of_the_release_before_counts_until_there_is_a_cursor() -> None:
    assert (await trimmed(server(ALL_SETTLED, Group(LIVE_GROUP, NOW_MS - 900)), 0)).removed == 100


async def test_a_stream_that_does_not_exist_has_nothing_to_remove() -> None:
    assert await trimmed(Server([], []), 0) == TrimResult(0, 0)
    assert await memory_of(cast("Redis", Server([], [])), 3) == 0


async def test_the_lowest_id_that_is_needed_follows_the_last_one_that_was_delivered() -> None:
    assert await lowest_needed(cast("Redis", server(ALL_SETTLED)), 3) == EntryId(NOW_MS, 1)
    assert await lowest_needed(cast("Redis", server(Group(STORE_GROUP, NOW_MS, [5]))), 3) == EntryId(5, 0)


@pytest.mark.parametrize(
    ("max_bytes", "removed"), [(100_000, 0), (99_999, 0), (90_000, 100), (50_000, 500), (45_000, 500), (0, 1_000)]
)
async def test_above_the_budget_the_oldest_settled_entries_are_removed_early(max_bytes: int, removed: int) -> None:
    assert (await trimmed(server(ALL_SETTLED), 10**8, max_bytes)).removed == removed


@pytest.mark.parametrize(("max_bytes", "removed"), [(100_000, 0), (99_999, 1), (99_900, 1), (99_899, 2)])
async def test_no_more_is_removed_than_brings_the_stream_below_its_budget(max_bytes: int, removed: int) -> None:
    one = server(ALL_SETTLED)
    one.entries_of_a_node = 1
    assert (await trimmed(one, 10**8, max_bytes)).removed == removed


async def test_a_retention_that_begins_before_1970_removes_nothing() -> None:
    assert (await trimmed(Server([0, 1, 2], [ALL_SETTLED]), 10**9)).removed == 0


async def test_removals_by_age_and_by_memory_add_up() -> None:
    one = server(ALL_SETTLED)
    assert await trimmed(one, 799, 50_000) == TrimResult(500, 50_000)


async def test_a_budget_does_not_remove_what_is_needed() -> None:
    assert (await trimmed(server(Group(STORE_GROUP, NOW_MS - 700)), 10**8, 0)).removed == 300


async def test_many_entries_are_removed_in_pages() -> None:
    one = server(ALL_SETTLED, count=35_000)
    assert (await trimmed(one, 0)).removed == 34_999
    assert one.largest_page == 10_000


async def test_a_server_that_is_away_is_said() -> None:
    class Away(Server):
        async def memory_usage(self, key: str) -> int | None:
            raise RedisConnectionError

    with pytest.raises(StreamUnavailable):
        await memory_of(cast("Redis", Away([], [])), 3)
    with pytest.raises(StreamUnavailable):
        await trim(cast("Redis", Away([1], [ALL_SETTLED])), 3, timedelta(0), AMPLE)
