"""Forks and process ends: gunicorn's preload, Celery's prefork, children of multiprocessing."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.scripted_ingest import ScriptedIngest
from tests.support.sdk_scripts import run_script

BEGINNING = """
import multiprocessing, os, sys, threading
import studyin_analytics as sdk
tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key="key", flush_interval=3600)
"""

PRELOAD = """
for child in range(3):
    if os.fork() == 0:
        tracker.track_xp_earned(user_id=f"child{child}", xp_amount=1)
        os._exit(0 if tracker.flush(20) else 1)
assert [os.wait()[1] for _ in range(3)] == [0, 0, 0]
"""

PREFORK = """
tracker.track_xp_earned(user_id="before", xp_amount=1)
assert tracker.flush(20)
tracker.track_xp_earned(user_id="waiting", xp_amount=1)
for child in range(3):
    if os.fork() == 0:
        tracker.track_xp_earned(user_id=f"child{child}", xp_amount=1)
        os._exit(0 if tracker.flush(20) else 1)
assert [os.wait()[1] for _ in range(3)] == [0, 0, 0]
tracker.track_xp_earned(user_id="after", xp_amount=1)
"""

AMID_THREADS = """
over = threading.Event()
def track():
    while not over.is_set(): tracker.track_xp_earned(user_id="parent", xp_amount=1)
threads = [threading.Thread(target=track) for _ in range(3)]
for thread in threads: thread.start()
for child in range(20):
    if os.fork() == 0:
        tracker.track_xp_earned(user_id="child", xp_amount=1)
        os._exit(0 if tracker.flush(20) else 1)
    code = os.wait()[1]
    if code: break
over.set()
for thread in threads: thread.join()
assert code == 0
"""

MULTIPROCESSING = """
def work(name):
    tracker.track_xp_earned(user_id=name, xp_amount=1)
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(f"child{number}",)) for number in range(2)]
for child in children: child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
"""


def learners(ingest: ScriptedIngest) -> Counter[str]:
    return Counter(event["user_id"] for events in ingest.requests for event in events)


@pytest.mark.parametrize(
    ("program", "sent"),
    [
        (PRELOAD, {"child0": 1, "child1": 1, "child2": 1}),
        (PREFORK, {"before": 1, "waiting": 1, "child0": 1, "child1": 1, "child2": 1, "after": 1}),
        (MULTIPROCESSING, {"child0": 1, "child1": 1}),
    ],
    ids=["gunicorn_preload", "celery_prefork", "multiprocessing_without_shutdown"],
)
def test_every_process_sends_its_own_events_once(ingest: ScriptedIngest, program: str, sent: dict[str, int]) -> None:
    run_script(BEGINNING + program, ingest.url)
    assert learners(ingest) == sent


def test_a_fork_amid_threads_that_track_leaves_no_lock_behind(ingest: ScriptedIngest) -> None:
    run_script(BEGINNING + AMID_THREADS, ingest.url)
    assert learners(ingest)["child"] == 20


def test_a_fork_amid_threads_that_write_to_a_spool(ingest: ScriptedIngest, tmp_path: str) -> None:
    program = BEGINNING.replace("flush_interval=3600", "spool_dir=sys.argv[2]") + AMID_THREADS
    run_script(program, ingest.url, str(tmp_path))
    assert learners(ingest)["child"] == 20
    ids = [each for request in ingest.event_ids for each in request]
    assert len(ids) == len(set(ids))


def test_what_is_tracked_while_the_process_ends_is_sent(ingest: ScriptedIngest) -> None:
    run_script(
        "import atexit, sys\n"
        + BEGINNING
        + "atexit.register(lambda: tracker.track_xp_earned(user_id='late', xp_amount=1))\n",
        ingest.url,
    )
    assert learners(ingest) == {"late": 1}
