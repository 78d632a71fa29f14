"""Subscribers receive the requested live events in order and once, or a notice that some are missing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from cli.local.embedded.valkey import Valkey
from dashboard.live.pace import Pace
from runtime.settings import Settings
from stream.keys import LIVE_STATE
from stream.server.connection import Redis, connect
from tests.support.access import EVENTS_KEY
from tests.support.following import FAST, SERVICE, Service, about, following, received, said
from tests.support.reading import bearer, learner_token
from tests.support.timeline import publish
from tests.support.waiting import eventually


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with following(settings) as service:
        yield service


async def test_the_first_frame_says_where_the_subscriber_stands(
    service: Service, settings: Settings, redis: Redis
) -> None:
    [known] = await publish(redis, [about(settings, "anna", 1)])
    async with service.connect() as socket:
        assert await said(socket) == {"type": "welcome", "cursor": known, "heartbeat_seconds": 15}
        new = await publish(redis, [about(settings, "anna", 2), about(settings, "ben", 3)])
        frame = await said(socket)
    assert (frame["type"], frame["cursor"]) == ("events", new[-1])
    assert [message["id"] for message in frame["events"]] == new
    assert [message["properties"]["xp_amount"] for message in frame["events"]] == [2, 3]


async def test_the_very_first_messages_of_a_system_arrive(service: Service, settings: Settings, redis: Redis) -> None:
    async with service.connect() as socket:
        assert (await said(socket))["cursor"] == "0"
        published = await publish(redis, [about(settings, "anna", number) for number in range(3)])
        assert await received(socket, 3) == published


async def test_over_reconnects_everything_comes_in_order_and_once(
    service: Service, settings: Settings, redis: Redis
) -> None:
    dice = random.Random(1)
    sizes = [dice.randint(1, 30) for _ in range(60)]
    published: list[str] = []

    async def publishing() -> None:
        for number, size in enumerate(sizes):
            group = [about(settings, "anna", number * 100 + one) for one in range(size)]
            published.extend(await publish(redis, group))
            await asyncio.sleep(0)

    got: list[str] = []
    cursor = (await publish(redis, [about(settings, "anna", 99_999)]))[-1]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publishing())
        while missing := sum(sizes) - len(got):
            async with service.socket(last_id=cursor) as socket:
                # disconnects at any point, with an unknown number of frames in transit
                got += await received(socket, dice.randint(1, min(40, missing)))
            cursor = got[-1]
    assert got == published


async def test_a_stream_of_server_sent_events_goes_on_where_it_was(
    service: Service, settings: Settings, redis: Redis
) -> None:
    async with service.events() as stream:
        assert await stream.next() == {"retry": "2000"}
        welcome = await stream.next()
        assert (welcome["event"], welcome["id"]) == ("welcome", "0")
        first = await publish(redis, [about(settings, "anna", 1, "level_up"), about(settings, "anna", 2)])
        arrived = [await stream.next(), await stream.next()]
    assert [(one["event"], one["id"]) for one in arrived] == [("level_up", first[0]), ("xp_earned", first[1])]
    assert f'"id":"{first[0]}","event_type":"level_up"' in arrived[0]["data"]
    # the header, which browsers send automatically, overrides the parameter
    async with service.events(SERVICE | {"Last-Event-ID": first[0]}, last_id=first[1]) as stream:
        frames = [await stream.next() for _ in range(3)]
    assert [one.get("id") for one in frames] == [None, first[0], first[1]]


async def test_only_the_types_and_the_learner_that_were_asked_for(
    service: Service, settings: Settings, redis: Redis
) -> None:
    async with (
        service.socket(types="level_up,streak_update") as of_types,
        service.socket(user_id="anna") as of_anna,
        service.socket(user_id="anna", types="level_up") as of_both,
    ):
        ids = await publish(
            redis,
            [
                about(settings, user, number, event_type)
                for number, (user, event_type) in enumerate(
                    [("anna", "xp_earned"), ("ben", "level_up"), ("anna", "level_up"), ("ben", "streak_update")]
                )
            ],
        )
        assert await received(of_types, 3) == ids[1:]
        assert await received(of_anna, 2) == [ids[0], ids[2]]
        assert await received(of_both, 1) == [ids[2]]


async def test_a_learner_is_sent_their_own_events_under_any_of_their_names(settings: Settings, redis: Redis) -> None:
    rotated = Settings.model_validate(
        settings.model_dump()
        | {"pseudonym_keys": f"{_secret(settings.pseudonym_keys)},2:{'ab' * 32}", "jwt_secret": settings.jwt_secret}
    )
    async with (
        following(rotated) as service,
        service.socket(bearer(learner_token("anna"))) as anna,
        service.socket(bearer(learner_token("ben")), user_id="ben") as ben,
    ):
        ids = await publish(
            redis,
            [
                about(settings, "anna", 1),
                about(settings, "ben", 2),
                about(rotated, "anna", 3),
                about(settings, "anna", 4)._replace(user_hash=None),
                about(rotated, "ben", 5),
            ],
        )
        assert await received(anna, 2) == [ids[0], ids[2]]
        assert await received(ben, 2) == [ids[1], ids[4]]


def _secret(value: object) -> str:
    reveal = getattr(value, "get_secret_value", None)
    assert reveal is not None
    return str(reveal())


async def test_a_heartbeat_says_how_far_the_subscriber_has_seen(settings: Settings, redis: Redis) -> None:
    async with (
        following(settings, Pace(poll=0.005, turn=0.02, heartbeat=0.1)) as service,
        service.socket(types="level_up") as socket,
        service.events(types="level_up") as stream,
    ):
        [passed] = await publish(redis, [about(settings, "anna", 1)])
        while (beat := await said(socket))["cursor"] != passed:
            assert beat["type"] == "heartbeat"
        while (line := await stream.next()).get("id") != passed:
            pass
    assert (line["event"], line["data"]) == ("heartbeat", f'{{"type":"heartbeat","cursor":"{passed}"}}')


@pytest.mark.parametrize("last_id", ["1", "9999999999999999"], ids=["gone", "from the future"])
async def test_a_subscriber_that_cannot_resume_must_resync_at_once(
    service: Service, settings: Settings, redis: Redis, last_id: str
) -> None:
    known = await publish(redis, [about(settings, "anna", number) for number in range(5)], keep=2)
    async with service.socket(last_id=last_id) as socket:
        end = known[-1]
        assert await said(socket) == {"type": "resync_required", "cursor": end, "reason": "history_gone"}
        assert await publish(redis, [about(settings, "anna", 9)]) == await received(socket, 1)
    async with service.events(last_id=last_id) as stream:
        assert [(await stream.next()).get("event") for _ in range(3)] == [None, "welcome", "resync_required"]


async def test_history_that_is_not_in_memory_is_read_again(settings: Settings, redis: Redis) -> None:
    known = [one for _ in range(3) for one in await publish(redis, [about(settings, "anna", n) for n in range(700)])]
    async with following(settings, capacity=100) as service, service.socket(last_id=known[0]) as socket:
        assert not service.hub.covers((int(known[0]),))
        assert await received(socket, len(known) - 1) == known[1:]
        assert await publish(redis, [about(settings, "anna", 9)]) == await received(socket, 1)


async def test_a_subscriber_that_reconnects_soon_after_a_restart_is_served_from_memory(
    service: Service, settings: Settings, redis: Redis
) -> None:
    known = await publish(redis, [about(settings, "anna", number) for number in range(20)])
    async with service.socket(last_id=known[4]) as socket, service.socket() as newcomer:
        assert service.hub.covers((int(known[0]),))
        assert await received(socket, 15) == known[5:]
        new = await publish(redis, [about(settings, "anna", 9)])
        assert await received(socket, 1) == await received(newcomer, 1) == new


async def test_an_id_from_another_process_is_not_treated_as_ahead(settings: Settings, redis: Redis) -> None:
    slow = Pace(poll=3600, turn=0.02)
    [before] = await publish(redis, [about(settings, "anna", 1)])
    async with following(settings, slow) as service, service.socket() as first:
        await eventually(lambda: service.hub.end == (int(before),))
        # this process has not read it yet
        [ahead] = await publish(redis, [about(settings, "anna", 2)])
        async with service.socket(last_id=ahead) as second:
            [new] = await publish(redis, [about(settings, "anna", 3)])
            assert await received(second, 1) == [new]
        await first.close()


async def test_an_emptied_redis_makes_every_subscriber_resync(
    service: Service, settings: Settings, redis: Redis
) -> None:
    async with service.socket() as socket, service.socket(types="level_up") as other:
        await publish(redis, [about(settings, "anna", 1)])
        await received(socket, 1)
        await redis.flushdb()
        for one in (socket, other):
            assert await said(one) == {"type": "resync_required", "cursor": "0", "reason": "history_gone"}
        new = await publish(redis, [about(settings, "anna", number, "level_up") for number in range(3)])
        assert await received(socket, 3) == new
        assert await received(other, 3) == new


async def test_a_gap_of_the_live_worker_is_reported(service: Service, settings: Settings, redis: Redis) -> None:
    async with service.socket() as socket:
        [known] = await publish(redis, [about(settings, "anna", 1)])
        await received(socket, 1)
        beyond = int(known) + 1_000_000
        await redis.hset(LIVE_STATE, mapping={"last": beyond, "floor": beyond})
        assert (await said(socket))["type"] == "resync_required"
        assert await publish(redis, [about(settings, "anna", 2)]) == await received(socket, 1)


async def test_a_message_of_another_form_is_passed_over(service: Service, settings: Settings, redis: Redis) -> None:
    async with service.socket() as socket:
        [known] = await publish(redis, [about(settings, "anna", 1)])
        await redis.zadd("analytics:timeline", {"no JSON": int(known) + 1})
        await redis.hset(LIVE_STATE, "last", int(known) + 1)
        new = await publish(redis, [about(settings, "anna", 2)])
        assert await received(socket, 2) == [known, *new]


async def test_a_client_that_does_not_read_hinders_nobody_and_misses_nothing(settings: Settings, redis: Redis) -> None:
    async with (
        following(settings, FAST, capacity=2_000) as service,
        service.socket() as fast,
        service.connect(bearer(EVENTS_KEY), max_queue=1) as slow,
    ):
        assert (await said(slow))["type"] == "welcome"
        published: list[str] = []
        # far more than the buffers of the kernel and of both sides hold for one client
        for _ in range(60):
            new = await publish(redis, [about(settings, "anna", number) for number in range(500)])
            assert await received(fast, len(new)) == new
            published += new
        got: list[str] = []
        notices = []
        while len(got) < len(published):
            frame = await said(slow)
            if frame["type"] == "events":
                got += [message["id"] for message in frame["events"]]
            else:
                notices.append(frame)
        assert got == published
        assert {"type": "behind"} in notices
        assert [one for one in notices if one["type"] == "resync_required"] == []
        new = await publish(redis, [about(settings, "anna", 1)])
        assert await received(slow, 1) == await received(fast, 1) == new


async def test_a_restart_of_redis_loses_nothing(own_valkey: Valkey, settings: Settings) -> None:
    own = Settings.model_validate(settings.model_dump() | {"redis_url": own_valkey.url})
    redis = connect(own)
    async with following(own, Pace(poll=0.005, turn=0.02, heartbeat=0.1)) as service, service.socket() as socket:
        before = await publish(redis, [about(own, "anna", number) for number in range(3)])
        assert await received(socket, 3) == before
        await asyncio.to_thread(own_valkey.stop)
        # still connected, with a notice
        for _ in range(3):
            assert await said(socket) == {"type": "heartbeat", "cursor": before[-1]}
        await asyncio.to_thread(own_valkey.start)
        await redis.aclose()
        redis = connect(own)
        after = await publish(redis, [about(own, "anna", number) for number in range(4)])
        assert await received(socket, 4) == after
    await redis.aclose()
