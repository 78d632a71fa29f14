"""`analytics send` with files and pipes, and the state after an interruption of each."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import command_line, real_command_line
from tests.support.scripted_ingest import Event, Saying, Script, ScriptedIngest, accept_all, verdicts

LINE = '{"event_type":"xp_earned","user_id":"dupper","properties":{"xp_amount":10}}\n'


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest(accept_all).running() as server:
        yield server


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def accepted(self) -> int:
        return int(json.loads(self.out)["accepted"])


@dataclass(frozen=True)
class Shell:
    """Runs commands in a directory."""

    place: Path
    url: str

    def run(self, file: str, *more: str, stdin: bytes | None = None, **environment: str) -> Ended:
        command = command_line("send", file, "--url", self.url, "--key", "key", "--json", *more)
        ended = subprocess.run(
            command, cwd=self.place, input=stdin, capture_output=True, check=False, env={**os.environ, **environment}
        )
        err = ended.stderr.decode()
        assert "Traceback" not in err
        return Ended(ended.returncode, ended.stdout.decode(), err)

    @property
    def names(self) -> set[str]:
        return {each.name for each in self.place.iterdir()}


@pytest.fixture
def shell(ingest: ScriptedIngest, tmp_path: Path) -> Shell:
    return Shell(tmp_path, ingest.url)


def distinct(ingest: ScriptedIngest) -> int:
    return len({each for ids in ingest.event_ids for each in ids})


def refusing_after(count: int, each: Script = accept_all) -> Script:
    """Answer this number of requests, then refuse the key."""
    answered = 0

    def answer(events: list[Event]) -> Saying | None:
        nonlocal answered
        answered += 1
        return each(events) if answered <= count else Saying(401)

    return answer


class TestIds:
    def test_the_same_line_in_two_files_counts_twice_and_in_one_file_once(
        self, ingest: ScriptedIngest, shell: Shell
    ) -> None:
        for name in ("monday.ndjson", "tuesday.ndjson"):
            (shell.place / name).write_text(LINE)
            assert shell.run(name).accepted == 1
        assert distinct(ingest) == 2
        (shell.place / "monday.ndjson").write_text(f"\n\r\n{LINE}")
        (shell.place / "link.ndjson").symlink_to("monday.ndjson")
        assert shell.run("monday.ndjson").code == shell.run("link.ndjson").code == 0
        assert distinct(ingest) == 2
        assert shell.run("monday.ndjson", "--input", "another").code == 0
        assert distinct(ingest) == 3

    def test_an_input_that_is_interrupted_anywhere_is_sent_as_if_it_were_not(
        self, ingest: ScriptedIngest, shell: Shell
    ) -> None:
        rng = random.Random(7)
        lines = [f'{{"n":{rng.randrange(4)}}}\n' for _ in range(30)]
        (shell.place / "f").write_text("".join(lines))
        options = ("--concurrency", "1", "--batch-size", "4")
        ingest.script = refusing_after(2)
        assert shell.run("f", *options).code == 3
        ingest.script = refusing_after(3)
        assert shell.run("f", *options).code == 3
        ingest.script = accept_all
        assert shell.run("f", *options).accepted == 30
        assert distinct(ingest) == 30
        assert shell.run("f", "--concurrency", "1").code == 0
        assert distinct(ingest) == 30

    def test_a_file_moved_with_its_progress_keeps_its_ids(self, ingest: ScriptedIngest, shell: Shell) -> None:
        (shell.place / "f").write_text('{"n":1}\n' * 10)
        ingest.script = refusing_after(2)
        assert shell.run("f", "--concurrency", "1", "--batch-size", "4").code == 3
        for suffix in ("", ".progress"):
            (shell.place / f"f{suffix}").rename(shell.place / f"g{suffix}")
        ingest.script = accept_all
        assert shell.run("g").accepted == 10
        assert distinct(ingest) == 10

    @pytest.mark.parametrize("restart", [False, True])
    def test_a_file_that_an_earlier_release_began_keeps_its_ids_by_number(
        self, ingest: ScriptedIngest, shell: Shell, restart: bool
    ) -> None:
        lines = [b'{"n":%d}' % (number // 2) for number in range(6)]
        (shell.place / "f").write_bytes(b"\n".join(lines))
        progress: dict[str, Any] = dict.fromkeys(("rejected", "rejected_bytes", "seconds"), 0)
        progress |= {"line": 2, "digest": hashlib.sha256(lines[1]).hexdigest(), "read": 2, "accepted": 2}
        (shell.place / "f.progress").write_text(json.dumps(progress))
        assert shell.run("f", *["--restart"] * restart).accepted == 6
        [sent] = ingest.event_ids
        whole = [f"line-{hashlib.sha256(b'%d %b' % (at, line)).hexdigest()}" for at, line in enumerate(lines, 1)]
        assert sent == (whole if restart else whole[2:])

    def test_a_run_is_not_taken_up_under_another_name(self, ingest: ScriptedIngest, shell: Shell) -> None:
        (shell.place / "f").write_text('{"n":1}\n' * 10)
        ingest.script = refusing_after(1)
        assert shell.run("f", "--input", "a", "--concurrency", "1", "--batch-size", "4").code == 3
        ended = shell.run("f", "--input", "b")
        assert (ended.code, "another --input" in ended.err) == (2, True)


class TestPipes:
    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_standard_input_is_sent(self, ingest: ScriptedIngest, shell: Shell, pack: Any) -> None:
        ended = shell.run("-", "--batch-size", "100", stdin=pack(b'{"n":1}\n' * 1_000))
        assert (ended.code, ended.accepted) == (0, 1_000), ended.err
        assert distinct(ingest) == 1_000
        assert shell.names == set()

    def test_a_named_pipe_is_sent(self, ingest: ScriptedIngest, shell: Shell) -> None:
        os.mkfifo(shell.place / "pipe")
        with subprocess.Popen(["sh", "-c", 'echo "{}" > pipe'], cwd=shell.place):
            assert shell.run("pipe").accepted == 1

    def test_repeated_input_counts_again_unless_it_is_named(self, ingest: ScriptedIngest, shell: Shell) -> None:
        for _ in range(2):
            shell.run("-", stdin=LINE.encode())
            shell.run("-", "--input", "day 1", stdin=LINE.encode())
        assert distinct(ingest) == 3

    def test_a_pipe_that_was_interrupted_is_sent_again_under_the_name_that_was_told(
        self, ingest: ScriptedIngest, shell: Shell
    ) -> None:
        content = b'{"n":1}\n' * 10
        ingest.script = refusing_after(2)
        ended = shell.run("-", "--concurrency", "1", "--batch-size", "4", stdin=content)
        assert ended.code == 3
        name = ended.err.partition("--input ")[2].partition(",")[0]
        ingest.script = accept_all
        assert shell.run("-", "--input", name, stdin=content).accepted == 10
        assert distinct(ingest) == 10
        ended = shell.run("-", "--restart", stdin=content)
        assert (ended.code, "--restart" in ended.err) == (2, True)

    def test_rejected_events_of_pipes_gather_in_a_file(self, ingest: ScriptedIngest, shell: Shell) -> None:
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        for number in range(2):
            ended = shell.run("-", stdin=b'{"n":%d}' % number)
            assert (ended.code, "stdin.rejected.ndjson" in ended.err) == (1, True)
        written = (shell.place / "stdin.rejected.ndjson").read_text().splitlines()
        assert [json.loads(line)["event"]["n"] for line in written] == [0, 1]
        assert shell.run("-", "--rejected", "mine", stdin=b"{}").code == 1
        assert len((shell.place / "mine").read_text().splitlines()) == 1
        # an unchanged event keeps its id when it is sent again
        ids = {each for sent in ingest.event_ids for each in sent}
        events = b"\n".join(json.dumps(json.loads(line)["event"]).encode() for line in written)
        shell.run("-", stdin=events)
        assert {each for sent in ingest.event_ids for each in sent} == ids

    def test_lines_are_not_read_where_rejected_ones_could_not_be_written(
        self, ingest: ScriptedIngest, shell: Shell
    ) -> None:
        ended = shell.run("-", "--rejected", "nowhere/at-all", stdin=b"{}")
        assert (ended.code, ingest.requests) == (2, [])
        assert "nowhere" in ended.err

    def test_a_reader_that_waits_for_its_pipe_can_be_interrupted(self, ingest: ScriptedIngest, shell: Shell) -> None:
        came = threading.Event()

        def note(events: list[Event]) -> Saying:
            came.set()
            return accept_all(events)

        ingest.script = note
        # its standard input must not end before the signal reaches it
        command = real_command_line("send", "-", "--url", shell.url, "--key", "key")
        command += ["--batch-size", "1"]
        with subprocess.Popen(
            command, cwd=shell.place, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            process.stdin.write(2 * LINE.encode())
            process.stdin.flush()
            assert came.wait(30)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        assert process.returncode == 130
        assert b"Traceback" not in err

    def test_a_closed_standard_input_is_wrong_usage(self, shell: Shell) -> None:
        send = shlex.join(command_line("send", "-", "--url", shell.url, "--key", "key"))
        ended = subprocess.run(
            ["sh", "-c", f"{send} <&-"], cwd=shell.place, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, "standard input is closed" in ended.stderr) == (2, True)


class TestGzip:
    @pytest.mark.parametrize("count", [5, 2_000])
    @pytest.mark.parametrize("behind", [b"\r\n", b"\n\n", b"garbage", b"\0" * 100, b""])
    def test_data_after_the_gzip_stream_is_skipped_and_reported(
        self, ingest: ScriptedIngest, shell: Shell, count: int, behind: bytes
    ) -> None:
        content = b"".join(b'{"n":%d}\n' % number for number in range(count))
        (shell.place / "big.ndjson.gz").write_bytes(gzip.compress(content) + behind)
        ended = shell.run("big.ndjson.gz")
        assert (ended.code, ended.accepted) == (0, count), ended.err
        assert ("not gzip" in ended.err) == bool(behind.strip(b"\0"))
        assert distinct(ingest) == count


class TestRejected:
    @pytest.mark.parametrize("place", ["nowhere/at-all", "a-link"])
    def test_an_unwritable_rejected_file_is_detected_before_events_are_sent(
        self, ingest: ScriptedIngest, shell: Shell, place: str
    ) -> None:
        (shell.place / "f").write_text(LINE * 3)
        (shell.place / "a-link").symlink_to("elsewhere")
        ended = shell.run("f", "--rejected", place)
        assert (ended.code, ingest.requests, place in ended.err) == (2, [], True)
        # nor when a run with recorded progress continues
        ingest.script = refusing_after(1)
        assert shell.run("f", "--batch-size", "1", "--concurrency", "1").code == 3
        requests = len(ingest.requests)
        assert (shell.run("f", "--rejected", place).code, len(ingest.requests)) == (2, requests)
        assert shell.names == {"f", "a-link", "f.progress"}

    @pytest.mark.parametrize("restart", [False, True])
    @pytest.mark.parametrize("trap", ["it is a symbolic link", "it has a second name", "it belongs to another user"])
    def test_a_file_that_is_not_ours_alone_is_refused_and_stays_as_it_is(
        self, ingest: ScriptedIngest, shell: Shell, trap: str, restart: bool
    ) -> None:
        (shell.place / "f").write_text(LINE)
        victim, rejected = shell.place / "victim", shell.place / "f.rejected.ndjson"
        victim.write_text("precious")
        if trap == "it is a symbolic link":
            rejected.symlink_to(victim)
        elif trap == "it has a second name":
            rejected.hardlink_to(victim)
        else:
            rejected.write_text("theirs")
            if os.geteuid() != 0:
                pytest.skip("only root can give a file away")
            os.chown(rejected, 12_345, 12_345)
        before = rejected.read_text()
        ingest.script = lambda events: verdicts(["rejected"] * len(events))

        ended = shell.run("f", *["--restart"] * restart)

        [said] = [line for line in ended.err.splitlines() if line.startswith("analytics: ")]
        assert (ended.code, said.startswith(f"analytics: f.rejected.ndjson: {trap}")) == (2, True), ended.err
        assert ingest.requests == []
        assert (rejected.read_text(), victim.read_text()) == (before, "precious")
        assert shell.names == {"f", "victim", "f.rejected.ndjson"}

    def test_rejections_of_an_earlier_run_are_kept(self, ingest: ScriptedIngest, shell: Shell) -> None:
        (shell.place / "f").write_text(LINE)
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        assert shell.run("f").code == 1
        former = (shell.place / "f.rejected.ndjson").read_text()
        ingest.script = lambda _events: Saying(403)
        ended = shell.run("f", "--restart")
        assert ended.code == 3
        assert "nothing is acknowledged yet" in ended.err
        assert "to resume" not in ended.err
        assert (shell.place / "f.rejected.ndjson.1").read_text() == former
        ingest.script = accept_all
        assert shell.run("f").code == 0
        assert shell.names == {"f", "f.rejected.ndjson.1"}

    def test_a_command_without_a_file_names_it(self) -> None:
        ended = subprocess.run(command_line("send"), capture_output=True, text=True, check=False)
        assert (ended.returncode, "FILE" in ended.stderr) == (2, True), ended.stderr


class TestDisk:
    def test_a_full_disk_does_not_lose_progress(self, ingest: ScriptedIngest, shell: Shell) -> None:
        (shell.place / "f").write_text("".join(f'{{"event_id":"{number}"}}\n' for number in range(8)))
        options = ("--concurrency", "1", "--batch-size", "4", "--url", shell.url, "--key", "key")
        send = shlex.join(real_command_line("send", "f", *options))
        ended = subprocess.run(
            ["sh", "-c", f"ulimit -f 0; exec {send}"], cwd=shell.place, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
        assert "File too large" in ended.stderr
        assert shell.names == {"f"}
        assert shell.run("f").accepted == 8
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        full = shell.run("f", "--rejected", "/dev/full")
        assert (full.code, "No space left" in full.err) == (3, True)
        assert Path("/dev/full").is_char_device()

    def test_a_result_that_cannot_be_written_is_3_and_the_file_is_sent(
        self, ingest: ScriptedIngest, shell: Shell
    ) -> None:
        (shell.place / "f").write_text(LINE)
        send = shlex.join(command_line("send", "f", "--url", shell.url, "--key", "key"))
        for stream in (">/dev/full", ">/dev/full 2>/dev/full"):
            ended = subprocess.run(
                ["sh", "-c", f"{send} {stream}"], cwd=shell.place, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 3
            assert "Traceback" not in ended.stderr
        assert len(ingest.requests) == 2
        assert shell.names == {"f"}

    def test_messages_that_cannot_be_written_do_not_end_the_sending(self, ingest: ScriptedIngest, shell: Shell) -> None:
        (shell.place / "f").write_text(LINE)
        send = shlex.join(command_line("send", "f", "--json", "--url", shell.url, "--key", "key"))
        ended = subprocess.run(
            ["sh", "-c", f"{send} 2>/dev/full"], cwd=shell.place, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, json.loads(ended.stdout)["accepted"]) == (0, 1)
