"""What a client reports and keeps when it ends, and what the next client reports about it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from studyin_analytics import AnalyticsError, EventSetAside, dead_letters
from studyin_analytics.spool import Spool
from studyin_analytics.stores import StoredEvent
from studyin_analytics.suspicion import Suspicion

from tests.sdk.conftest import MakesClients
from tests.support.scripted_ingest import Saying, ScriptedIngest, accept_all
from tests.support.waiting import eventually


def test_events_that_an_earlier_process_left_are_waited_for(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    ingest.script = lambda _: Saying(503)
    before = make_client(spool_dir=tmp_path)
    before.track("xp_earned", user_id=7, properties={"xp_amount": 1})
    assert not before.shutdown(0)

    after = make_client(spool_dir=tmp_path)
    assert not after.flush(0)
    ingest.script = accept_all
    assert after.flush(10)
    assert after.stats().accepted == 1


def test_shutdown_tells_that_events_of_an_earlier_process_are_left(
    ingest: ScriptedIngest, make_client: MakesClients, tmp_path: Path
) -> None:
    ingest.script = lambda _: Saying(503)
    for _ in range(2):
        client = make_client(spool_dir=tmp_path)
        client.track("xp_earned", user_id=7, properties={"xp_amount": 1})
        assert not client.shutdown(0)
    assert not make_client(spool_dir=tmp_path).shutdown(0)


def test_what_another_process_is_sending_is_not_waited_for(make_client: MakesClients, tmp_path: Path) -> None:
    other = Spool(tmp_path, 1_000_000, 30)
    other.put(b'{"event_id":"1"}')
    assert make_client(spool_dir=tmp_path).flush(0)
    other.abandon()


async def test_a_suspect_at_the_end_is_kept_as_a_dead_letter(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], tmp_path: Path
) -> None:
    ingest.script = lambda _: Saying(500)
    client = make_client(dead_letter_file=tmp_path / "letters")
    event_id = client.track("xp_earned", user_id=7, properties={"xp_amount": 1})
    client.flush(0)
    await eventually(lambda: bool(client._store.last_suspects()))
    assert not client.shutdown(0)

    assert json.loads((tmp_path / "letters").read_text())["event_id"] == event_id
    [aside] = told
    assert isinstance(aside, EventSetAside)
    assert (aside.event_id, aside.reason, aside.kept_in) == (event_id, "not_sent_in_time", str(tmp_path / "letters"))
    stats = client.stats()
    assert (stats.set_aside, stats.dropped, stats.pending) == (1, 0, 0)


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A spool with two dead letters."""
    spool = Spool(tmp_path, 1_000_000, 30)
    for key, event_id in enumerate(("one", "two"), start=1):
        spool.put(json.dumps({"event_id": event_id, "event_type": "\x7fx"}).encode())
        assert spool.set_aside(
            StoredEvent(key, spool.lease(10, 10_000).events[0].body, Suspicion(1, 1, 0.0, 0)), "status 500"
        )
    spool.abandon()
    return tmp_path


@pytest.mark.parametrize("action", ["list", "send-again", "drop"])
def test_an_id_that_is_of_no_dead_letter_is_said(
    letters: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dead_letters.main([action, str(letters), "one", "th\x1bree"]) == 1
    said = capsys.readouterr()
    assert said.err.endswith("no dead letter has the event_id th\\x1bree\n")
    assert said.out == "1 events\n" if action != "list" else json.loads(said.out)["event_id"] == "one"
    assert "\x7f" not in said.out


@pytest.mark.parametrize(("redirection", "code"), [("> /dev/full", 3), ("| true; exit ${PIPESTATUS[0]}", None)])
def test_output_that_cannot_be_written_brings_no_traceback(letters: Path, redirection: str, code: int | None) -> None:
    command = f"{sys.executable} -m studyin_analytics.dead_letters list {letters} {redirection}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == code or (code is None and ended.returncode in (0, 1))
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
