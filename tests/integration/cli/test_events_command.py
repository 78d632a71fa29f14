"""`analytics events` as used in a terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from runtime.settings import Settings
from tests.support.archive import archive
from tests.support.events import NOW, event
from tests.support.terminal import Ended, Operator

SESSION = UUID(int=7)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def operator(settings: Settings, tmp_path: Path) -> Operator:
    return Operator(settings, tmp_path)


@pytest.fixture
async def anna(settings: Settings, database: asyncpg.Connection) -> bytes:
    """Six hundred events of two types and two learners, a minute apart."""
    anna = settings.pseudonymizer().pseudonym("anna")
    await archive(
        database,
        [
            event(
                "level_up" if number % 100 == 0 else "xp_earned",
                {"xp_amount": number, "source": "a quiz"},
                number=number,
                occurred_at=NOW - number * MINUTE,
                session_id=SESSION if number < 10 else None,
                **({"user_hash": anna} if number % 2 else {}),
            )
            for number in range(1, 601)
        ],
    )
    return anna


def told(ended: Ended) -> list[int]:
    assert ended.code == 0, ended.err
    return [json.loads(line)["properties"]["xp_amount"] for line in ended.out.splitlines()]


async def test_events_are_found_as_over_http(operator: Operator, anna: bytes) -> None:
    listed = await operator.run("events", "--json", "--limit", "2", "--session", str(SESSION), "--user", "anna")
    newest, _ = (json.loads(line) for line in listed.out.splitlines())
    assert newest == {
        "event_id": newest["event_id"],
        "event_type": "xp_earned",
        "user_hash": anna.hex(),
        "session_id": str(SESSION),
        "occurred_at": (NOW - MINUTE).isoformat().replace("+00:00", "Z"),
        "received_at": NOW.isoformat().replace("+00:00", "Z"),
        "activity_date": (NOW - MINUTE).date().isoformat(),
        "schema_version": 1,
        "source": "tests",
        "properties": {"xp_amount": 1, "source": "a quiz"},
    }
    assert "2 events; --limit shows older ones" in listed.err
    assert told(await operator.run("events", "--json", "--user", "anna")) == list(range(1, 201, 2))
    # more than one page
    assert told(await operator.run("events", "--json", "--limit", "9999")) == list(range(1, 601))
    of_types = await operator.run("events", "--json", "--type", "level_up,streak_update")
    assert told(of_types) == list(range(100, 601, 100))
    until = (NOW - 5 * MINUTE).isoformat()
    window = ("--since", (NOW - 8 * MINUTE).isoformat(), "--until", until)
    assert told(await operator.run("events", "--json", *window)) == [6, 7, 8]
    assert told(await operator.run("events", "--json", "--type", "api_error")) == []


async def test_the_default_output_is_a_table_without_raw_ids(operator: Operator, anna: bytes) -> None:
    listed = await operator.run("events", "--user", "anna", "--limit", "3")
    assert listed.out.splitlines()[0].split() == ["occurred", "type", "learner", "session", "source", "properties"]
    assert len(listed.out.splitlines()) == 4
    assert anna.hex()[:12] in listed.out
    assert 'source="a quiz" xp_amount=1' in listed.out
    assert "\x1b" not in listed.out
    assert (await operator.run("events", "--type", "api_error")).out == ""


WRONG: list[tuple[str, ...]] = [
    ("--type", "nothing"),
    ("--since", "yesterday"),
    ("--since", "1h", "--until", "2h"),
]


ALMOST_ANY: list[tuple[str, ...]] = [
    ("events",),
    ("events", "--json"),
    ("dlq", "list"),
    ("dlq", "list", "--json"),
    ("keys", "list"),
    ("privacy", "audit"),
    ("privacy", "log"),
    ("privacy", "export", "anna"),
    ("verify",),
    ("doctor",),
    ("migrate", "status"),
]


@pytest.mark.parametrize("arguments", ALMOST_ANY, ids=" ".join)
async def test_a_terminal_that_is_not_utf_8_gets_escapes(
    operator: Operator, database: asyncpg.Connection, arguments: tuple[str, ...]
) -> None:
    anna = operator.settings.pseudonymizer().pseudonym("anna")
    named = {"achievement_id": "a", "achievement_name": "\u0645\u0631\u062d \U0001f600"}
    await archive(database, [event("achievement_earned", named, number=1, occurred_at=NOW - MINUTE, user_hash=anna)])
    ended = await operator.run(*arguments, PYTHONIOENCODING="cp1252")
    assert "Traceback" not in ended.err
    # no aggregate holds the event, and a test server need not be durable
    assert ended.code in {"verify": (1,), "doctor": (0, 3)}.get(arguments[0], (0,)), ended.err
    if arguments[0] == "events":
        assert "\\u0645\\u0631\\u062d \\ud83d\\ude00" in ended.out
    if arguments == ("events", "--json"):
        assert json.loads(ended.out)["properties"]["achievement_name"] == named["achievement_name"]


async def test_a_result_that_cannot_be_written_brings_no_traceback(operator: Operator, anna: bytes) -> None:
    for arguments in (("events",), ("events", "--json"), ("privacy", "export", "anna")):
        ended = await operator.run_into(Path("/dev/full"), *arguments)
        assert ended.code == 3
        assert "standard output cannot be written" in ended.err
        assert "Traceback" not in ended.err


async def test_bad_settings_are_2_for_doctor_too(operator: Operator) -> None:
    ended = await operator.run("doctor", "--json", ANALYTICS_BATCH_SIZE="many")
    assert ended.code == 2
    [finding] = json.loads(ended.out)["checks"]
    assert "ANALYTICS_BATCH_SIZE" in finding["detail"]


async def test_invalid_arguments_are_usage_errors(operator: Operator) -> None:
    for arguments in WRONG:
        ended = await operator.run("events", *arguments)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert arguments[0] in ended.err


async def test_a_search_is_on_record_with_whom_it_was_about(
    operator: Operator, anna: bytes, database: asyncpg.Connection
) -> None:
    await operator.run("events", "--user", "anna", "--type", "xp_earned", "--since", "2026-01-01", "--json")
    rows = await database.fetch("SELECT action, subject, span, outcome FROM audit_log ORDER BY entry_id")
    assert [(row["action"], row["outcome"], row["subject"]) for row in rows] == [
        ("events", "begun", anna),
        ("events", "done", anna),
    ]
    span = json.loads(rows[0]["span"])
    assert span.pop("until") > NOW.isoformat()
    assert span == {"type": "xp_earned", "since": "2026-01-01T00:00:00+00:00", "limit": "100"}
