"""An event on which ingest fails delays no other event, and an ingest that always fails loses no event."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.sending.delivery import IngestClient, RetryPolicy
from cli.sending.ingest_answers import IngestUnavailable
from cli.target import Target
from tests.support.commands import command_line
from tests.support.scripted_ingest import Event, Saying, Script, ScriptedIngest, accept_all, verdicts

FAILS = Saying(500, {"code": "internal_error"})


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest(accept_all).running() as server:
        yield server


def failing_on(*bad: str) -> Script:
    """Answer 500 to a request with one of these events."""
    return lambda events: FAILS if {event["event_id"] for event in events} & set(bad) else accept_all(events)


def naming(*bad: str) -> Script:
    """Accept all events except these, whose verdict is a defect."""

    def answer(events: list[Event]) -> Saying:
        said = verdicts(["retry" if event["event_id"] in bad else "accepted" for event in events])
        results = [{**each, "code": "defect"} if each["status"] == "retry" else each for each in said.body["results"]]
        return Saying(said.status, {**said.body, "results": results})

    return answer


class Patience:
    """A clock that advances only by waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def ingest(self, client: httpx.AsyncClient, **policy: Any) -> IngestClient:
        return IngestClient(
            client, RetryPolicy(**policy), sleep=self.sleep, clock=lambda: self.seconds, random_fraction=lambda: 0.5
        )


async def deliver(url: str, ids: list[str], probe: str | None = None, **policy: Any) -> tuple[list[str], float]:
    """Return the ids of the poison events, and the total wait of the delivery."""
    patience = Patience()
    earlier = None if probe is None else encoded(probe)
    async with Target(url, "key").open(1) as client:
        found = await patience.ingest(client, **policy).deliver([encoded(each) for each in ids], earlier)
    assert [verdict.index for verdict in found] == list(range(len(ids)))
    assert {(verdict.status, verdict.code) for verdict in found} <= {("accepted", None), ("rejected", "defect")}
    return [event_id for event_id, verdict in zip(ids, found, strict=True) if verdict.code], patience.seconds


def encoded(event_id: str) -> bytes:
    return json.dumps({"event_id": event_id}).encode()


NAMES = [f"e{number}" for number in range(48)]
PLACES = [["e0"], ["e47"], ["e24"], NAMES[:20], NAMES[28:], NAMES[::11], NAMES[::2], NAMES[1:]]


class TestDelivery:
    @pytest.mark.parametrize("bad", PLACES, ids=lambda bad: f"{len(bad)} from {bad[0]}")
    @pytest.mark.parametrize("script", [failing_on, naming])
    async def test_poison_is_found_and_the_rest_arrives(
        self, ingest: ScriptedIngest, bad: list[str], script: Any
    ) -> None:
        ingest.script = script(*bad)
        poison, seconds = await deliver(ingest.url, NAMES)
        assert poison == bad
        assert seconds < 60
        if script is failing_on:
            accepted = {each for ids in ingest.event_ids if not set(ids) & set(bad) for each in ids}
            assert accepted == set(NAMES) - set(bad)

    @pytest.mark.parametrize("attempts", [1, 2, 5])
    async def test_it_is_tried_alone_as_often_as_was_asked(self, ingest: ScriptedIngest, attempts: int) -> None:
        ingest.script = failing_on("e3")
        assert (await deliver(ingest.url, NAMES[:8], attempts=attempts))[0] == ["e3"]
        assert ingest.event_ids.count(["e3"]) == attempts
        assert ingest.event_ids.count(NAMES[:8]) == attempts

    async def test_what_fails_for_a_while_is_no_poison(self, ingest: ScriptedIngest) -> None:
        seen: Counter[str] = Counter()

        def twice_alone(events: list[Event]) -> Saying | None:
            ids = [event["event_id"] for event in events]
            seen.update(ids if len(ids) == 1 else [])
            return FAILS if "e3" in ids and seen["e3"] < 3 else accept_all(events)

        ingest.script = twice_alone
        assert (await deliver(ingest.url, NAMES[:8]))[0] == []

    async def test_an_ingest_that_fails_on_everything_is_given_up(self, ingest: ScriptedIngest) -> None:
        ingest.script = lambda _events: FAILS
        with pytest.raises(IngestUnavailable, match="500"):
            await deliver(ingest.url, NAMES)
        assert len(ingest.requests) < 120

    @pytest.mark.parametrize("good", range(0, 30, 5))
    async def test_an_ingest_that_begins_to_fail_makes_no_event_poison(self, ingest: ScriptedIngest, good: int) -> None:
        answered = 0

        def break_down(events: list[Event]) -> Saying | None:
            nonlocal answered
            answered += 1
            return failing_on("e7")(events) if answered <= good else FAILS

        ingest.script = break_down
        with suppress(IngestUnavailable):
            assert (await deliver(ingest.url, NAMES))[0] == ["e7"]

    async def test_an_event_alone_is_compared_with_one_sent_before(self, ingest: ScriptedIngest) -> None:
        ingest.script = failing_on("bad")
        assert (await deliver(ingest.url, ["bad"], "good"))[0] == ["bad"]
        with pytest.raises(IngestUnavailable):
            await deliver(ingest.url, ["bad"])
        with pytest.raises(IngestUnavailable):
            await deliver(ingest.url, ["bad"], "bad")

    async def test_random_poison_among_random_answers_is_all_that_is_left_out(self, ingest: ScriptedIngest) -> None:
        for seed in range(3):
            rng = random.Random(seed)
            bad = set(rng.sample(NAMES, rng.randint(0, 6)))
            ingest.script = unsteady(rng, bad)
            poison, _ = await deliver(ingest.url, NAMES, attempts=9)
            assert set(poison) == bad


def unsteady(rng: random.Random, bad: set[str]) -> Script:
    def answer(events: list[Event]) -> Saying | None:
        match rng.randrange(12):
            case 0:
                return FAILS
            case 1:
                return Saying(503)
            case 2:
                return None
            case 3:
                return naming(*bad)(events)
            case _:
                return failing_on(*bad)(events)

    return answer


class TestCommand:
    def run(self, url: str, file: Path, *more: str) -> tuple[int, str, str]:
        command = command_line("send", str(file), "--url", url, "--key", "key", *more)
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout, ended.stderr

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "events.ndjson"
        file.write_text("".join(json.dumps({"event_id": f"e{number}"}) + "\n\n" for number in range(20)))
        return file

    def test_on_error_skip_sets_poison_aside_and_sends_the_rest(self, ingest: ScriptedIngest, file: Path) -> None:
        ingest.script = failing_on("e5", "e13")
        code, out, err = self.run(ingest.url, file, "--batch-size", "4", "--json")
        assert code == 1, err
        document = json.loads(out)
        assert (document["read"], document["accepted"], document["rejected"]) == (20, 18, 2)
        written = (file.parent / "events.ndjson.rejected.ndjson").read_text().splitlines()
        assert [(each["line"], each["code"], each["event"]) for each in map(json.loads, written)] == [
            (11, "defect", {"event_id": "e5"}),
            (27, "defect", {"event_id": "e13"}),
        ]
        assert not (file.parent / "events.ndjson.progress").exists()

    def test_on_error_stop_exits_and_names_the_line(self, ingest: ScriptedIngest, file: Path) -> None:
        ingest.script = failing_on("e5")
        more = ("--batch-size", "4", "--concurrency", "1", "--on-error", "stop")
        code, out, err = self.run(ingest.url, file, *more)
        assert (code, out) == (3, ""), err
        assert "line 11" in err
        assert "--on-error skip" in err
        assert json.loads((file.parent / "events.ndjson.progress").read_text())["line"] == 7
        code, out, err = self.run(ingest.url, file, *more[:-1], "skip", "--json")
        assert (code, json.loads(out)["accepted"]) == (1, 19), err

    def test_an_outage_is_reported_once_and_skips_nothing(self, ingest: ScriptedIngest, file: Path) -> None:
        ingest.script = lambda _events: FAILS
        code, out, err = self.run(ingest.url, file, "--give-up-after", "2", "--concurrency", "1")
        assert (code, out) == (3, ""), err
        assert err.count("retrying") <= 2
        assert not (file.parent / "events.ndjson.rejected.ndjson").exists()
        ingest.script = accept_all
        assert self.run(ingest.url, file)[0] == 0
