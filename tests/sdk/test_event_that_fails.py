"""An event on which ingest fails: it delays no other, it is set aside and reported, and an outage accuses no event."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from studyin_analytics import AnalyticsError, Client, ConfigurationError, EventSetAside, SyncAnalyticsTracker
from studyin_analytics.dead_letters import DeadLetters, main
from studyin_analytics.spool import FILE_NAME, Spool
from studyin_analytics.stores import MemoryStore, Store
from studyin_analytics.suspicion import Suspicion

from tests.sdk.conftest import HOUR, MakesClients
from tests.support.scripted_ingest import Event, Saying, Script, ScriptedIngest, accept_all, verdicts
from tests.support.waiting import eventually

POISON = 666
MIB = 1024 * 1024


def xp(client: Client, amount: int = 5) -> str:
    return client.track("xp_earned", user_id="u", properties={"xp_amount": amount})


def is_poison(event: Event) -> bool:
    return bool(event["properties"]["xp_amount"] == POISON)


def failing_on_poison(events: list[Event]) -> Saying:
    return Saying(500) if any(map(is_poison, events)) else accept_all(events)


def defect_for_poison(events: list[Event]) -> Saying:
    said = verdicts(["retry" if is_poison(event) else "accepted" for event in events])
    for result in said.body["results"]:
        if result["status"] == "retry":
            result["code"] = "defect"
    return said


both_ways = pytest.mark.parametrize("script", [failing_on_poison, defect_for_poison])


@contextmanager
def steady(client: Client) -> Iterator[None]:
    """Track valid events during the block."""
    stop = threading.Event()

    def track() -> None:
        while not stop.wait(0.002):
            xp(client)

    thread = threading.Thread(target=track)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@both_ways
async def test_the_neighbours_of_one_bad_event_arrive_with_default_options(
    ingest: ScriptedIngest, script: Script
) -> None:
    ingest.script = script
    tracker = SyncAnalyticsTracker(ingest.url, write_key="key")
    for amount in [1] * 50 + [POISON] + [1] * 50:
        tracker.track_xp_earned(user_id="u", xp_amount=amount)
    await eventually(lambda: tracker.stats().accepted == 100)
    assert tracker.stats().pending == 1
    tracker.shutdown(0)


async def test_many_bad_events_in_a_row_hold_up_nobody(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    ingest.script = failing_on_poison
    client = make_client(longest_retry=HOUR)
    for amount in [1] * 20 + [POISON] * 40 + [1] * 40:
        xp(client, amount)
    client.flush(0)
    await eventually(lambda: client.stats().accepted == 60)


@both_ways
@pytest.mark.parametrize("place", ["spool", "file", "nowhere"])
async def test_an_event_that_fails_while_others_do_not_is_set_aside_and_told(
    ingest: ScriptedIngest,
    make_client: MakesClients,
    told: list[AnalyticsError],
    tmp_path: Path,
    script: Script,
    place: str,
) -> None:
    options: dict[str, dict[str, Any]] = {
        "spool": {"spool_dir": tmp_path},
        "file": {"dead_letter_file": tmp_path / "letters.ndjson"},
        "nowhere": {},
    }
    ingest.script = script
    client = make_client(flush_interval=0.001, max_event_attempts=3, **options[place])
    poison = xp(client, POISON)
    with steady(client):
        await eventually(lambda: told != [])
    assert client.flush(10)
    [aside] = told
    assert isinstance(aside, EventSetAside)
    assert (aside.event_id, aside.reason) == (poison, "defect" if script is defect_for_poison else "status 500")
    assert aside.tries > 3
    stats = client.stats()
    assert (stats.set_aside, stats.accepted, stats.pending) == (1, stats.tracked - 1, 0)
    match place:
        case "spool":
            assert aside.kept_in == str(tmp_path)
            assert [letter.event_id for letter in DeadLetters(tmp_path).list()] == [poison]
        case "file":
            assert aside.kept_in == str(tmp_path / "letters.ndjson")
            [line] = (tmp_path / "letters.ndjson").read_text().splitlines()
            assert json.loads(line)["event_id"] == poison
            assert (tmp_path / "letters.ndjson").stat().st_mode & 0o077 == 0
        case _:
            assert aside.kept_in is None
            assert any("x-analytics-dropped" in {name.lower() for name in headers} for headers in ingest.headers)


async def test_an_event_whose_id_was_taken_away_is_set_aside_like_any_other(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], tmp_path: Path
) -> None:
    def before_send(event: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in event.items() if name != "event_id"}

    ingest.script = failing_on_poison
    client = make_client(flush_interval=0.001, max_event_attempts=1, before_send=before_send, spool_dir=tmp_path)
    xp(client, POISON)
    with steady(client):
        await eventually(lambda: told != [])
    assert client.flush(10)
    assert isinstance(told[0], EventSetAside)
    assert [letter.event_id for letter in DeadLetters(tmp_path).list()] == [""]


@pytest.mark.parametrize("with_spool", [False, True])
async def test_an_ingest_that_fails_on_everything_accuses_nobody(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], tmp_path: Path, with_spool: bool
) -> None:
    ingest.script = lambda _: Saying(500)
    options = {"spool_dir": tmp_path} if with_spool else {}
    client = make_client(max_event_attempts=1, **options)
    ids = [xp(client) for _ in range(10)]
    client.flush(0)
    await eventually(lambda: len(ingest.requests) > 60)
    assert client.stats().pending == 10
    ingest.script = accept_all
    ingest.requests.clear()
    assert client.flush(10)
    assert sorted(each for request in ingest.event_ids for each in request) == sorted(ids)
    assert told == []


async def test_a_defect_of_every_event_accuses_nobody(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError]
) -> None:
    def defect(events: list[Event]) -> Saying:
        return defect_for_poison([event | {"properties": {"xp_amount": POISON}} for event in events])

    ingest.script = defect
    client = make_client(max_event_attempts=1)
    for _ in range(10):
        xp(client)
    client.flush(0)
    await eventually(lambda: len(ingest.requests) > 60)
    ingest.script = accept_all
    assert client.flush(10)
    assert (client.stats().accepted, told) == (10, [])


async def test_processes_that_share_a_spool_judge_together(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], tmp_path: Path
) -> None:
    ingest.script = failing_on_poison
    one = make_client(spool_dir=tmp_path, max_event_attempts=3)
    xp(one, POISON)
    one.flush(0)
    await eventually(lambda: len(ingest.requests) > 5)
    assert told == []  # `one` has nothing else to send
    with steady(make_client(spool_dir=tmp_path, flush_interval=0.001)):
        await eventually(lambda: told != [])
    assert isinstance(told[0], EventSetAside)


async def test_a_spool_goes_on_after_a_restart_where_it_was_stuck(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    ingest.script = lambda _: Saying(503)
    before = make_client(spool_dir=tmp_path)
    for amount in [POISON] + [1] * 99:
        xp(before, amount)
    assert not before.shutdown(0)
    ingest.script = failing_on_poison
    after = make_client(spool_dir=tmp_path)
    await eventually(lambda: after.stats().accepted == 99)
    assert after.stats().pending == 1


async def test_a_full_spool_is_not_held_up_by_its_oldest_event(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    ingest.script = lambda _: Saying(503)
    client = make_client(spool_dir=tmp_path, max_spool_bytes=1, max_event_attempts=1)
    xp(client, POISON)
    while not client.stats().dropped:
        xp(client)
    ingest.script = failing_on_poison
    await eventually(lambda: client.stats().accepted == client.stats().tracked - client.stats().dropped - 1)


async def test_what_was_set_aside_can_be_listed_sent_again_and_dropped(
    ingest: ScriptedIngest,
    make_client: MakesClients,
    told: list[AnalyticsError],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ingest.script = failing_on_poison
    client = make_client(spool_dir=tmp_path, flush_interval=0.001, max_event_attempts=1)
    ids = sorted(xp(client, POISON) for _ in range(2))
    with steady(client):
        await eventually(lambda: len(told) == 2)
    assert client.shutdown(10)
    assert main(["list", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(line["event_id"] for line in lines) == ids
    assert "user_id" not in lines[0]
    assert main(["drop", str(tmp_path), ids[0]]) == 0
    assert main(["send-again", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 events\n1 events\n"
    assert DeadLetters(tmp_path).list() == []
    ingest.script = accept_all
    ingest.requests.clear()
    make_client(spool_dir=tmp_path)
    await eventually(lambda: ingest.event_ids == [[ids[1]]])


def test_a_place_without_a_spool_has_no_dead_letters(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="spool_dir"):
        DeadLetters(tmp_path)


@pytest.mark.parametrize("wrong", [{"spool_dir": ".", "dead_letter_file": "x"}, {"dead_letter_file": "/nowhere/x"}])
def test_a_place_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="dead_letter_file"):
        Client("http://h", write_key="k", **wrong)


def test_a_spool_of_the_release_before_opens_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(
            "CREATE TABLE events (key INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL,"
            " maker TEXT NOT NULL, holder TEXT NOT NULL, held_until REAL NOT NULL);"
            "INSERT INTO events (body, maker, holder, held_until) VALUES ('1', 'x', 'x', 0);"
        )
    assert DeadLetters(tmp_path).list() == []
    assert DeadLetters(tmp_path).send_again() == 0
    spool = Spool(tmp_path, MIB, 30.0)
    [event] = spool.lease(9, MIB).events
    assert (spool.settle([event.key]), spool.settled) == (1, 1)
    spool.abandon()


class TestEveryStore:
    @pytest.fixture(params=["memory", "disk"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
        made: Store = Spool(tmp_path, MIB, 30.0) if request.param == "disk" else MemoryStore(100)
        yield made
        made.abandon()

    def test_a_suspect_is_leased_alone_when_its_time_has_come(self, store: Store) -> None:
        for body in (b"1", b"2", b"3"):
            store.put(body)
        [first, *_] = store.lease(9, MIB).events
        suspicion = Suspicion(2, 1, 5.0, 7)
        store.suspect(first.key, suspicion, HOUR)
        lease = store.lease(9, MIB)
        assert [event.body for event in lease.events] == [b"2", b"3"]
        assert lease.more_in is None
        assert lease.suspect_in is not None
        assert HOUR - 60 < lease.suspect_in <= HOUR
        assert store.lease_suspect() is None
        store.suspect(first.key, suspicion, 0)
        assert store.lease(9, MIB).suspect_in == 0
        assert store.lease_suspect() == first._replace(suspicion=suspicion)
        assert store.holds_through(first.key)

    def test_the_newest_event_that_is_no_suspect_can_be_leased(self, store: Store) -> None:
        assert store.lease_newest() is None
        for body in (b"1", b"2", b"3"):
            store.put(body)
        newest = store.lease_newest()
        assert newest is not None
        assert newest.body == b"3"
        store.suspect(newest.key, Suspicion(1, 0, 5.0, 0), 0)
        newest = store.lease_newest()
        assert newest is not None
        assert newest.body == b"2"

    def test_only_what_is_settled_speaks_for_ingest(self, store: Store) -> None:
        for body in (b"1", b"2", b"3"):
            store.put(body)
        one, two, three = store.lease(9, MIB).events
        store.suspect(one.key, Suspicion(1, 0, 5.0, 0), 0)
        assert store.set_aside(one, "status 500")
        assert not store.set_aside(one, "status 500")
        assert (store.settled, len(store)) == (0, 2)
        store.settle([two.key, three.key])
        assert store.settled == 2
        assert store.lease_suspect() is None


def test_suspicion_outlives_the_process_and_its_event_does_not_outlive_suspicion(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB, 30.0)
    spool.put(b"1")
    [event] = spool.lease(9, MIB).events
    spool.suspect(event.key, Suspicion(3, 2, 5.0, 7), 0)
    spool.abandon()
    after = Spool(tmp_path, MIB, 30.0)
    assert after.lease(9, MIB).events == []
    assert after.lease_suspect() == event._replace(suspicion=Suspicion(3, 2, 5.0, 7))
    after.settle([event.key])
    assert after.lease(9, MIB).suspect_in is None
    after.abandon()
