"""Foreign consumer groups are reported, measured, and ignored by trimming on request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processors.maintenance.chores import stream_chores
from processors.maintenance.lag_measurement import measure_needs
from runtime.diagnosis import Finding
from runtime.settings import Settings
from storage.database.pool import open_pool
from stream.diagnosis import diagnose
from stream.entries.lag import consistent_through
from stream.entries.learner_entries import remove_settled
from stream.entries.trimmer import trim
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.server.connection import Redis
from telemetry import leader_facts
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_events, stream_entries
from tests.support.events import event
from tests.support.terminal import Operator
from tests.support.working import working

KEY = stream_key(0)
AMPLE = 1024**3
AT_ONCE = timedelta(0)


@pytest.fixture(autouse=True)
async def settled_entries(settings: Settings, redis: Redis) -> None:
    """Append 3,000 entries that the store group has settled."""
    events = [event("session_start", number=number) for number in range(3_000)]
    await append_events(redis, events)
    async with working(settings.model_copy(update={"batch_size": 3_000})):
        await assert_nothing_lost(settings, accepted=[], sent={one.event_id for one in events})


async def foreign(redis: Redis) -> Finding:
    findings = await diagnose(redis, 1, datetime.now(UTC), 120, "server", ["ignored"])
    [found] = [one for one in findings if one.name == "stream.0.foreign_groups"]
    return found


def oldest_needed(kind: str) -> float:
    return leader_facts.OLDEST_NEEDED.facts[KEY, kind].value


def series() -> int:
    return len(leader_facts.OLDEST_NEEDED.facts)


async def test_a_group_that_nobody_reads_holds_the_trimmer_back_until_it_is_ignored(redis: Redis) -> None:
    await redis.xgroup_create(KEY, "spy", id="0")
    assert (await trim(redis, 0, AT_ONCE, AMPLE)).removed == 0
    assert (await trim(redis, 0, AT_ONCE, AMPLE, ["others"])).removed == 0
    assert (await trim(redis, 0, AT_ONCE, AMPLE, ["spy"])).removed == 3_000


async def test_an_ignored_group_does_not_stop_what_goes_early_for_want_of_memory(
    redis: Redis, settings: Settings
) -> None:
    await redis.xgroup_create(KEY, "spy", id="0")
    used = (await trim(redis, 0, timedelta(days=7), AMPLE)).bytes_used
    assert (await trim(redis, 0, timedelta(days=7), used // 2)).removed == 0
    assert (await trim(redis, 0, timedelta(days=7), used // 2, ["spy"])).removed > 1_000


async def test_what_an_ignored_group_has_in_hand_may_go_too_but_not_what_ours_need(redis: Redis) -> None:
    await redis.xgroup_create(KEY, "spy", id="0")
    await redis.xreadgroup("spy", "one", {KEY: ">"}, count=10)
    await redis.xgroup_create(KEY, LIVE_GROUP, id="0")
    assert (await trim(redis, 0, AT_ONCE, AMPLE, ["spy"])).removed == 0
    await redis.xgroup_setid(KEY, LIVE_GROUP, "$")
    assert (await trim(redis, 0, AT_ONCE, AMPLE, ["spy"])).removed == 3_000


async def test_an_erased_learner_does_not_wait_for_an_ignored_group(redis: Redis) -> None:
    await redis.xgroup_create(KEY, "spy", id="0")
    [(first, _), *_] = await stream_entries(redis)
    assert (await remove_settled(redis, 0, [first.decode()])).entries == 0
    assert (await remove_settled(redis, 0, [first.decode()], ["spy"])).entries == 1


async def test_maintenance_ignores_the_groups_of_the_setting(settings: Settings, redis: Redis) -> None:
    await redis.xgroup_create(KEY, "spy", id="0")
    small = settings.model_copy(update={"stream_max_bytes": 1024, "trim_ignore_groups": ("spy",)})
    pool = await open_pool(settings.database_dsn, size=1, application_name="tests")
    try:
        [trimming] = [chore for chore in stream_chores(small, redis, pool) if chore.name == "trim_streams"]
        await trimming.run()
    finally:
        await pool.close()
    assert await redis.xlen(KEY) < 3_000


async def test_the_doctor_names_a_foreign_group_and_what_it_holds(redis: Redis) -> None:
    assert ((await foreign(redis)).status, (await foreign(redis)).detail) == ("ok", "none")

    await redis.xgroup_create(KEY, "spy", id="0")
    found = await foreign(redis)
    assert "`spy`: 0 pending, 3000 undelivered, nothing delivered yet, holds entries since" in found.detail
    await redis.xreadgroup("spy", "one", {KEY: ">"}, count=10)
    last, _ = (await stream_entries(redis))[9]
    found = await foreign(redis)
    assert found.status == "warn"
    assert f"`spy`: 10 pending, 2990 undelivered, last delivered {last.decode()} (20" in found.detail
    assert found.fix is not None
    assert "ANALYTICS_TRIM_IGNORE_GROUPS" in found.fix

    await redis.xgroup_setid(KEY, "spy", "$")
    await redis.xack(KEY, "spy", *[entry_id for entry_id, _ in await stream_entries(redis)])
    found = await foreign(redis)
    assert (found.status, "holds nothing" in found.detail) == ("ok", True)


async def test_the_doctor_says_which_groups_are_ignored_and_does_not_warn_of_them(redis: Redis) -> None:
    await redis.xgroup_create(KEY, "ignored", id="0")
    found = await foreign(redis)
    assert found.status == "ok"
    assert found.detail.startswith("`ignored`")
    assert found.detail.endswith(", ignored")


async def test_group_names_with_invalid_or_control_characters_are_harmless(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    for name in (b"\xff\xfe", b"\x1b[31mred\nline", b"x" * 5_000):
        await redis.xgroup_create(KEY, name, id="0")
    assert (await trim(redis, 0, AT_ONCE, AMPLE)).removed == 0
    assert await consistent_through(redis, [0]) <= datetime.now(UTC)
    await measure_needs(redis, [0], [])
    ended = await Operator(settings, tmp_path).run("doctor")
    assert r"`\xff\xfe`" in ended.out
    assert r"\x1b[31mred\x0aline" in ended.out
    assert "\x1b[31m" not in ended.out
    assert "x" * 100 not in ended.out


async def test_the_age_of_what_each_kind_of_group_needs_is_measured(redis: Redis) -> None:
    await measure_needs(redis, [0], ["ignored"])
    assert [oldest_needed(kind) for kind in (STORE_GROUP, LIVE_GROUP, "other", "ignored")] == [0, 0, 0, 0]

    await redis.xgroup_create(KEY, "spy", id="0")
    await redis.xgroup_create(KEY, "ignored", id="0")
    await measure_needs(redis, [0], ["ignored"])
    assert oldest_needed("other") > 0
    assert oldest_needed("ignored") > 0
    assert oldest_needed(STORE_GROUP) == 0

    await redis.xgroup_destroy(KEY, "spy")
    await measure_needs(redis, [0], ["ignored"])
    assert oldest_needed("other") == 0


async def test_foreign_groups_do_not_add_metric_series(redis: Redis) -> None:
    await measure_needs(redis, [0], [])
    before = series()
    for number in range(50):
        await redis.xgroup_create(KEY, f"stranger-{number}", id="0")
    await measure_needs(redis, [0], [])
    assert series() == before
    found = await foreign(redis)
    assert found.detail.count("`stranger-") == 20
    assert found.detail.endswith("and 30 more")
