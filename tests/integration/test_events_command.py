"""`analytics events` as somebody at a terminal uses it."""

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
    """Two types of events of two learners, a minute apart; six hundred in all."""
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


async def test_a_person_sees_a_table_without_raw_ids(operator: Operator, anna: bytes) -> None:
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


async def test_what_cannot_be_meant_is_wrong_usage(operator: Operator) -> None:
    for arguments in WRONG:
        ended = await operator.run("events", *arguments)
        assert (ended.code, ended.out) == (2, ""), arguments


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
