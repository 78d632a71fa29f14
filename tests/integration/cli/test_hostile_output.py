"""Foreign text in events, names, keys and answers cannot control the terminal that displays it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from runtime.clock import utc_now
from runtime.settings import Settings
from stream.registry.unmapped import add_unmapped
from stream.server.connection import Redis
from tests.support.archive import archive
from tests.support.commands import command_line
from tests.support.events import NOW, event
from tests.support.hostile import HOSTILE, steering
from tests.support.scripted_ingest import Saying, ScriptedIngest, verdicts
from tests.support.scripted_live import ScriptedLive, Visit, message
from tests.support.terminal import Operator

EVENT = '{"event_type":"xp_earned","user_id":"ada","properties":{"xp_amount":10}}\n'
SHOWN = [
    ("dlq", "list"),
    ("dlq", "list", "--json"),
    ("dlq", "show", "0:1-1"),
    ("events",),
    ("events", "--json"),
    ("privacy", "log"),
    ("privacy", "log", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("top", "--once", "--interval", "0.1"),
    ("top", "--once", "--json", "--interval", "0.1"),
    ("verify",),
]


@pytest.fixture
async def operator(settings: Settings, database: asyncpg.Connection, redis: Redis, tmp_path: Path) -> Operator:
    """An operator of a system with hostile text in every field that others can fill."""
    facts = {"achievement_id": "a", "achievement_name": HOSTILE}
    await archive(
        database,
        [event("achievement_earned", facts, number=1, occurred_at=NOW - timedelta(minutes=1), source=HOSTILE)],
    )
    await database.execute(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload) VALUES (0, '1-1', $1, $1, $2)",
        HOSTILE,
        json.dumps({"properties": HOSTILE}),
    )
    await database.execute(
        "INSERT INTO audit_log (at, actor, action, span, outcome, keep_until)"
        " VALUES (now(), $1, $1, $2, $1, now() + interval '31 days')",
        HOSTILE,
        json.dumps({"limit": HOSTILE}),
    )
    await add_unmapped(redis, {HOSTILE: 3}, utc_now())
    return Operator(settings, tmp_path)


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
async def test_what_is_stored_is_shown_escaped(operator: Operator, arguments: tuple[str, ...]) -> None:
    ended = await operator.run(*arguments)

    assert ended.code in (0, 1, 3), ended.err
    assert "Traceback" not in ended.err
    assert steering(ended.out + ended.err) == []
    if arguments[-1] == "--json":
        documents = [json.loads(line) for line in ended.out.splitlines()] if arguments[0] == "events" else ended.out
        assert HOSTILE in _texts(documents if isinstance(documents, list) else json.loads(documents))
    elif arguments[0] != "verify":
        assert "title" in ended.out


@pytest.mark.parametrize(("arguments", "columns"), [(("privacy", "log"), 3), (("dlq", "list"), 2)])
async def test_every_stored_text_of_a_record_is_shown_whole_with_its_controls_as_escapes(
    settings: Settings, database: asyncpg.Connection, tmp_path: Path, arguments: tuple[str, ...], columns: int
) -> None:
    # C0, C1 and bidi characters; short, so that no table column is cut
    stored, shown = "o:\x1b[2J\x9bm\u202ee\u2066", r"o:\x1b[2J\x9bm\u202ee\u2066"
    await database.execute(
        "INSERT INTO audit_log (at, actor, action, outcome, keep_until)"
        " VALUES (now(), $1, $1, $1, now() + interval '31 days')",
        stored,
    )
    await database.execute(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload)"
        " VALUES (0, '1-1', $1, $1, '{}')",
        stored,
    )

    ended = await Operator(settings, tmp_path).run(*arguments)

    assert (ended.code, ended.out.count(shown), steering(ended.out)) == (0, columns, [])


def _texts(document: object) -> str:
    match document:
        case dict():
            return "".join(map(_texts, document.values()))
        case list():
            return "".join(map(_texts, document))
        case _:
            return str(document)


async def run(place: Path, *arguments: str, **environment: str) -> tuple[int | None, str]:
    child = await asyncio.create_subprocess_exec(
        *command_line(*arguments),
        cwd=place,
        env={"PYTHONWARNINGS": "error", "COLUMNS": "500", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await child.communicate()
    return child.returncode, out.decode()


def problem(status: int) -> Saying:
    return Saying(status, {"code": HOSTILE, "detail": HOSTILE, "title": HOSTILE}, {"x-hostile": "\x1b[2J"})


@pytest.mark.parametrize(
    ("saying", "code"), [(problem(403), 3), (problem(400), 1), (verdicts(["rejected"]), 1), (Saying(202), 3)]
)
async def test_what_ingest_says_is_shown_escaped(tmp_path: Path, saying: Saying, code: int) -> None:
    name = HOSTILE.replace("/", "")
    (tmp_path / name).write_text(EVENT)
    with ScriptedIngest(lambda _events: saying).running() as ingest:
        ended, said = await run(tmp_path, "send", name, "--url", ingest.url, "--key", "k")

    assert (ended, steering(said)) == (code, [])
    if saying.status == 403:
        assert r"key refused): x\x1b]0;title" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", HOSTILE, "--url", "http://127.0.0.1:9", "--key", "k"],
        ["dlq", "show", HOSTILE],
        ["send", f"--{HOSTILE}"],
        [HOSTILE],
    ],
    ids=["file", "id", "option", "command"],
)
async def test_names_of_files_and_arguments_are_shown_escaped(tmp_path: Path, arguments: list[str]) -> None:
    ended, said = await run(tmp_path, *arguments, DATABASE_URL="postgresql://127.0.0.1:9/none")

    assert (ended, steering(said)) == (2, [])
    assert said.startswith("analytics: ")
    assert r"\x1b]0;title" in said


@pytest.mark.parametrize("as_json", [False, True])
async def test_events_that_are_followed_are_shown_escaped(tmp_path: Path, as_json: bool) -> None:
    named = message(2, "of_a_newer_release", note=HOSTILE)

    async def play(visit: Visit) -> None:
        await visit.welcome(1)
        await visit.say("events", events=[named], cursor="2")
        await visit.close(4401)

    async with ScriptedLive(play).running() as live:
        _, said = await run(
            tmp_path, "tail", *["--json"] * as_json, "--url", live.url, "--key", "k", ANALYTICS_ENVIRONMENT="dev"
        )

    assert steering(said) == []
    assert "title" in said
    assert "Traceback" not in said
