"""Two services may use the same id. Two different events of one service with the same id are reported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import asyncpg
import httpx
import pytest
from prometheus_client import REGISTRY

from dashboard.server import open_services
from ingest.server import acceptance_policy, create_app
from processors.store.id_conflicts import ROLLOUT, SKEW, kind_of
from runtime.setting_values.pseudonym_keys import with_new_key
from runtime.settings import Settings
from storage.batches.id_conflicts import ConflictKind, delete_conflicts
from storage.batches.staged_batch import Conflict
from storage.database.pool import open_pool
from stream.registry.key_changes import read_key_changes
from stream.server.connection import Redis
from telemetry.labels import IdDifference
from tests.support.access import PSEUDONYM_KEYS, READ_KEY
from tests.support.checker import assert_nothing_lost
from tests.support.events import NOW
from tests.support.reading import OVERVIEW, bearer, client_of
from tests.support.terminal import Operator
from tests.support.working import working

BATCH = "/api/analytics/events/batch"
SHOP, SCHOOL, SCHOOL_AGAIN = "shop-key-0123456789", "school-key-0123456789", "another-key-of-school"


@pytest.fixture(name="settings")
def of_two_services(settings: Settings) -> Settings:
    writes = [
        {"source": source, "key": key, "scopes": ["events:write"]}
        for source, key in (("shop", SHOP), ("school", SCHOOL), ("school", SCHOOL_AGAIN))
    ]
    reads = [{"source": "tests", "key": READ_KEY, "scopes": ["learning:read", "system:read"]}]
    return Settings.model_validate(settings.model_dump() | {"api_keys": [*writes, *reads]})


def xp(event_id: str | None = "order-4711", user: str = "ada", **changes: Any) -> dict[str, Any]:
    return {"event_type": "xp_earned", "user_id": user, "event_id": event_id, "properties": {"xp_amount": 5}} | changes


class Services:
    """Two services, ingest and its workers."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.settings = settings
        self._redis = redis
        self._ids: list[str] = []

    async def send(self, key: str, *events: dict[str, Any], settings: Settings | None = None) -> list[str]:
        """Send the events; return the ids assigned by ingest."""
        settings = settings or self.settings
        policy = acceptance_policy(settings)
        policy.pseudonyms.renew(frozenset())
        app = create_app(settings, self._redis, asyncio.Event(), policy=policy)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as client:
            reply = await client.post(BATCH, json=list(events), headers=bearer(key))
        assert reply.status_code == 202, reply.text
        given = [one["event_id"] for one in reply.json()["results"]]
        self._ids += given
        return given

    async def are_stored(self) -> None:
        async with working(self.settings):
            await assert_nothing_lost(self.settings, accepted=self._ids, sent=self._ids)

    async def total_xp(self, user: str) -> int:
        async with open_services(self.settings) as services, client_of(services) as client:
            reply = await client.get(OVERVIEW, params={"user_id": user}, headers=bearer(READ_KEY))
        total: int = reply.json()["total_xp"]
        return total


@pytest.fixture
def services(settings: Settings, redis: Redis) -> Services:
    return Services(settings, redis)


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """Return the number of conflicts that the metric has counted since the test began."""
    name = "analytics_event_id_conflicts_total"

    def now() -> dict[str, float]:
        return {one: REGISTRY.get_sample_value(name, {"differs": one}) or 0.0 for one in IdDifference}

    before = now()
    return lambda: {one: value - before[one] for one, value in now().items() if value > before[one]}


Counted = Callable[[], dict[str, float]]


async def conflicts(settings: Settings) -> list[tuple[str, str, str, int]]:
    database = await asyncpg.connect(settings.database_dsn)
    try:
        rows = await database.fetch(
            "SELECT source, stored_source, differs, events FROM event_id_conflicts ORDER BY differs, source"
        )
    finally:
        await database.close()
    return [tuple(row) for row in rows]


async def test_equal_ids_of_two_services_are_two_events(services: Services, counted: Counted) -> None:
    [one] = await services.send(SHOP, xp(user="ada"))
    [other] = await services.send(SCHOOL, xp(user="ben"))
    assert one != other
    await services.are_stored()
    assert [await services.total_xp(user) for user in ("ada", "ben")] == [5, 5]
    assert counted() == {}


async def test_two_keys_of_one_service_name_the_same_event(services: Services, counted: Counted) -> None:
    assert await services.send(SCHOOL, xp()) == await services.send(SCHOOL_AGAIN, xp())
    await services.are_stored()
    assert await services.total_xp("ada") == 5
    assert counted() == {}


async def test_a_uuid_names_the_same_event_whoever_sends_it(services: Services) -> None:
    for event_id in (str(uuid4()), str(uuid5(NAMESPACE_URL, "order-4711"))):
        assert await services.send(SHOP, xp(event_id)) == await services.send(SCHOOL, xp(event_id))
    await services.are_stored()
    assert await services.total_xp("ada") == 10


async def test_conflicts_of_ids_are_counted_and_reported(services: Services, counted: Counted, tmp_path: Path) -> None:
    own, shared = "order-4711", str(uuid4())
    view = {"event_type": "material_view", "properties": {"material_id": "limits-1"}}
    await services.send(SHOP, xp(own), xp(shared))
    await services.send(SHOP, xp(own), xp(own, "ben"), xp(own, "eve"), xp(own) | view)
    await services.send(SCHOOL, xp(shared, "ben") | view, xp(shared))
    await services.are_stored()
    assert counted() == {"learner": 2, "event_type": 2}
    assert await conflicts(services.settings) == [
        ("school", "shop", "event_type", 1),
        ("shop", "shop", "event_type", 1),
        ("shop", "shop", "learner", 2),
    ]
    ended = await Operator(services.settings, tmp_path).run("doctor", "--json")
    [told] = [one for one in json.loads(ended.out)["checks"] if one["name"] == "events.id_conflicts"]
    assert told["status"] == "warn"
    assert "2 from shop, of another learner than that of shop" in told["detail"]
    assert "1 from school, of another type than that of shop" in told["detail"]

    async with await open_pool(services.settings.database_dsn, size=1, application_name="tests") as pool:
        await delete_conflicts(pool, NOW + timedelta(days=2))
    assert await conflicts(services.settings) == []


async def test_a_doctor_finds_no_conflict_where_there_is_none(services: Services, tmp_path: Path) -> None:
    ended = await Operator(services.settings, tmp_path).run("doctor", "--json")
    [told] = [one for one in json.loads(ended.out)["checks"] if one["name"] == "events.id_conflicts"]
    assert (told["status"], told["detail"]) == ("ok", "none in 7 days")


async def test_a_repeat_after_a_change_of_the_key_of_pseudonyms_is_no_conflict(
    services: Services, counted: Counted
) -> None:
    rotated = Settings.model_validate(services.settings.model_dump() | {"pseudonym_keys": with_new_key(PSEUDONYM_KEYS)})
    await services.send(SHOP, xp())
    await services.send(SHOP, xp(), settings=rotated)
    view = {"event_type": "material_view", "properties": {"material_id": "limits-1"}}
    await services.send(SHOP, xp() | view, settings=rotated)
    await services.are_stored()
    assert counted() == {"event_type": 1}, "types are compared whatever the key"


async def test_a_change_of_the_key_is_recorded_once_with_its_first_event(services: Services, redis: Redis) -> None:
    await services.send(SHOP, xp())
    assert await read_key_changes(redis) == [], "a single key has replaced no other"
    rotated = Settings.model_validate(services.settings.model_dump() | {"pseudonym_keys": with_new_key(PSEUDONYM_KEYS)})
    await services.send(SHOP, xp(), settings=rotated)
    [change] = await read_key_changes(redis)
    await services.send(SHOP, xp(), settings=rotated)
    assert await read_key_changes(redis) == [change]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("first", "last", "is_told"),
    [
        (-2 * HOUR, -HOUR, True),
        (-HOUR, -SKEW, False),
        (-HOUR, HOUR, False),
        (-HOUR, ROLLOUT + HOUR, False),
        (HOUR, 2 * HOUR, False),
        (ROLLOUT, ROLLOUT + HOUR, True),
    ],
)
def test_two_pseudonyms_are_two_learners_only_under_one_key(first: timedelta, last: timedelta, is_told: bool) -> None:
    kind = kind_of(Conflict("shop", "school", False, NOW + first, NOW + last), [NOW])
    assert kind == (ConflictKind("shop", "school", "learner") if is_told else None)
    assert kind_of(Conflict("shop", "school", False, NOW + first, NOW + last), None) is None
