"""Sending a file over real HTTP: retries, rejections and interruptions."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.sending.delivery import IngestClient, RetryPolicy
from cli.sending.event_lines import EventFileDamaged
from cli.sending.ingest_answers import IngestUnavailable
from cli.sending.input_sender import InputSender
from cli.sending.journal import FileJournal, Progress
from cli.target import Target
from runtime.errors import ConfigurationError
from tests.support.commands import command_line
from tests.support.scripted_ingest import Event, Saying, Script, ScriptedIngest, accept_all, verdicts


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest(accept_all).running() as server:
        yield server


class Sender:
    """Sends files to a server without waiting between attempts, and records the waits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.waits: list[float] = []
        self.seconds = 0.0

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def _ingest(self, client: httpx.AsyncClient) -> IngestClient:
        return IngestClient(
            client,
            RetryPolicy(give_up_after=60),
            sleep=self._sleep,
            clock=lambda: self.seconds,
            random_fraction=lambda: 0.0,
        )

    async def deliver(self, *ids: str) -> list[tuple[str, str | None]]:
        async with Target(self.url, "key").open(1) as client:
            found = await self._ingest(client).deliver([json.dumps({"event_id": each}).encode() for each in ids])
        assert [verdict.index for verdict in found] == list(range(len(ids)))
        return [(verdict.status, verdict.code) for verdict in found]

    async def send(self, file: Path, *, batch_size: int = 2, concurrency: int = 1, restart: bool = False) -> Progress:
        async with Target(self.url, "key").open(concurrency) as client:
            sender = InputSender(file, self._ingest(client), FileJournal(file, restart=restart), clock=time.monotonic)
            return await sender.send(batch_size=batch_size, concurrency=concurrency)


@pytest.fixture
def sender(ingest: ScriptedIngest) -> Sender:
    return Sender(ingest.url)


def in_turn(*script: Script) -> Script:
    """Answer each request with the next answer of the script; repeat the last one."""
    left = list(script)
    return lambda events: (left.pop(0) if len(left) > 1 else left[0])(events)


def saying(status: int, **headers: str) -> Script:
    return lambda _events: Saying(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def event_file(directory: Path, count: int) -> Path:
    file = directory / "events.ndjson"
    file.write_text("".join(json.dumps({"event_id": str(number)}) + "\n" for number in range(1, count + 1)))
    return file


def names_in(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


def rejected(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (file.parent / f"{file.name}.rejected.ndjson").read_text().splitlines()]


class TestDelivery:
    async def test_a_request_is_what_ingest_expects(self, ingest: ScriptedIngest, sender: Sender) -> None:
        assert await sender.deliver("a", "b") == [("accepted", None)] * 2
        assert ingest.event_ids == [["a", "b"]]
        [headers] = ({name.lower(): value for name, value in each.items()} for each in ingest.headers)
        assert headers[":path"] == "/api/analytics/events/batch"
        assert headers["authorization"] == "Bearer key"
        assert headers["content-type"] == "application/json"
        assert headers["content-encoding"] == "gzip"

    async def test_only_what_ingest_asks_for_is_sent_again(self, ingest: ScriptedIngest, sender: Sender) -> None:
        ingest.script = in_turn(
            lambda _: verdicts(["accepted", "retry", "rejected", "retry"]),
            lambda _: verdicts(["retry", "accepted"]),
            accept_all,
        )
        assert await sender.deliver("a", "b", "c", "d") == [
            ("accepted", None),
            ("accepted", None),
            ("rejected", "rejected_by_test"),
            ("accepted", None),
        ]
        assert ingest.event_ids == [["a", "b", "c", "d"], ["b", "d"], ["b"]]

    @pytest.mark.parametrize("trouble", [saying(503), saying(429), saying(529), lambda _: None])
    async def test_temporary_failures_are_retried(
        self, ingest: ScriptedIngest, sender: Sender, trouble: Script
    ) -> None:
        ingest.script = in_turn(trouble, trouble, trouble, accept_all)
        assert await sender.deliver("a", "b") == [("accepted", None)] * 2
        assert ingest.event_ids == [["a", "b"]] * 4
        assert sender.waits == sorted(sender.waits)
        assert len(set(sender.waits)) == 3

    async def test_retry_after_is_honoured(self, ingest: ScriptedIngest, sender: Sender) -> None:
        ingest.script = in_turn(saying(503, retry_after="7"), saying(429, retry_after="5"), accept_all)
        await sender.deliver("a")
        assert [int(wait) for wait in sender.waits] == [7, 5]

    async def test_it_gives_up_after_nothing_but_failures(self, ingest: ScriptedIngest, sender: Sender) -> None:
        ingest.script = saying(503, retry_after="25")
        with pytest.raises(IngestUnavailable, match="503"):
            await sender.deliver("a")
        assert 60 <= sender.seconds < 90

    async def test_it_goes_on_as_long_as_something_is_accepted(self, ingest: ScriptedIngest, sender: Sender) -> None:
        def one_at_a_time(events: list[Event]) -> Saying:
            said = verdicts(["accepted"] + ["retry"] * (len(events) - 1))
            return Saying(said.status, said.body, {"retry-after": "50"})

        ingest.script = one_at_a_time
        assert await sender.deliver(*"abcde") == [("accepted", None)] * 5
        assert sender.seconds > 180

    async def test_a_limit_of_our_key_is_no_failure(self, ingest: ScriptedIngest, sender: Sender) -> None:
        limited = saying(429, retry_after="50")
        ingest.script = in_turn(*[limited] * 5, accept_all)
        assert await sender.deliver("a") == [("accepted", None)]
        assert [int(wait) for wait in sender.waits] == [50] * 5

    @pytest.mark.parametrize("status", [401, 403, 404])
    async def test_a_refused_key_is_not_tried_again(self, ingest: ScriptedIngest, sender: Sender, status: int) -> None:
        ingest.script = saying(status)
        with pytest.raises(IngestUnavailable):
            await sender.deliver("a")
        assert len(ingest.requests) == 1

    async def test_an_event_that_spoils_its_request_is_found(self, ingest: ScriptedIngest, sender: Sender) -> None:
        def spoiled(events: list[Event]) -> Saying:
            if any(event["event_id"] == "bad" for event in events):
                return Saying(400, {"code": "invalid_json", "detail": "Cannot be read."})
            return accept_all(events)

        ingest.script = spoiled
        found = await sender.deliver("a", "b", "c", "bad", "d")
        assert found == [("accepted", None)] * 3 + [("rejected", "invalid_json")] + [("accepted", None)]
        accepted = [each for ids in ingest.event_ids if "bad" not in ids for each in ids]
        assert sorted(accepted) == ["a", "b", "c", "d"]


class TestFile:
    async def test_a_whole_file_is_sent_and_leaves_nothing_behind(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 7)
        progress = await sender.send(file, batch_size=2, concurrency=3)
        assert (progress.read, progress.accepted, progress.rejected) == (7, 7, 0)
        assert sorted(each for ids in ingest.event_ids for each in ids) == list("1234567")
        assert names_in(tmp_path) == [file.name]

    async def test_what_is_not_accepted_is_written_down(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = tmp_path / "events.ndjson"
        file.write_text('oops\n{"event_id":"2"}\n[3]\n{"event_id":"4"}\n{"event_id":"5","n":NaN}\n')
        ingest.script = lambda events: verdicts(
            ["rejected" if event["event_id"] in ("4", "5") else "accepted" for event in events]
        )
        progress = await sender.send(file, batch_size=10)
        assert (progress.read, progress.accepted, progress.rejected) == (5, 1, 4)
        assert [(each["line"], each["code"]) for each in rejected(file)] == [
            (1, "invalid_json"),
            (3, "not_an_object"),
            (4, "rejected_by_test"),
            (5, "rejected_by_test"),
        ]
        assert rejected(file)[0]["text"] == "oops"
        assert rejected(file)[2]["event"] == {"event_id": "4"}
        assert rejected(file)[2]["pointer"] == "/x"
        assert rejected(file)[3]["text"] == '{"event_id":"5","n":NaN}'

    async def test_the_next_run_moves_aside_what_the_last_one_rejected(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 2)
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        await sender.send(file)
        await sender.send(file)
        assert len(rejected(file)) == 2
        ingest.script = accept_all
        await sender.send(file)
        assert sorted(names_in(tmp_path)) == [file.name, f"{file.name}.rejected.ndjson.1"]

    async def test_all_before_the_damage_is_sent(self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path) -> None:
        lines = b"".join(b'{"event_id":"%d"}\n' % number for number in range(1, 20_001))
        file = tmp_path / "events.ndjson.gz"
        file.write_bytes(gzip.compress(lines)[:-2_000])
        with pytest.raises(EventFileDamaged):
            await sender.send(file, batch_size=1000, concurrency=4)
        sent = sorted(int(each) for ids in ingest.event_ids for each in ids)
        assert len(sent) > 1_000
        assert sent == list(range(1, len(sent) + 1))
        state = json.loads((tmp_path / "events.ndjson.gz.progress").read_text())
        assert state["line"] == len(sent)


class TestResume:
    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_nothing_is_left_out_and_nothing_acknowledged_is_sent_again(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path, concurrency: int
    ) -> None:
        file = event_file(tmp_path, 20)
        ingest.script = lambda events: (
            Saying(401) if "9" in [each["event_id"] for each in events] else accept_all(events)
        )
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2, concurrency=concurrency)
        state = json.loads((tmp_path / "events.ndjson.progress").read_text())
        assert state["line"] <= 8
        seen = len(ingest.requests)
        ingest.script = accept_all
        progress = await sender.send(file, batch_size=2, concurrency=concurrency)
        assert (progress.read, progress.accepted, progress.rejected) == (20, 20, 0)
        again = [int(each) for ids in ingest.event_ids[seen:] for each in ids]
        assert sorted(again) == list(range(state["line"] + 1, 21))
        assert not (tmp_path / "events.ndjson.progress").exists()

    async def test_with_one_request_at_a_time_only_the_interrupted_batch_is_sent_twice(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 6)
        ingest.script = in_turn(accept_all, saying(401), accept_all)
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2)
        await sender.send(file, batch_size=2)
        assert ingest.event_ids == [["1", "2"], ["3", "4"], ["3", "4"], ["5", "6"]]

    async def test_rejections_are_written_once_though_a_later_batch_was_early(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 6)
        both_wait = threading.Event()

        def refuse_the_second_batch_last(events: list[Event]) -> Saying:
            if events[0]["event_id"] == "3":
                return Saying(503)
            if events[0]["event_id"] == "5":
                both_wait.set()
            return verdicts(["rejected"] * len(events))

        ingest.script = refuse_the_second_batch_last
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2, concurrency=3)
        assert both_wait.is_set()
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        progress = await sender.send(file, batch_size=2)
        assert progress.rejected == 6
        assert [each["line"] for each in rejected(file)] == [1, 2, 3, 4, 5, 6]

    async def test_a_rejection_written_just_before_a_crash_is_not_written_twice(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 4)
        ingest.script = in_turn(lambda _: verdicts(["rejected"] * 2), saying(401))
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2)
        with (tmp_path / "events.ndjson.rejected.ndjson").open("a") as stream:
            stream.write('{"line": 3}\n{"li')
        ingest.script = lambda events: verdicts(["rejected"] * len(events))
        await sender.send(file, batch_size=2)
        assert [each["line"] for each in rejected(file)] == [1, 2, 3, 4]

    async def test_restart_begins_at_the_beginning(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path
    ) -> None:
        file = event_file(tmp_path, 4)
        ingest.script = in_turn(accept_all, saying(401), accept_all)
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2)
        progress = await sender.send(file, batch_size=2, restart=True)
        assert progress.read == 4
        assert ingest.event_ids[2:] == [["1", "2"], ["3", "4"]]

    @pytest.mark.parametrize("spoil", ["file", "progress", "rejected"])
    async def test_it_does_not_go_on_from_what_does_not_fit(
        self, ingest: ScriptedIngest, sender: Sender, tmp_path: Path, spoil: str
    ) -> None:
        file = event_file(tmp_path, 4)
        ingest.script = in_turn(lambda _: verdicts(["rejected"] * 2), saying(401))
        with pytest.raises(IngestUnavailable):
            await sender.send(file, batch_size=2)
        match spoil:
            case "file":
                file.write_text('{"event_id":"other"}\n' * 4)
            case "progress":
                (tmp_path / "events.ndjson.progress").write_text('{"line":')
            case "rejected":
                (tmp_path / "events.ndjson.rejected.ndjson").unlink()
        with pytest.raises(ConfigurationError, match="--restart"):
            await sender.send(file)


class TestCommand:
    def start(self, ingest_url: str, file: Path, *more: str) -> subprocess.Popen[str]:
        command = command_line("send", str(file), "--url", ingest_url, "--key", "key", *more)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, ingest_url: str, file: Path, *more: str) -> tuple[int, str, str]:
        with self.start(ingest_url, file, *more) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def test_all_accepted_is_0_and_one_document(self, ingest: ScriptedIngest, tmp_path: Path) -> None:
        code, out, err = self.run(ingest.url, event_file(tmp_path, 5), "--json", "--batch-size", "2")
        assert code == 0, err
        document = json.loads(out)
        assert document.keys() == {"read", "accepted", "rejected", "seconds", "events_per_second"}
        assert (document["read"], document["accepted"], document["rejected"]) == (5, 5, 0)

    def test_some_rejected_is_1(self, ingest: ScriptedIngest, tmp_path: Path) -> None:
        ingest.script = lambda events: verdicts(["rejected"] + ["accepted"] * (len(events) - 1))
        code, out, err = self.run(ingest.url, event_file(tmp_path, 5))
        assert code == 1, err
        assert out.split()[-5:-2] == ["5", "4", "1"]
        assert "events.ndjson.rejected.ndjson" in "".join(err.split("\n"))

    def test_a_refused_key_is_3(self, ingest: ScriptedIngest, tmp_path: Path) -> None:
        ingest.script = lambda _events: Saying(401, {"detail": "Unknown key."})
        code, out, err = self.run(ingest.url, event_file(tmp_path, 5))
        assert (code, out) == (3, ""), err
        assert "key refused" in err

    def test_an_unreachable_server_is_3(self, tmp_path: Path) -> None:
        with ScriptedIngest(accept_all).running() as gone:
            url = gone.url
        code, out, err = self.run(url, event_file(tmp_path, 5), "--give-up-after", "0")
        assert (code, out) == (3, ""), err

    def test_no_system_and_no_url_is_2(self, tmp_path: Path) -> None:
        command = command_line("send", str(event_file(tmp_path, 1)), "--data-dir", str(tmp_path))
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert "analytics up" in ended.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interruption_leaves_what_the_next_run_needs(
        self, ingest: ScriptedIngest, tmp_path: Path, number: signal.Signals
    ) -> None:
        file = event_file(tmp_path, 6)
        third_came, go_on = threading.Event(), threading.Event()

        def hold_the_third(events: list[Event]) -> Saying:
            if events[0]["event_id"] == "5":
                third_came.set()
                go_on.wait()
            return accept_all(events)

        ingest.script = hold_the_third
        with self.start(ingest.url, file, "--batch-size", "2", "--concurrency", "1") as process:
            assert third_came.wait(30)
            process.send_signal(number)
            _, err = process.communicate()
        go_on.set()
        assert process.returncode == 130, err
        assert json.loads((tmp_path / "events.ndjson.progress").read_text())["line"] == 4
        ingest.script = accept_all
        code, out, err = self.run(ingest.url, file, "--json")
        assert code == 0, err
        assert json.loads(out)["accepted"] == 6
        assert ingest.event_ids[-1] == ["5", "6"]
