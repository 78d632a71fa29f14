"""A feed goes on behind what it saw, over any number of connections, and stops where going on would not help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from itertools import pairwise

import pytest

from cli.live_feed import FIRST_SECONDS, LONGEST_SECONDS, PATH, LiveFeed, LiveRefused, reconnect_delay
from cli.target import Target
from tests.support.scripted_live import Refusing, ScriptedLive, Speaking, events, saying, welcome
from tests.support.waiting import eventually


class Following:
    """A feed whose waits take no time, and what came of it."""

    def __init__(self, live: ScriptedLive, types: tuple[str, ...] = (), user_id: str | None = None) -> None:
        self.live = live
        self.waits: list[float] = []
        self.notices: list[str] = []
        target = Target(live.url, "the-key")
        feed = LiveFeed(target, types, user_id, self.notices.append, sleep=self._sleep, luck=lambda: 0.5)
        self.events = feed.events()

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def take(self, count: int) -> list[str]:
        """Return the ids of the next events."""
        return [(await anext(self.events)).id for _ in range(count)]

    async def end(self) -> LiveRefused:
        """Return what ends it."""
        with pytest.raises(LiveRefused) as caught:
            await anext(self.events)
        return caught.value


@asynccontextmanager
async def following(
    *script: Speaking | Refusing, types: tuple[str, ...] = (), user_id: str | None = None
) -> AsyncIterator[Following]:
    async with ScriptedLive(*script).running() as live:
        reader = Following(live, types, user_id)
        async with aclosing(reader.events):
            yield reader


async def test_it_asks_for_what_it_is_for() -> None:
    async with following(
        saying(welcome(5), events(6), then=None), types=("xp_earned", "level_up"), user_id="anna & co"
    ) as reader:
        assert await reader.take(1) == ["6"]
        assert reader.live.paths == [PATH]
        assert reader.live.asked == [{"types": ["xp_earned,level_up"], "user_id": ["anna & co"]}]
        assert reader.live.headers[0]["Authorization"] == "Bearer the-key"


async def test_it_goes_on_behind_the_last_cursor_and_shows_nothing_twice() -> None:
    script = (
        saying(welcome(5), events(7, 9)),
        saying(welcome(9), {"type": "heartbeat", "cursor": "20"}),
        saying(welcome(20), {"type": "news"}, events(9, 20, 21, 22), events(22, 23), then=None),
    )
    async with following(*script) as reader:
        assert await reader.take(5) == ["7", "9", "21", "22", "23"]
        assert [asked.get("last_id") for asked in reader.live.asked] == [None, ["9"], ["20"]]
        # each connection came about, so each time the first wait again
        assert reader.waits == [FIRST_SECONDS / 2] * 2


async def test_it_says_when_it_is_behind_and_when_events_are_missing() -> None:
    gap = {"type": "resync_required", "cursor": "3", "reason": "history_gone"}
    async with following(saying(welcome(50), {"type": "behind"}, gap, events(4), then=None)) as reader:
        # the ids begin anew: what is behind the new cursor is shown
        assert await reader.take(1) == ["4"]
        told = "\n".join(reader.notices)
        assert "from history" in told
        assert "missing here (history_gone)" in told


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND])
async def test_a_refusal_ends_it(status: HTTPStatus) -> None:
    async with following(Refusing(status)) as reader:
        assert str(status.value) in str(await reader.end())
        assert reader.waits == []


async def test_credentials_that_end_end_it() -> None:
    async with following(saying(welcome(5), events(6), then=4401)) as reader:
        assert await reader.take(1) == ["6"]
        assert "revoked or has expired" in str(await reader.end())


async def test_a_busy_service_is_asked_again_when_it_said_later_each_time() -> None:
    busy = [Refusing(status) for status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.INTERNAL_SERVER_ERROR)]
    asked_to_wait = Refusing(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "7"})
    async with following(*busy, asked_to_wait, saying(welcome(1), events(2), then=None)) as reader:
        assert await reader.take(1) == ["2"]
        assert reader.waits == [0.25, 0.5, 7 + 1]


async def test_silence_and_nonsense_are_a_connection_lost() -> None:
    silent = saying(welcome(1, heartbeat_seconds=0.01), then=None)
    script = (silent, saying("nonsense", then=None), saying('{"type":"events","events":[{"id":"x"}]}', then=None))
    async with following(*script, saying(events(2), then=None)) as reader:
        assert await reader.take(1) == ["2"]
        told = "\n".join(reader.notices)
        assert "silent" in told
        assert told.count("cannot be read") == 2


async def test_a_service_that_is_away_is_waited_for() -> None:
    async with ScriptedLive(saying(then=None)).running() as live:
        reader = Following(live)
    asking = asyncio.create_task(reader.take(1))
    await eventually(lambda: len(reader.waits) >= 3)
    asking.cancel()
    await asyncio.wait([asking])
    assert reader.waits[:3] == [0.25, 0.5, 1.0]


def test_waits_double_up_to_a_limit_and_are_spread_over_all_of_it() -> None:
    longest = [reconnect_delay(failures, 0.0, 1.0) for failures in range(1, 100)]
    assert longest[0] == FIRST_SECONDS
    assert max(longest) == LONGEST_SECONDS
    assert all(later in (2 * earlier, LONGEST_SECONDS) for earlier, later in pairwise(longest))
    assert reconnect_delay(9, 0.0, 0.0) == 0.0
    assert reconnect_delay(9, 7.0, 0.0) == 7.0
