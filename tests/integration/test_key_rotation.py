"""After a rotation of the pseudonym key, every learner keeps their history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from cli.local import dev_access
from dashboard.server import open_services
from ingest.acceptance.accept import AcceptancePolicy
from ingest.routes import BATCH
from ingest.server import acceptance_policy, create_app
from processors.maintenance import process as maintenance
from runtime.errors import ConfigurationError
from runtime.setting_values.pseudonym_keys import parse_keys
from runtime.settings import Settings
from schemas.entry import decode
from stream.keys import stream_key
from stream.registry.tombstones import TombstoneSync, publish_tombstones, read_tombstones
from stream.server.connection import connect
from tests.support.access import ADMIN_KEY, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.reading import HEATMAP, OVERVIEW, PROGRESS, READER, answer, bearer, client_of, learner_token
from tests.support.terminal import Operator
from tests.support.waiting import eventually
from tests.support.working import working
from web.credentials import configured_keys


async def send(settings: Settings, redis: Redis, *xp: int, user: str = "anna") -> None:
    policy = acceptance_policy(settings)
    policy.pseudonyms.renew(await read_tombstones(redis) or frozenset())
    events = [{"event_type": "xp_earned", "user_id": user, "properties": {"xp_amount": amount}} for amount in xp]
    async with ingest(settings, redis, policy) as client:
        reply = await client.post(BATCH, json=events, headers=bearer(WRITE_KEY))
    assert reply.status_code == 202, reply.text


def ingest(settings: Settings, redis: Redis, policy: AcceptancePolicy) -> httpx.AsyncClient:
    app = create_app(settings, redis, asyncio.Event(), policy=policy)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest")


async def total_xp(settings: Settings, user: str = "anna") -> list[int]:
    """The answers for a service and for the learner."""
    async with open_services(settings) as services, client_of(services) as client:
        as_service = await answer(client, OVERVIEW, READER, user_id=user)
        as_learner = await answer(client, PROGRESS, bearer(learner_token(user)))
        heatmap = await answer(client, HEATMAP, READER, user_id=user)
    return [as_service["total_xp"], as_learner["current_xp"], sum(day["xp_earned"] for day in heatmap["days"])]


async def store(settings: Settings, redis: Redis, entries: int) -> None:
    async with working(settings):

        async def is_settled() -> bool:
            groups = await redis.xinfo_groups(stream_key(0))
            return any(group["entries-read"] == entries and not group["pending"] for group in groups)

        await eventually(is_settled)


@pytest.fixture
async def rotated(settings: Settings, tmp_path: Path) -> Settings:
    """The settings after a rotation by the command."""
    ended = await Operator(settings, tmp_path).run("keys", "rotate-pseudonym")
    assert ended.code == 0
    assert "restart one at a time" in ended.err
    return Settings.model_validate(settings.model_dump() | {"pseudonym_keys": ended.out.strip()})


async def test_a_new_key_costs_no_learner_their_history(settings: Settings, rotated: Settings, redis: Redis) -> None:
    await send(settings, redis, 1, 2)
    await store(settings, redis, 2)
    # readers first, then ingest; in between, old ingest and new readers run together
    assert await total_xp(rotated) == [3, 3, 3]
    await send(settings, redis, 4)
    await send(rotated, redis, 8, 16)
    await store(settings, redis, 5)
    assert await total_xp(rotated) == [31, 31, 31]

    old, new = settings.pseudonymizer().pseudonym("anna"), rotated.pseudonymizer().pseudonym("anna")
    assert rotated.pseudonymizer().all_pseudonyms("anna") == [new, old]
    names = [decode(fields).user_hash for _, fields in await stream_entries(redis)]
    assert names == [old, old, old, new, new]


async def test_export_and_erasure_reach_what_is_under_every_key(
    settings: Settings, rotated: Settings, redis: Redis
) -> None:
    await send(settings, redis, 1, 2)
    await send(rotated, redis, 4)
    await store(settings, redis, 3)
    assert (await export(rotated)).count("analytics_events") == 3
    await erase(rotated)
    assert await export(rotated) == []
    # late events from a process with the old key and from one with the new key
    await send(settings, redis, 1)
    await send(rotated, redis, 1)
    await store(settings, redis, 5)
    assert await total_xp(rotated) == [0, 0, 0]


async def test_erased_learners_stay_erased_after_a_key_rotation(
    settings: Settings, rotated: Settings, redis: Redis
) -> None:
    await send(settings, redis, 1, 2)
    await send(settings, redis, 5, user="ben")
    await store(settings, redis, 3)
    await erase(settings)
    await send(rotated, redis, 4)
    await send(rotated, redis, 6, user="ben")
    await store(settings, redis, 5)
    assert await total_xp(rotated) == [0, 0, 0]
    assert await total_xp(rotated, "ben") == [11, 11, 11]


async def test_ingest_refuses_events_until_it_has_the_tombstones(
    settings: Settings, rotated: Settings, redis: Redis
) -> None:
    policy = acceptance_policy(rotated)
    stop = asyncio.Event()
    following = asyncio.create_task(TombstoneSync(redis, policy.pseudonyms.renew).run(stop))
    async with ingest(rotated, redis, policy) as client:
        event = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 1}}
        refused = await client.post(BATCH, json=[event], headers=bearer(WRITE_KEY))
        assert (refused.status_code, refused.json()["code"]) == (503, "erasures_unknown")
        await publish_tombstones(redis, [settings.pseudonymizer().pseudonym("anna")])

        async def is_accepted() -> bool:
            return (await client.post(BATCH, json=[event], headers=bearer(WRITE_KEY))).status_code == 202

        await eventually(is_accepted)
    stop.set()
    await following
    [(_, fields)] = await stream_entries(redis)
    assert decode(fields).user_hash == settings.pseudonymizer().pseudonym("anna")
    assert not acceptance_policy(settings).pseudonyms.is_undecided, "one key needs no tombstones"


async def erase(settings: Settings, user: str = "anna") -> None:
    async with open_services(settings) as services, client_of(services) as client:
        admin = bearer(ADMIN_KEY)
        job = (await client.delete(f"/api/analytics/privacy/users/{user}", headers=admin)).json()
        stop = asyncio.Event()
        keeping_house = asyncio.create_task(maintenance.run(settings, stop))

        async def is_done() -> bool:
            receipt = (await client.get(f"/api/analytics/privacy/jobs/{job['job_id']}", headers=admin)).json()
            return bool(receipt["state"] == "done")

        await eventually(is_done)
        redis = connect(settings)

        async def is_known() -> bool:
            return bool(await read_tombstones(redis))

        await eventually(is_known)
        await redis.aclose()
        stop.set()
        await keeping_house


async def export(settings: Settings, user: str = "anna") -> list[str]:
    """Return the tables with rows of the learner, one name per row, except the audit log, which keeps them."""
    async with open_services(settings) as services, client_of(services) as client:
        path = f"/api/analytics/privacy/users/{user}/export"
        tables = (await client.get(path, headers=bearer(ADMIN_KEY))).json()["tables"]
    return [table for table, rows in tables.items() for _ in rows if table != "audit_log"]


def test_the_next_value_has_every_older_key(tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    before = parse_keys(dev_access.ensure_access(file, {}).pseudonym_keys)
    dev_access.rotate_pseudonym_keys(file)
    dev_access.rotate_pseudonym_keys(file)
    after = parse_keys(dev_access.ensure_access(file, {}).pseudonym_keys)
    assert list(after) == [3, 2, 1]
    assert after[1] == before[1]
    assert len(set(after.values())) == 3
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_operator_chooses_where_a_new_key_is_written(settings: Settings, tmp_path: Path) -> None:
    operator = Operator(settings, tmp_path)
    ended = await operator.run("keys", "rotate-pseudonym", "--out", str(tmp_path / "keys"))
    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert list(parse_keys((tmp_path / "keys").read_text())) == [2, 1]
    nothing = await operator.run("keys", "rotate-pseudonym", ANALYTICS_PSEUDONYM_KEYS="")
    assert nothing.code == 2


WEAK: Sequence[str | None] = (
    None,
    "",
    "1:" + "ab" * 31,
    "1:" + "5a" * 32,
    "1:" + "00" * 32,
    "1:" + b"changeme".hex() * 4,
    PSEUDONYM_KEYS + ",2:" + "0123456789abcdef" * 4,
    PSEUDONYM_KEYS + "," + PSEUDONYM_KEYS,
)


@pytest.mark.parametrize("keys", WEAK)
def test_in_production_nothing_starts_without_a_good_key(keys: str | None) -> None:
    with pytest.raises(ConfigurationError, match="ANALYTICS_PSEUDONYM_KEYS") as refused:
        Settings.model_validate({"environment": "production", "pseudonym_keys": keys}).pseudonymizer()
    assert not keys or keys not in str(refused.value)


def test_secrets_that_were_not_drawn_are_refused_in_production_only() -> None:
    weak = {"pseudonym_keys": PSEUDONYM_KEYS, "jwt_secret": "changeme" * 8, "api_key_secret": "x" * 40}
    in_production, in_dev = (Settings.model_validate(weak | {"environment": where}) for where in ("production", "dev"))
    with pytest.raises(ConfigurationError, match="ANALYTICS_JWT_SECRET is an example"):
        in_production.learner_secret()
    with pytest.raises(ConfigurationError, match="ANALYTICS_API_KEY_SECRET is an example"):
        configured_keys(in_production)
    assert in_dev.learner_secret() == "changeme" * 8
    assert configured_keys(in_dev).accepts_issued
