"""Event stores: one suite for memory and disk, and the additional guarantees of the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studyin_analytics import AnalyticsError, Client, ConfigurationError, EventsDropped
from studyin_analytics.spool import FILE_NAME, Spool
from studyin_analytics.stores import MemoryStore, Store, StoredEvent

from tests.sdk.conftest import MakesClients
from tests.support.scripted_ingest import Saying, ScriptedIngest, accept_all
from tests.support.sdk_scripts import ENVIRONMENT, run_script
from tests.support.waiting import eventually

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    opened: list[Spool] = []

    def open_(max_bytes: int = MIB, lease_seconds: float = 30.0, clock: Callable[[], float] | None = None) -> Spool:
        opened.append(Spool(tmp_path / "spool", max_bytes, lease_seconds, clock or Clock()))
        return opened[-1]

    yield open_
    for spool in opened:
        spool.abandon()


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, open_spool: Callable[..., Spool]) -> Store:
    return open_spool() if request.param == "disk" else MemoryStore(1_000)


def bodies(events: object) -> list[bytes]:
    assert isinstance(events, list)
    return [event.body for event in events if isinstance(event, StoredEvent)]


class TestEveryStore:
    def test_events_come_in_order_and_stay_until_they_are_settled(self, store: Store) -> None:
        for number in range(5):
            assert store.put(b"%d" % number) is None
        lease = store.lease(3, MIB)
        assert (bodies(lease.events), lease.more_in) == ([b"0", b"1", b"2"], 0.0)
        store.release([event.key for event in lease.events])
        lease = store.lease(9, MIB)
        assert (len(lease.events), len(store)) == (5, 5)
        assert store.settle([event.key for event in lease.events[:2]]) == 2
        assert store.settle([lease.events[0].key]) == 0
        store.release([event.key for event in lease.events[2:]])
        assert bodies(store.lease(9, MIB).events) == [b"2", b"3", b"4"]

    def test_a_lease_keeps_to_a_size_but_for_a_single_event(self, store: Store) -> None:
        for _ in range(3):
            store.put(b"12345")
        lease = store.lease(9, 12)
        assert (len(lease.events), lease.more_in) == (2, 0.0)
        store.release([event.key for event in lease.events])
        assert len(store.lease(9, 1).events) == 1

    def test_nothing_is_left_when_all_is_leased_and_settled(self, store: Store) -> None:
        assert store.lease(9, MIB).more_in is None
        store.put(b"1")
        lease = store.lease(9, MIB)
        assert (len(lease.events), lease.more_in) == (1, None)
        store.settle([lease.events[0].key])
        assert (len(store), list(store.lease(9, MIB).events)) == (0, [])

    def test_it_says_whether_what_was_put_so_far_is_still_here(self, store: Store) -> None:
        assert not store.holds_through(store.newest)
        store.put(b"1")
        first = store.newest
        store.put(b"2")
        lease = store.lease(1, MIB)
        assert store.holds_through(first)
        store.settle([lease.events[0].key])
        assert not store.holds_through(first)
        assert store.holds_through(store.newest)


class TestSpool:
    def test_everybody_sends_their_own_and_waits_for_their_own(self, open_spool: Callable[..., Spool]) -> None:
        one, other = open_spool(), open_spool()
        one.put(b"1")
        other.put(b"2")
        mine, theirs = one.lease(9, MIB), other.lease(9, MIB)
        assert bodies(mine.events) + bodies(theirs.events) == [b"1", b"2"]
        assert mine.more_in == 30.0
        one.settle([mine.events[0].key])
        assert not one.holds_through(one.newest)
        assert other.holds_through(other.newest)

    def test_what_somebody_does_not_send_is_sent_by_another(self, open_spool: Callable[..., Spool]) -> None:
        clock = Clock()
        killed, other = open_spool(clock=clock), open_spool(clock=clock)
        killed.put(b"1")
        killed.lease(1, MIB)
        assert bodies(other.lease(1, MIB).events) == []
        clock.now += 30
        assert bodies(other.lease(1, MIB).events) == [b"1"]
        assert bodies(killed.lease(1, MIB).events) == []
        assert killed.holds_through(killed.newest)

    def test_who_ends_in_order_leaves_the_rest_at_once(self, open_spool: Callable[..., Spool]) -> None:
        one, other = open_spool(), open_spool()
        one.put(b"1")
        assert one.abandon() == 0
        assert bodies(other.lease(1, MIB).events) == [b"1"]

    def test_it_grows_to_its_limit_and_takes_more_when_something_has_left(
        self, open_spool: Callable[..., Spool]
    ) -> None:
        spool = open_spool(max_bytes=64 * 1024)
        refusals = [spool.put(b"x" * 8_000) for _ in range(20)]
        assert set(refusals) == {None, "spool_full"}
        lease = spool.lease(9, MIB)
        assert spool.settle([event.key for event in lease.events]) == len(lease.events)
        assert spool.put(b"x") is None

    def test_only_its_owner_may_read_it(self, open_spool: Callable[..., Spool], tmp_path: Path) -> None:
        open_spool().put(b"1")
        assert {file.stat().st_mode & 0o077 for file in [tmp_path / "spool", *(tmp_path / "spool").iterdir()]} == {0}

    def test_a_place_where_nothing_can_be_kept_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigurationError, match="spool_dir"):
            Spool(tmp_path / "file", MIB, 1.0)


def xp(client: Client) -> str:
    return client.track("xp_earned", user_id="ada-the-learner", properties={"xp_amount": 5})


def sent(ingest: ScriptedIngest) -> list[str]:
    return sorted(each for request in ingest.event_ids for each in request)


def test_what_is_settled_leaves_no_trace_on_disk(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    client = make_client(spool_dir=tmp_path)
    for _ in range(50):
        xp(client)
    assert client.shutdown(10)
    assert len(sent(ingest)) == 50
    assert b"ada-the-learner" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


async def test_hours_without_ingest_and_a_restart_lose_nothing(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path, told: list[AnalyticsError]
) -> None:
    ingest.script = lambda _: Saying(503)
    before = make_client(spool_dir=tmp_path)
    ids = sorted(xp(before) for _ in range(30))
    assert not before.shutdown(0.05)
    ingest.script = accept_all
    ingest.requests.clear()
    make_client(spool_dir=tmp_path)
    await eventually(lambda: sent(ingest) == ids)
    assert told == []


TRACK_AND_WAIT = """
import sys, studyin_analytics as sdk
tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key="key", spool_dir=sys.argv[2], timeout=0.2)
for amount in range(50):
    sys.stdout.write(tracker.track_xp_earned(user_id="u", xp_amount=amount) + "\\n")
sys.stdout.write("done\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def tracked_by_a_service_that_is_killed(url: str, spool: Path) -> list[str]:
    service = subprocess.Popen(
        [sys.executable, "-c", TRACK_AND_WAIT, url, str(spool)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with service:
        assert service.stdout is not None
        ids = [line.strip() for line in iter(service.stdout.readline, "done\n")]
        service.send_signal(signal.SIGKILL)
    assert len(ids) == 50
    return ids


async def test_a_service_that_is_killed_loses_nothing(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    ingest.script = lambda _: None
    ids = tracked_by_a_service_that_is_killed(ingest.url, tmp_path)
    ingest.script = accept_all
    ingest.requests.clear()
    make_client(spool_dir=tmp_path)
    await eventually(lambda: set(sent(ingest)) == set(ids))


def test_processes_share_a_spool_and_each_event_is_sent_once(ingest: ScriptedIngest, tmp_path: Path) -> None:
    run_script(
        "import os, sys, studyin_analytics as sdk\n"
        "tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key='key', spool_dir=sys.argv[2], flush_at=10)\n"
        "tracker.track_xp_earned(user_id='parent', xp_amount=1)\n"
        "for child in range(3):\n"
        "    if os.fork() == 0:\n"
        "        for _ in range(100): tracker.track_xp_earned(user_id=child + 1, xp_amount=1)\n"
        "        os._exit(0 if tracker.flush(20) else 1)\n"
        "    tracker.track_xp_earned(user_id='parent', xp_amount=1)\n"
        "assert [os.wait()[1] for _ in range(3)] == [0, 0, 0]\n"
        "assert tracker.shutdown(20)\n",
        ingest.url,
        str(tmp_path),
    )
    assert len(sent(ingest)) == len(set(sent(ingest))) == 304
    assert (tmp_path / FILE_NAME).exists()


def test_a_full_spool_drops_counts_and_tells(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path, told: list[AnalyticsError]
) -> None:
    ingest.script = lambda _: Saying(503)
    client = make_client(spool_dir=tmp_path, max_spool_bytes=1)
    for _ in range(500):
        xp(client)
    stats = client.stats()
    assert stats.dropped
    assert stats.dropped + stats.pending == 500
    [dropped] = told
    assert isinstance(dropped, EventsDropped)
    assert dropped.reason == "spool_full"
