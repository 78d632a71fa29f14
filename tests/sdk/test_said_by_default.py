"""What an unconfigured script prints to stderr: each problem once, and the number of lost events."""

from __future__ import annotations

import pytest

from tests.support.scripted_ingest import Saying, ScriptedIngest, verdicts
from tests.support.sdk_scripts import run_script

SCRIPT = """
import sys, studyin_analytics as sdk
tracker = sdk.SyncAnalyticsTracker(sys.argv[1], write_key="key", exit_timeout=0.2, flush_at=10, first_retry=0.01)
for _ in range(50):
    tracker.track_xp_earned(user_id="u", xp_amount=1)
tracker.flush(0.2)
"""


def said(text: str, *arguments: str) -> list[str]:
    """Return the lines on stderr without the name of the logger."""
    lines = run_script(text, *arguments).stderr.splitlines()
    assert all(line.startswith("studyin_analytics: ") for line in lines), lines
    return [line.removeprefix("studyin_analytics: ") for line in lines]


def test_a_wrong_key_is_said_once_and_what_was_lost(ingest: ScriptedIngest) -> None:
    ingest.script = lambda _: Saying(401, {"code": "invalid_credentials", "detail": "Unknown API key."})
    assert said(SCRIPT, ingest.url) == [
        "ingest rejects this sender with status 401 (invalid_credentials): Unknown API key.",
        "50 events were dropped: not_sent_in_time",
    ]


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_url_is_said(ingest: ScriptedIngest, status: int) -> None:
    ingest.script = lambda _: Saying(status, {"code": "not_found", "detail": "There is nothing here."})
    assert sum("check that url is the URL of ingest" in line for line in said(SCRIPT, ingest.url)) == 1


def test_a_server_that_is_not_there_is_said_once_and_what_was_lost(ingest: ScriptedIngest) -> None:
    ingest.script = lambda _: None
    assert said(SCRIPT, ingest.url) == [
        "events are kept and retried: ProtocolError",
        "50 events were dropped: not_sent_in_time",
    ]


def test_what_is_rejected_or_invalid_is_said_once_and_counted_at_the_end(ingest: ScriptedIngest) -> None:
    ingest.script = lambda events: verdicts(["rejected"] * len(events))
    text = SCRIPT.replace("xp_amount=1)", 'xp_amount=1); tracker.track_xp_earned(user_id=b"u", xp_amount=1)')
    *kinds, last = said(text, ingest.url)
    assert [kind.split()[0] for kind in sorted(kinds)] == ["event", "xp_earned"]
    assert last == "100 events were lost: 50 invalid, 50 rejected"


def test_a_script_that_only_makes_wrong_calls_hears_of_it_too() -> None:
    text = SCRIPT.replace("xp_amount=1", "xp_amount=-1")
    assert said(text, "http://127.0.0.1:9")[-1] == "50 events were lost: 50 invalid"


def test_nothing_is_said_when_nothing_is_lost(ingest: ScriptedIngest) -> None:
    assert said(SCRIPT, ingest.url) == []


@pytest.mark.parametrize(
    "configured", ["logging.basicConfig(stream=sys.stdout)", "log.addHandler(logging.NullHandler())"]
)
def test_an_application_that_has_configured_logging_hears_it_there_alone(
    ingest: ScriptedIngest, configured: str
) -> None:
    ingest.script = lambda _: Saying(401)
    text = f"import logging, sys\nlog = logging.getLogger('studyin_analytics')\n{configured}\n{SCRIPT}"
    assert said(text, ingest.url) == []
