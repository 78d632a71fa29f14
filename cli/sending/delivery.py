"""Delivers events to ingest until each has its verdict: what was not accepted is sent again, and nothing else.

Ingest may fail on a single event (status 500, or the verdict `defect`). A request that keeps failing is halved until
that event stands alone. It is poison once it has failed alone as often as the policy says and ingest then accepts an
event that it had accepted before, which changes nothing. An ingest that fails on everything is an outage.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from cli.sending.event_file import body_of
from cli.sending.ingest_answers import (
    DEFECT,
    Answer,
    BodyRefused,
    Busy,
    Failed,
    IngestUnavailable,
    Judged,
    read_answer,
)
from cli.target import BATCH_PATH
from runtime.clock import utc_now
from schemas.verdicts import Verdict

_PATIENCE: Final = 16
"""Failing requests in a row before the search for the event they fail on slows down by half."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up. Seconds."""

    first: float = 0.25
    longest: float = 15.0
    give_up_after: float | None = 60.0
    """Of nothing but failures; None: never."""
    attempts: int = 3
    """How often a request may fail with status 500 before it is halved, and an event alone before it is poison."""

    def delay(self, failures: int, retry_after: float, luck: float) -> float:
        """Return the wait after so many failures in a row, 1 or more; `luck` in [0, 1) spreads the senders.

        Never shorter than what the server asked for.
        """
        backoff = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return retry_after + backoff * (1 + luck) / 2


@dataclass(slots=True)
class Courier:
    """Sends requests through an open client; safe to use for several deliveries at once."""

    client: httpx.AsyncClient
    policy: RetryPolicy = RetryPolicy()
    on_delay: Callable[[str], None] = lambda _reason: None
    """Told why a delivery waits, once until something is settled again or the reason changes."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    luck: Callable[[], float] = field(default=random.random)
    accepted: bytes | None = field(default=None, init=False)
    """The last event that ingest accepted."""
    _told: str | None = field(default=None, init=False)

    async def deliver(self, events: Sequence[bytes], neighbour: bytes | None = None) -> list[Verdict]:
        """Return the verdict of each event, accepted or rejected; events are JSON objects with an event_id.

        The verdict of poison is `rejected` with the code `defect`. `neighbour` is an event of an earlier delivery,
        sent again where it must be seen whether ingest works and this courier has had no event accepted yet. Waits as
        long as the policy says. Raises IngestUnavailable; then some of the events may be stored.
        """
        return await _Delivery(self, events, neighbour).complete()

    async def post(self, events: Sequence[bytes]) -> Answer:
        """Send one request and return what ingest says. Raises IngestUnavailable."""
        body = gzip.compress(body_of(list(events)), 1, mtime=0)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        try:
            response = await self.client.post(BATCH_PATH, content=body, headers=headers)
        except httpx.RequestError as error:
            return Busy(f"{type(error).__name__}: {error}".rstrip(": "), 0.0)
        retry_after = response.headers.get("retry-after")
        return read_answer(response.status_code, retry_after, response.content, len(events), utc_now())

    async def pause(self, reason: str, failures: int, retry_after: float) -> None:
        """Wait as long as the policy says after so many failures."""
        if reason != self._told:
            self._told = reason
            self.on_delay(reason)
        await self.sleep(self.policy.delay(failures, retry_after, self.luck()))

    def note(self, accepted: bytes | None) -> None:
        """Take note that something was settled, with an event that was accepted if there is one."""
        self._told = None
        self.accepted = accepted or self.accepted


class _Delivery:
    """One delivery under way. Events are known by their index."""

    def __init__(self, courier: Courier, events: Sequence[bytes], neighbour: bytes | None) -> None:
        self._courier = courier
        self._events = events
        self._neighbour = neighbour
        self._verdicts: dict[int, Verdict] = {}
        self._groups = deque([list(range(len(events)))])
        """What is sent in one request each."""
        self._alone: dict[int, int] = {}
        """How often ingest failed on each suspect alone."""
        self._failures = 0
        """Requests in a row that settled nothing."""
        self._whole_failures = 0
        self._rounds = 0
        self._from_the_left = False
        self._since = courier.clock()

    async def complete(self) -> list[Verdict]:
        """Return the verdicts once there are all."""
        while len(self._verdicts) < len(self._events):
            if self._groups:
                await self._send(self._next_group())
            else:
                await self._judge_suspects()
        return [self._verdicts[index] for index in range(len(self._events))]

    def _next_group(self) -> list[int]:
        """Return what to send now: while nothing was accepted yet, large groups and small ones by turns."""
        self._from_the_left = self._proof is None and not self._from_the_left
        return self._groups.popleft() if self._from_the_left else self._groups.pop()

    @property
    def _proof(self) -> bytes | None:
        """An event that ingest accepts if it works."""
        return self._courier.accepted or self._neighbour

    async def _send(self, group: list[int]) -> None:
        match await self._courier.post([self._events[index] for index in group]):
            case Judged() as judged:
                await self._take(group, judged)
            case Busy(reason, retry_after, paced):
                self._groups.append(group)
                if paced:
                    self._works()
                self._failures += 1
                await self._pause(reason, self._failures, retry_after)
            case BodyRefused(code, detail) if len(group) == 1:
                self._settle({group[0]: _rejected(code, detail)})
            case BodyRefused():
                self._halve(group)
            case Failed() as failed:
                await self._search(group, failed)

    async def _take(self, group: list[int], judged: Judged) -> None:
        self._settle({group[at]: verdict for at, verdict in judged.settled.items()})
        for at in judged.defects:
            self._suspect(group[at])
        if again := [group[at] for at in range(len(group)) if at not in judged.settled and at not in judged.defects]:
            self._groups.append(again)
            self._failures += 1
            await self._pause("asked to send some again", self._failures, judged.retry_after)

    def _settle(self, verdicts: Mapping[int, Verdict]) -> None:
        if not verdicts:
            return
        self._works()
        accepted = [index for index, verdict in verdicts.items() if verdict.status == "accepted"]
        self._courier.note(self._events[accepted[-1]] if accepted else None)
        for index, verdict in verdicts.items():
            self._verdicts[index] = verdict.model_copy(update={"index": index})
            self._alone.pop(index, None)

    async def _search(self, group: list[int], failed: Failed) -> None:
        """Narrow down which event ingest fails on, if it is one."""
        if len(group) == 1:
            self._suspect(group[0])
        elif self._whole_failures < self._courier.policy.attempts - 1:
            self._whole_failures += 1
            self._groups.append(group)
            await self._pause(failed.reason, self._whole_failures, failed.retry_after)
            return
        else:
            self._halve(group)
        if not await self._ingest_works():
            self._failures += 1
            await self._pause(failed.reason, 1 + self._failures // _PATIENCE, failed.retry_after)

    async def _judge_suspects(self) -> None:
        """Settle those that are poison, and send the others again, each alone."""
        attempts = self._courier.policy.attempts
        poison = {index: failures for index, failures in self._alone.items() if failures >= attempts}
        if poison and await self._ingest_works():
            self._settle({index: _poison(failures) for index, failures in poison.items()})
        if self._alone:
            self._rounds += 1
            await self._pause("ingest fails on some events", self._rounds, 0.0)
            self._groups.extend([index] for index in self._alone)

    async def _ingest_works(self) -> bool:
        """Return whether ingest accepts an event that it should."""
        if self._proof is None:
            return False
        match await self._courier.post([self._proof]):
            case Judged(settled) if 0 in settled and settled[0].status == "accepted":
                self._works()
                return True
            case _:
                return False

    def _works(self) -> None:
        self._failures, self._since = 0, self._courier.clock()

    def _suspect(self, index: int) -> None:
        self._alone[index] = self._alone.get(index, 0) + 1

    def _halve(self, group: list[int]) -> None:
        half = len(group) // 2
        self._groups += (group[half:], group[:half])

    async def _pause(self, reason: str, failures: int, retry_after: float) -> None:
        limit = self._courier.policy.give_up_after
        if limit is not None and self._courier.clock() - self._since >= limit:
            raise IngestUnavailable("gave up", reason)
        await self._courier.pause(reason, failures, retry_after)


def _rejected(code: str, detail: str) -> Verdict:
    return Verdict(index=0, status="rejected", code=code, pointer="", detail=detail)


def _poison(failures: int) -> Verdict:
    return _rejected(DEFECT, f"Ingest failed on this event {failures} times while it accepted another.")
