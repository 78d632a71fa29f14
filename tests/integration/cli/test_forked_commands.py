"""Commands that command_server.py forks cannot be told from real starts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.local.dev_file import NAME
from tests.support.commands import command_line, real_command_line
from tests.support.processes import arguments, children, is_running
from tests.support.scripted_ingest import Event, Saying, ScriptedIngest, accept_all
from tests.support.waiting import eventually

Start = Callable[..., list[str]]
STARTS = (real_command_line, command_line)
LINE = b'{"event_type":"xp_earned","user_id":"ada","properties":{"xp_amount":10}}\n'
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9"}


class Ended(NamedTuple):
    code: int
    out: bytes
    err: bytes


def run(start: Start, place: Path, line: str, redirection: str = "", **environment: str) -> Ended:
    """Run a command in a shell, without the frames of a traceback above cli/main.py."""
    script = f"umask 027; {shlex.join(start(*line.split()))} {redirection}"
    ended = subprocess.run(
        ["sh", "-c", script], cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    above = rb'(?s)(?<=\(most recent call last\):\n).*?(?=  File "[^"]*cli/main\.py")'
    return Ended(ended.returncode, ended.stdout, re.sub(above, b"", ended.stderr))


@pytest.mark.parametrize(
    ("line", "redirection", "environment", "code"),
    [
        ("--help", "", {"COLUMNS": "60"}, 0),
        ("--help", ">&-", {}, 0),
        ("--help", ">/dev/full", {}, 3),
        ("--help", "</dev/full >/dev/full 2>/dev/full", {}, 3),
        ("send", "", {}, 2),
        ("send - --url http://127.0.0.1:9 --key k", "<&-", {}, 2),
        ("send - --url http://127.0.0.1:9 --key k", "<&- >&- 2>&-", {}, 2),
        ("send f --data-dir .", "", {"PYTHONWARNINGS": "error"}, 1),
        ("send f --data-dir .", "2>/dev/full", {}, 1),
        ("dlq show \u0645\U0001f600", "", NOWHERE, 2),
        ("dlq show \u0645\U0001f600", "", NOWHERE | {"PYTHONIOENCODING": "cp1252"}, 2),
        ("dlq list", "", NOWHERE | {"PYTHONUNBUFFERED": "1"}, 3),
        ("doctor", "", {"ANALYTICS_BATCH_SIZE": "many"}, 2),
    ],
)
def test_code_and_output_are_the_same(
    tmp_path: Path, line: str, redirection: str, environment: dict[str, str], code: int
) -> None:
    # a URL that is not a text: an error that nobody expects
    fields = dict.fromkeys(("dashboard_url", "write_key", "read_key", "admin_key"), "x")
    fields |= dict.fromkeys(("jwt_secret", "database_url", "redis_url"), "")
    (tmp_path / NAME).write_text(json.dumps(fields | {"ingest_url": 5}))

    real, forked = (run(start, tmp_path, line, redirection, **environment) for start in STARTS)

    assert forked == real
    assert real.code == code
    assert (b"Traceback" in real.err) == (code == 1 and not redirection)


@pytest.mark.parametrize("start", STARTS)
def test_files_are_written_in_the_directory_with_the_rights_of_the_caller(tmp_path: Path, start: Start) -> None:
    ended = run(start, tmp_path, "demo --events 3 --out events")
    assert ended.code == 0, ended.err
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("start", STARTS)
def test_a_broken_pipe_is_1(start: Start) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run(start("--help"), stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (ended.returncode, ended.stderr) == (1, b"")


class Sending:
    """A command that sends what is written to its standard input."""

    def __init__(self, start: Start, url: str) -> None:
        command = start("send", "-", "--url", url, "--key", "key", "--batch-size", "1", "--json")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def write(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def end(self) -> Ended:
        out, err = self.process.communicate()
        return Ended(self.process.returncode, out, err)


@pytest.fixture
def came() -> threading.Event:
    """Set when an event came."""
    return threading.Event()


@pytest.fixture
def ingest(came: threading.Event) -> Iterator[ScriptedIngest]:
    def note(events: list[Event]) -> Saying:
        came.set()
        return accept_all(events)

    with ScriptedIngest(note).running() as server:
        yield server


@pytest.mark.parametrize("start", STARTS)
def test_standard_input_is_read_to_its_end(ingest: ScriptedIngest, start: Start) -> None:
    sending = Sending(start, ingest.url)
    sending.write(LINE * 2)
    ended = sending.end()
    assert (ended.code, json.loads(ended.out)["accepted"], len(ingest.requests)) == (0, 2, 2), ended.err


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_signal_reaches_the_command(
    ingest: ScriptedIngest, came: threading.Event, start: Start, number: signal.Signals, code: int
) -> None:
    # whoever runs the tests may ignore it
    before = None if number == signal.SIGKILL else signal.signal(number, signal.SIG_DFL)
    sending = Sending(start, ingest.url)
    if before is not None:
        signal.signal(number, before)
    sending.write(LINE * 2)
    assert came.wait(30)
    with sending.process as process:
        process.send_signal(number)
        assert process.stderr is not None
        # it ends with the command, whose standard input is still open
        err = process.stderr.read()
    assert process.returncode == code
    assert b"Traceback" not in err


def test_a_signal_that_the_caller_ignores_is_ignored(ingest: ScriptedIngest, came: threading.Event) -> None:
    def ignoring(*command: str) -> list[str]:
        return ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command_line(*command)]

    sending = Sending(ignoring, ingest.url)
    sending.write(LINE * 2)
    assert came.wait(30)
    sending.process.send_signal(signal.SIGHUP)
    assert sending.end().code == 0


SEND = """
import subprocess, sys
from tests.support.commands import command_line
command = command_line("send", "-", "--url", sys.argv[1], "--key", "key", "--batch-size", "1")
subprocess.run(command, stdin=sys.stdin)
"""


def test_commands_and_their_server_end_with_the_process_that_ran_them(
    ingest: ScriptedIngest, came: threading.Event
) -> None:
    with subprocess.Popen([sys.executable, "-c", SEND, ingest.url], stdin=subprocess.PIPE) as caller:
        assert caller.stdin is not None
        caller.stdin.write(LINE * 2)
        caller.stdin.flush()
        assert came.wait(30)
        [server] = [pid for pid, line in children(caller.pid).items() if "tests.support.command_server" in line]
        [command] = children(server)
        directory = Path(arguments(server).split()[-2])
        assert directory.is_dir()

        caller.kill()
        asyncio.run(eventually(lambda: not any(map(is_running, (server, command))) and not directory.exists()))
