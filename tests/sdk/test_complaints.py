"""Complaints of users of other SDKs, one test each. Each test is named after the complaint, which is false here."""

from __future__ import annotations

import gc
import inspect
import logging
import threading
import weakref
from typing import Any

import pytest
from studyin_analytics import (
    AnalyticsError,
    AnalyticsTracker,
    Client,
    EventRejected,
    HookFailed,
    InvalidEvent,
    SyncAnalyticsTracker,
)
from studyin_analytics.process_life import end_with_process

from tests.sdk.conftest import HOUR, MakesClients
from tests.support.scripted_ingest import Event, Saying, ScriptedIngest, accept_all, verdicts
from tests.support.sdk_scripts import run_script
from tests.support.waiting import eventually


def xp(client: Client, **said: Any) -> str:
    return client.track("xp_earned", user_id="u", properties={"xp_amount": 5}, **said)


def senders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "studyin-analytics"]


def test_flush_without_timeout_hangs(ingest: ScriptedIngest, client: Client) -> None:
    ingest.script = lambda _: Saying(503)
    xp(client)
    assert not client.flush(0.1)
    for kind in (Client, AnalyticsTracker, SyncAnalyticsTracker):
        for method in (kind.flush, kind.shutdown):
            assert inspect.signature(method).parameters["timeout"].default == 10.0


def test_an_oversize_event_makes_flush_hang(client: Client, told: list[AnalyticsError]) -> None:
    xp(client, event_id="x" * 40_000)
    assert client.flush(HOUR)
    [fault] = told
    assert isinstance(fault, InvalidEvent)
    assert fault.code == "event_too_large"


def test_an_oversize_event_raises_and_is_logged_whole(
    client: Client, told: list[AnalyticsError], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.track("xp_earned", user_id="ada@example.org" * 4_000, properties={"xp_amount": 5})
    assert len(told) == 1
    assert caplog.text
    assert "ada" not in caplog.text + repr(told)


def test_only_the_last_thread_is_joined(make_client: MakesClients) -> None:
    clients = [make_client() for _ in range(3)]
    for client in clients:
        xp(client)
    assert len(senders()) == 3
    for client in clients:
        assert client.shutdown(10)
    assert senders() == []


async def test_every_client_leaks_a_thread(ingest: ScriptedIngest) -> None:
    for _ in range(5):
        xp(Client(ingest.url, write_key="key"))  # not shut down
    gc.collect()
    await eventually(lambda: not senders())
    assert sum(map(len, ingest.requests)) == 5


def test_a_client_that_sends_nothing_starts_a_thread(client: Client) -> None:
    assert client.flush(HOUR)
    assert senders() == []


def test_events_of_a_short_process_are_lost(ingest: ScriptedIngest) -> None:
    run_script(
        "import sys, studyin_analytics as sdk\n"
        "tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key='key', flush_interval=3600)\n"
        "for amount in range(5): tracker.track_xp_earned(user_id='u', xp_amount=amount)\n",
        ingest.url,
    )
    assert sum(map(len, ingest.requests)) == 5


def test_the_end_of_a_process_hangs_on_an_ingest_that_is_away(ingest: ScriptedIngest) -> None:
    ingest.script = lambda _: Saying(503)
    done = run_script(
        "import sys, studyin_analytics as sdk\n"
        "tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key='key', exit_timeout=0.1, on_error=print)\n"
        "tracker.track_xp_earned(user_id='u', xp_amount=5)\n",
        ingest.url,
    )
    assert done.stdout == "1 events were dropped: not_sent_in_time\n"


def test_flush_waits_out_the_flush_interval(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    client = make_client(flush_interval=HOUR)
    xp(client)
    assert client.flush(10)
    assert len(ingest.requests) == 1


def test_flush_does_not_wait_for_what_is_in_flight(ingest: ScriptedIngest, client: Client) -> None:
    arrived, answer = threading.Event(), threading.Event()

    def slowly(events: list[Event]) -> Saying:
        arrived.set()
        answer.wait()
        return accept_all(events)

    ingest.script = slowly
    xp(client)
    accepted: list[tuple[bool, int]] = []
    flushing = threading.Thread(target=lambda: accepted.append((client.flush(HOUR), client.stats().accepted)))
    flushing.start()
    arrived.wait()
    assert not client.flush(0.05)
    assert accepted == []
    answer.set()
    flushing.join()
    assert accepted == [(True, 1)]


@pytest.mark.parametrize("method", ["shutdown", "flush"])
def test_on_error_that_calls_shutdown_deadlocks(ingest: ScriptedIngest, make_client: MakesClients, method: str) -> None:
    ingest.script = lambda events: verdicts(["rejected"] * len(events))
    told: list[str] = []

    def on_error(error: AnalyticsError) -> None:
        getattr(client, method)(HOUR)
        told.append(type(error).__name__)

    client = make_client(on_error=on_error, flush_at=2)
    xp(client)
    xp(client)
    assert client.shutdown(10)
    assert told == ["EventRejected"] * 2


def test_an_exception_of_on_error_ends_the_sender(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    ingest.script = lambda events: verdicts(["rejected"] * len(events))

    def on_error(_error: AnalyticsError) -> None:
        raise RuntimeError("of the application")

    client = make_client(on_error=on_error)
    for _ in range(2):
        xp(client)
        assert client.flush(10)
    assert client.stats().rejected == 2


def test_an_event_is_sent_although_before_send_raised(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], caplog: pytest.LogCaptureFixture
) -> None:
    def before_send(event: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(event["user_id"] + "@example.org")

    client = make_client(before_send=before_send)
    xp(client)
    assert client.flush(HOUR)
    assert ingest.requests == []
    [failed] = told
    assert isinstance(failed, HookFailed)
    assert isinstance(failed.__cause__, ValueError)
    assert client.stats().filtered == 1
    assert "@" not in caplog.text


@pytest.mark.parametrize("asked", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_is_ignored(ingest: ScriptedIngest, make_client: MakesClients, asked: str) -> None:
    ingest.script = lambda _: Saying(503, headers={"retry-after": asked})
    client = make_client(first_retry=0.001, longest_retry=0.001)
    xp(client)
    assert not client.flush(0.2)
    assert not client.flush(0.2)
    assert len(ingest.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_for_good_is_sent_again(
    ingest: ScriptedIngest, client: Client, told: list[AnalyticsError], status: int
) -> None:
    ingest.script = lambda _: Saying(status)
    xp(client)
    assert client.flush(10)
    assert len(ingest.requests) == 1
    assert isinstance(told[0], EventRejected)


def test_importing_it_configures_logging_or_prints() -> None:
    done = run_script(
        "import logging, studyin_analytics, studyin_analytics.middleware, studyin_analytics.testing\n"
        "assert logging.getLogger().handlers == [], logging.getLogger().handlers\n"
        "assert logging.getLogger('studyin_analytics').propagate\n"
        "assert logging.getLogger('studyin_analytics').level == logging.NOTSET\n"
    )
    assert done.stdout + done.stderr == ""


def test_every_client_is_kept_until_the_process_ends() -> None:
    class Ended:
        def end(self, timeout: float) -> None: ...
        def shutdown(self, timeout: float) -> bool:
            return True

    ended = Ended()
    end_with_process(ended, 1.0)
    gone = weakref.ref(ended)
    del ended
    gc.collect()
    assert gone() is None


def test_a_signal_handler_that_tracks_deadlocks() -> None:
    """The handler may interrupt the very call that it makes itself."""
    run_script(
        "import itertools, signal\n"
        "from studyin_analytics.testing import recording_sync_tracker\n"
        "tracker, recorded = recording_sync_tracker(max_queue=10**6)\n"
        "calls = itertools.count()\n"
        "def track(*_):\n"
        "    next(calls)\n"
        "    tracker.track_xp_earned(user_id='handler', xp_amount=1)\n"
        "signal.signal(signal.SIGALRM, track)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
        "for _ in range(10_000): tracker.track_xp_earned(user_id='main', xp_amount=1)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "tracked = next(calls)\n"
        "assert tracked\n"
        "assert tracker.shutdown(20)\n"
        "assert len(recorded.events) == 10_000 + tracked, (len(recorded.events), tracked)\n"
    )
