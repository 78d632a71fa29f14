"""The bus over WebSockets, against a scripted server: each event once and in order, across interruptions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from studyin_analytics import (
    AnalyticsError,
    ConfigurationError,
    EventBus,
    EventType,
    HandlerFailed,
    SubscriptionRefused,
    get_event_bus,
)
from studyin_analytics.live_frames import Gap
from studyin_analytics.retry import Backoff
from studyin_analytics.schemas.live import CREDENTIALS_ENDED, LiveEvent, XpEarnedEvent

from tests.support.scripted_live import Refusal, Script, ScriptedLive, Visit
from tests.support.waiting import eventually

AT_ONCE = Backoff(0.01, 0.01, lambda: 0.0)


def bus_of(live: ScriptedLive, **options: Any) -> EventBus:
    return EventBus(live.url, **{"key": "key", "reconnect": AT_ONCE, **options})


class Heard:
    """Handlers that record what they receive."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.gaps: list[Gap] = []

    async def __call__(self, event: LiveEvent) -> None:
        self.ids.append(int(event.id))

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@asynccontextmanager
async def listening(bus: EventBus) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.start_listening())
    try:
        yield
        bus.stop()
        await task
    finally:
        task.cancel()


def publishing(*numbers: int, then: Callable[[Visit], Any] = Visit.stay) -> Script:
    async def script(visit: Visit) -> None:
        await visit.welcome()
        await visit.publish(*numbers)
        await then(visit)

    return script


async def test_the_example_of_the_document(heard: Heard) -> None:
    said: list[str] = []

    async def handle_xp_event(event: XpEarnedEvent) -> None:
        said.append(f"User earned {event.xp_amount} XP!")
        bus.stop()

    async with ScriptedLive(publishing(25)).running() as live:
        bus = bus_of(live)
        await bus.subscribe([EventType.XP_EARNED], handle_xp_event)
        await bus.start_listening()
        [visit] = live.visits
    assert said == ["User earned 25 XP!"]
    assert (visit.path, visit.asked, visit.authorization) == (
        "/api/analytics/live",
        {"types": "xp_earned"},
        "Bearer key",
    )


async def test_each_handler_hears_its_types_and_what_cannot_be_read_is_left_out(heard: Heard) -> None:
    levels: list[str] = []

    async def script(visit: Visit) -> None:
        await visit.welcome()
        await visit.publish(1, event_type="streak_update")
        await visit.publish(2, event_type="of_tomorrow")
        await visit.say("of tomorrow")
        await visit.publish(3)
        await visit.stay()

    async with ScriptedLive(script).running() as live:
        bus = bus_of(live, user_id=7)
        await bus.subscribe(None, heard)
        await bus.subscribe(["xp_earned", EventType.LEVEL_UP], lambda event: levels.append(event.event_type))
        async with listening(bus):
            await eventually(lambda: heard.ids == [2, 3])
        assert levels == ["xp_earned"]
        assert live.visits[0].asked == {"user_id": "7"}


async def test_nothing_is_lost_or_heard_twice_over_connections_that_end(heard: Heard) -> None:
    async def broken(visit: Visit) -> None:
        visit._connection.transport.abort()

    async with ScriptedLive(
        publishing(1, 2, then=lambda visit: visit.close(1012)),
        publishing(2, 3, then=broken),
        Refusal(500),
        publishing(3, 4, 5),
    ).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: len(heard.ids) >= 5)
        assert [visit.asked.get("last_id") for visit in live.visits] == [None, "2", "3"]
    assert heard.ids == [1, 2, 3, 4, 5]
    assert bus.last_id == "5"


async def test_a_bus_goes_on_where_it_was_told_to_or_where_it_was_welcomed(heard: Heard) -> None:
    async def script(visit: Visit) -> None:
        await visit.welcome(cursor=70)
        await visit.close(1012)

    async with ScriptedLive(script, script, publishing(80)).running() as live:
        for last_id in (None, "50"):
            live._scripts[:0] = [script, script] if last_id else []
            bus = bus_of(live, last_id=last_id)
            await bus.subscribe(None, heard)
            async with listening(bus):
                await eventually(lambda: 80 in heard.ids)
            heard.ids.clear()
        assert [visit.asked.get("last_id") for visit in live.visits] == [None, "70", "70", "50", "50", "50"]


async def test_a_heartbeat_moves_the_cursor_past_what_others_hear(heard: Heard) -> None:
    async def script(visit: Visit) -> None:
        await visit.welcome(cursor=1)
        await visit.say("behind")
        await visit.say("heartbeat", cursor="90")
        await visit.close(1012)

    async with ScriptedLive(script, publishing(95)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [95])
        assert live.visits[1].asked["last_id"] == "90"


async def test_a_server_that_has_gone_silent_is_left(heard: Heard) -> None:
    async def silent(visit: Visit) -> None:
        await visit.welcome(heartbeat_seconds=0.01)
        await visit.stay()

    async with ScriptedLive(silent, publishing(1)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1])


async def test_what_history_does_not_have_any_more_is_told(heard: Heard) -> None:
    async def script(visit: Visit) -> None:
        await visit.welcome()
        await visit.say("resync_required", cursor="40", reason="history_gone")
        await visit.publish(41)
        await visit.stay()

    async with ScriptedLive(script).running() as live:
        bus = bus_of(live, last_id="90")  # of a Redis that was emptied meanwhile
        await bus.subscribe(None, heard)
        bus.on_gap(heard.gap)
        async with listening(bus):
            await eventually(lambda: heard.ids == [41])
    assert heard.gaps == [Gap("40", "history_gone")]


async def test_a_handler_that_fails_is_told_and_harms_nobody(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    told: list[AnalyticsError] = []

    def broken(event: LiveEvent) -> None:
        raise KeyError(event.user_hash)

    async with ScriptedLive(publishing(1, 2)).running() as live:
        bus = bus_of(live, on_error=told.append)
        await bus.subscribe(None, broken)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1, 2])
    assert [type(error) for error in told] == [HandlerFailed] * 2
    assert isinstance(told[0].__cause__, KeyError)
    assert "abab" not in caplog.text


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_are_not_good_end_it_with_a_clear_error(heard: Heard, status: int) -> None:
    async with ScriptedLive(Refusal(status)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        with pytest.raises(SubscriptionRefused) as raised:
            await bus.start_listening()
    assert raised.value.status == status


async def test_credentials_that_have_ended_are_renewed_or_end_it(heard: Heard) -> None:
    tokens = iter(["first", "second"])

    async def fresh() -> str:
        return next(tokens)

    async def ends(visit: Visit) -> None:
        await visit.close(CREDENTIALS_ENDED)

    async with ScriptedLive(ends, publishing(1), ends).running() as live:
        bus = bus_of(live, token=fresh)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1])
        assert [visit.authorization for visit in live.visits] == ["Bearer first", "Bearer second"]
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        with pytest.raises(SubscriptionRefused, match=str(CREDENTIALS_ENDED)):
            await bus.start_listening()


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_asked_to_wait_waits(heard: Heard, status: int) -> None:
    async with ScriptedLive(Refusal(status, retry_after="3600")).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: live.refused >= 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(eventually(lambda: live.refused > 1), 0.2)
        # and `stop` does not wait for that


@pytest.mark.parametrize("status", [200, 404, 405])
async def test_another_service_is_told_from_the_read_service(heard: Heard, status: int) -> None:
    async with ScriptedLive(Refusal(status)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        with pytest.raises(SubscriptionRefused, match="is this the URL of the read service") as raised:
            await bus.start_listening()
        assert raised.value.status == status


async def test_a_read_service_that_was_there_is_waited_for_whatever_answers_meanwhile(heard: Heard) -> None:
    async def ends(visit: Visit) -> None:
        await visit.welcome()
        await visit.close(1012)

    async with ScriptedLive(ends, Refusal(404), publishing(1)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1])


async def test_a_bus_that_cannot_connect_warns_once(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedLive(*[Refusal(503)] * 3, publishing(1)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1])
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["not connected (status 503)"]


@pytest.mark.parametrize("wrong", [b"x", True, 3.5])
def test_what_is_no_id_of_a_learner_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="user_id"):
        EventBus("http://h", key="k", user_id=wrong)


async def test_types_that_are_wanted_later_are_heard_too(heard: Heard) -> None:
    async with ScriptedLive(publishing(1), publishing(2)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(["xp_earned"], heard)
        async with listening(bus):
            await eventually(lambda: heard.ids == [1])
            await bus.subscribe(["level_up"], lambda _: None)
            await eventually(lambda: heard.ids == [1, 2])
        assert [visit.asked for visit in live.visits] == [
            {"types": "xp_earned"},
            {"types": "level_up,xp_earned", "last_id": "1"},
        ]


async def test_events_can_be_looped_over(heard: Heard) -> None:
    async with ScriptedLive(publishing(1, 2, 3)).running() as live:
        bus = bus_of(live)
        found = []
        async for event in bus.events([EventType.XP_EARNED]):
            found.append(event.id)
            if event.id == "2":
                bus.stop()
        assert found == ["1", "2"]


async def test_stop_ends_it_between_two_events_and_it_may_listen_again(heard: Heard) -> None:
    async with ScriptedLive(publishing(1, 2, 3)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        await bus.subscribe(None, lambda event: bus.stop() if event.id == "2" else None)
        await bus.start_listening()
        assert heard.ids == [1, 2]
        async with listening(bus):
            await eventually(lambda: heard.ids == [1, 2, 3])
            with pytest.raises(RuntimeError, match="already"):
                await bus.start_listening()


async def test_plain_code_may_listen_and_any_thread_may_stop_it(heard: Heard) -> None:
    async with ScriptedLive(publishing(1)).running() as live:
        bus = bus_of(live)
        await bus.subscribe(None, heard)
        thread = threading.Thread(target=bus.run)
        thread.start()
        await eventually(lambda: heard.ids == [1])
        bus.stop()
        await asyncio.to_thread(thread.join)


async def test_what_cannot_work_is_refused_at_once(heard: Heard) -> None:
    for missing, url in (("ANALYTICS_DASHBOARD_URL", None), ("ANALYTICS_READ_KEY", "http://h")):
        with pytest.raises(ConfigurationError, match=missing):
            EventBus(url)
    with pytest.raises(ConfigurationError, match="user_id"):
        EventBus("redis://h", transport="redis", user_id=7)
    bus = EventBus("http://h", key="k")
    for types in (["party"], []):
        with pytest.raises(ConfigurationError):
            await bus.subscribe(types, heard)
    with pytest.raises(ConfigurationError, match="subscribe"):
        await bus.start_listening()


def test_there_is_one_bus_of_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DASHBOARD_URL", "https://answers.internal")
    monkeypatch.setenv("ANALYTICS_READ_KEY", "k")
    assert get_event_bus() is get_event_bus()
    assert get_event_bus(key="another") is not get_event_bus()


def test_what_the_environment_says_is_part_of_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_READ_KEY", "k")
    monkeypatch.setenv("ANALYTICS_DASHBOARD_URL", "https://answers.internal")
    before = get_event_bus()
    monkeypatch.setenv("ANALYTICS_DASHBOARD_URL", "https://elsewhere.internal")
    assert get_event_bus() is not before
