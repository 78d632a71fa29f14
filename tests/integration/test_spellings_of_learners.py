"""Different Unicode forms of an id mean the same learner, also where the previous release stored two."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextlib import nullcontext
from datetime import UTC, datetime
from unicodedata import normalize

import httpx
import pytest
from redis.asyncio import Redis

from cli.local.embedded import ports
from ingest.routes import TRACK
from ingest.server import acceptance_policy, serve
from runtime.lifecycle import Shutdown
from runtime.setting_values.pseudonym_keys import parse_keys
from runtime.settings import Settings
from schemas.entry import decode
from storage.database.pool import connect
from storage.privacy.erasure import request_erasure
from stream.registry.tombstones import publish_tombstones
from tests.integration.test_key_rotation import erase, export, send, store, total_xp
from tests.support.access import PSEUDONYM_KEYS, WRITE_KEY
from tests.support.entries import append_events, stream_entries
from tests.support.events import event
from tests.support.reading import bearer
from tests.support.waiting import eventually

COMPOSED, APART = (normalize(form, "jos\u00e9-garc\u00eda") for form in ("NFC", "NFD"))


def as_it_was_sent(user_id: str) -> bytes:
    """The pseudonym that the previous release computes."""
    return hmac.digest(parse_keys(PSEUDONYM_KEYS)[1], user_id.encode(), hashlib.sha256)


async def stored_before(redis: Redis, user_id: str, xp: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    one = event("xp_earned", {"xp_amount": xp}, number=xp, occurred_at=now, user_hash=as_it_was_sent(user_id))
    await append_events(redis, [one])


async def test_new_events_are_of_one_learner_in_whatever_form_they_come(settings: Settings, redis: Redis) -> None:
    await send(settings, redis, 1, user=COMPOSED)
    await send(settings, redis, 2, user=APART)
    assert len({decode(fields).user_hash for _, fields in await stream_entries(redis)}) == 1
    await store(settings, redis, 2)
    assert await total_xp(settings, COMPOSED) == await total_xp(settings, APART) == [3, 3, 3]


async def test_what_was_stored_under_each_form_is_answered_exported_and_erased(
    settings: Settings, redis: Redis
) -> None:
    await stored_before(redis, COMPOSED, 1)
    await stored_before(redis, APART, 2)
    await send(settings, redis, 4, user=APART)
    await store(settings, redis, 3)
    assert await total_xp(settings, COMPOSED) == await total_xp(settings, APART) == [7, 7, 7]
    assert (await export(settings, APART)).count("analytics_events") == 3
    await erase(settings, COMPOSED)
    assert await export(settings, APART) == []
    # a late event with each form, and one from ingest of the previous release
    await send(settings, redis, 8, user=APART)
    await send(settings, redis, 16, user=COMPOSED)
    await stored_before(redis, APART, 32)
    await store(settings, redis, 6)
    assert await total_xp(settings, APART) == [0, 0, 0]


@pytest.mark.parametrize("erased_as", [COMPOSED, APART])
async def test_who_was_erased_by_the_release_before_stays_erased(
    settings: Settings, redis: Redis, erased_as: str
) -> None:
    connection = await connect(settings.database_dsn, application_name="tests")
    await request_erasure(connection, [as_it_was_sent(erased_as)], "tests")
    await connection.close()
    await publish_tombstones(redis, [as_it_was_sent(erased_as)])
    await send(settings, redis, 1, user=COMPOSED)
    await send(settings, redis, 2, user=APART)
    await send(settings, redis, 4, user="ben")
    await store(settings, redis, 3)
    assert await total_xp(settings, COMPOSED) == [0, 0, 0]
    assert await total_xp(settings, "ben") == [4, 4, 4]


async def test_ingest_loads_tombstones_even_without_a_key_rotation(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutdown = Shutdown(0)
    monkeypatch.setattr("ingest.server.drain_on_signals", lambda _seconds: nullcontext(shutdown))
    await publish_tombstones(redis, [as_it_was_sent(APART)])
    port = ports.any_free()
    serving = asyncio.create_task(serve(Settings.model_validate(settings.model_dump() | {"ingest_port": port})))

    async def is_known() -> bool:
        sent = {"event_type": "xp_earned", "user_id": APART, "properties": {"xp_amount": 1}}
        async with httpx.AsyncClient(base_url=f"http://{ports.LOOPBACK}:{port}") as client:
            try:
                await client.post(TRACK, json=sent, headers=bearer(WRITE_KEY))
            except httpx.TransportError:
                return False
        hashes = {decode(fields).user_hash for _, fields in await stream_entries(redis)}
        return as_it_was_sent(APART) in hashes

    await eventually(is_known)
    shutdown.begin()
    await serving


def test_without_a_key_rotation_ingest_accepts_events_before_it_has_the_tombstones(settings: Settings) -> None:
    assert not acceptance_policy(settings).pseudonyms.is_undecided
