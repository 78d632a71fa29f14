"""Scripts of cases about the command line. Each command runs in a process of its own."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cases.case import Case
from tests.cases.scripts_of_answers import ask, track
from tests.cases.stage import Stage
from tests.support.access import EVENTS_KEY, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.commands import command_line
from tests.support.reading import OVERVIEW
from tests.support.terminal import Ended


async def run(stage: Stage, *arguments: str, stdin: bytes = b"", **environment: str) -> Ended:
    """Run a command until it exits. Returns its exit code and output."""
    settings = stage.system.settings
    child = await asyncio.create_subprocess_exec(
        *command_line(*arguments, "--data-dir", str(stage.directory)),
        env={
            "REDIS_URL": settings.redis_dsn,
            "DATABASE_URL": settings.database_dsn,
            "ANALYTICS_ENVIRONMENT": "dev",
            "ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "ANALYTICS_INGEST_URL": f"http://{stage.system.ingest}",
            "ANALYTICS_DASHBOARD_URL": f"http://{stage.system.dashboard}",
            "ANALYTICS_WRITE_KEY": WRITE_KEY,
            "ANALYTICS_READ_KEY": EVENTS_KEY,
            "PYTHONWARNINGS": "error",
            **environment,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await child.communicate(stdin)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return Ended(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def lines(user_id: str, count: int) -> bytes:
    return b"".join(
        json.dumps({"event_type": "xp_earned", "user_id": user_id, "properties": {"xp_amount": number}}).encode()
        + b"\n"
        for number in range(count)
    )


async def accepted(stage: Stage, file: Path) -> int:
    """Send a file and return how many events were accepted."""
    ended = await run(stage, "send", str(file), "--json")
    assert ended.code == 0, ended.err
    counts: dict[str, Any] = json.loads(ended.out)
    return int(counts["accepted"])


async def the_same_line_in_two_files(case: Case, stage: Stage) -> None:
    line = case.facts["files"]["monday.ndjson"]
    for name in case.facts["files"]:
        file = stage.directory / name
        file.write_text(line + "\n")
        assert await accepted(stage, file) == 1
    await stage.system.settled()
    user_id = json.loads(line)["user_id"]
    overview = await ask(stage.system, f"{OVERVIEW}?user_id={user_id}")
    assert overview.document["xp_earned"] == case.expected["xp_earned"]


async def gzip_with_an_end_of_line_behind_it(case: Case, stage: Stage) -> None:
    file = stage.directory / "big.ndjson.gz"
    file.write_bytes(gzip.compress(lines("trailing", 2000)) + b"\r\n")
    assert await accepted(stage, file) == case.expected["accepted"]


async def gzip_with_zeros_behind_it(case: Case, stage: Stage) -> None:
    file = stage.directory / "trail0.ndjson.gz"
    file.write_bytes(gzip.compress(lines("zeros", 5)) + bytes(512))
    assert await accepted(stage, file) == case.expected["accepted"]


async def send_from_standard_input(case: Case, stage: Stage) -> None:
    ended = await run(stage, "send", "-", stdin=lines("piped", 3))
    assert ended.code == case.expected["exit_code"], ended.err
    await stage.system.settled()
    overview = await ask(stage.system, f"{OVERVIEW}?user_id=piped")
    assert overview.document["xp_earned"] == 0 + 1 + 2


TITLES: Sequence[str] = ("النجمة الأولى", "First \N{GLOWING STAR}")


async def a_terminal_that_cannot_show_it(case: Case, stage: Stage) -> None:
    await track(
        stage.system,
        *(
            {
                "event_type": "achievement_earned",
                "user_id": "titled",
                "properties": {"achievement_id": f"title-{number}", "achievement_name": title},
            }
            for number, title in enumerate(TITLES)
        ),
    )
    for options in ((), ("--json",)):
        ended = await run(stage, "events", "--user", "titled", *options, PYTHONIOENCODING="cp1252")
        assert ended.code == case.expected["exit_code"], ended.err
        assert all(f"title-{number}" in ended.out for number in range(len(TITLES))), ended.out


async def tail_at_ingest(case: Case, stage: Stage) -> None:
    ended = await run(stage, "tail", "--url", f"http://{stage.system.ingest}")
    assert ended.code == case.expected["exit_code"], ended.err
