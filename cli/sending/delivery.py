"""Delivers events to ingest until each has a final verdict. Only events without one are sent again.

Ingest may fail on a single event, with status 500 or the verdict `defect`. A request that keeps failing is halved until
that event is alone. The event is poison when it has failed alone as often as the policy allows and ingest then accepts
an event that it has accepted before. Sending an accepted event again changes nothing. An ingest that fails on every
event is an outage.
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
from studyin_analytics.answers import DEFECT

from cli.sending.event_file import build_body
from cli.sending.ingest_answers import (
    Answer,
    BatchVerdicts,
    BodyRefused,
    Busy,
    Failed,
    IngestUnavailable,
    read_answer,
)
from cli.target import BATCH_PATH
from runtime.backoff import Backoff
from runtime.clock import utc_now
from schemas.verdicts import Verdict

_PATIENCE: Final = 16
"""Number of consecutive failed requests after which the search for the bad event halves its speed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between attempts, and limits. Times are in seconds."""

    first: float = 0.25
    """Delay after the first failure."""
    longest: float = 15.0
    """Maximum delay."""
    give_up_after: float | None = 60.0
    """Time without success after which delivery fails; None for no limit."""
    attempts: int = 3
    """Number of failures with status 500 before a request is halved, and of a single event before it is poison."""

    def delay(self, failures: int, retry_after: float, random_fraction: float) -> float:
        """Return the delay after `failures` consecutive failures (1 or more), at least `retry_after`.

        `random_fraction` in [0, 1) is the jitter.
        """
        return retry_after + Backoff(self.first, self.longest).equal_jitter(failures, random_fraction)


@dataclass(slots=True)
class IngestClient:
    """Sends requests through an open client. Supports concurrent deliveries."""

    client: httpx.AsyncClient
    policy: RetryPolicy = RetryPolicy()
    on_delay: Callable[[str], None] = lambda _reason: None
    """Receives the reason of a delay. A repeated reason is reported again only after an event was settled."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    random_fraction: Callable[[], float] = field(default=random.random)
    accepted: bytes | None = field(default=None, init=False)
    """The last accepted event."""
    _reported: str | None = field(default=None, init=False)

    async def deliver(self, events: Sequence[bytes], probe: bytes | None = None) -> list[Verdict]:
        """Return the verdict of each event, accepted or rejected. Events are JSON objects with an event_id.

        The verdict of a poison event is `rejected` with the code `defect`. `probe` is an event of an earlier delivery.
        It is sent to test whether ingest works until this client has an accepted event of its own. Raises
        IngestUnavailable when the policy gives up; some of the events may be stored then.
        """
        return await _Delivery(self, events, probe).complete()

    async def post(self, events: Sequence[bytes]) -> Answer:
        """Send one request and return the answer. Raises IngestUnavailable when a retry would not help."""
        body = gzip.compress(build_body(list(events)), 1, mtime=0)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        try:
            response = await self.client.post(BATCH_PATH, content=body, headers=headers)
        except httpx.RequestError as error:
            return Busy(f"{type(error).__name__}: {error}".rstrip(": "), 0.0)
        retry_after = response.headers.get("retry-after")
        return read_answer(response.status_code, retry_after, response.content, len(events), utc_now())

    async def pause(self, reason: str, failures: int, retry_after: float) -> None:
        """Wait for the delay of the policy. Reports the reason to `on_delay`."""
        if reason != self._reported:
            self._reported = reason
            self.on_delay(reason)
        await self.sleep(self.policy.delay(failures, retry_after, self.random_fraction()))

    def record_settled(self, accepted: bytes | None) -> None:
        """Record that an event was settled; `accepted` is an accepted event, if there is one."""
        self._reported = None
        self.accepted = accepted or self.accepted


class _Delivery:
    """One delivery in progress. Events are identified by their index."""

    def __init__(self, ingest: IngestClient, events: Sequence[bytes], probe: bytes | None) -> None:
        self._ingest = ingest
        self._events = events
        self._earlier = probe
        self._verdicts: dict[int, Verdict] = {}
        self._groups = deque([list(range(len(events)))])
        """Groups of unsettled events; one request sends one group."""
        self._failures_alone: dict[int, int] = {}
        """Number of failures of each suspect alone."""
        self._failures = 0
        """Consecutive requests that settled no event."""
        self._group_failures = 0
        """Failures of whole groups before the first group is halved."""
        self._rounds = 0
        """Rounds in which the suspects were sent alone."""
        self._take_left = False
        self._since = ingest.clock()

    async def complete(self) -> list[Verdict]:
        """Return the verdicts when every event has one."""
        while len(self._verdicts) < len(self._events):
            if self._groups:
                await self._send(self._next_group())
            else:
                await self._settle_suspects()
        return [self._verdicts[index] for index in range(len(self._events))]

    def _next_group(self) -> list[int]:
        """Return the group to send next. Alternates between large and small groups until an event was accepted."""
        self._take_left = self._probe is None and not self._take_left
        return self._groups.popleft() if self._take_left else self._groups.pop()

    @property
    def _probe(self) -> bytes | None:
        """An event that a working ingest accepts, if one is known."""
        return self._ingest.accepted or self._earlier

    async def _send(self, group: list[int]) -> None:
        match await self._ingest.post([self._events[index] for index in group]):
            case BatchVerdicts() as verdicts:
                await self._apply(group, verdicts)
            case Busy(reason, retry_after, paced):
                self._groups.append(group)
                if paced:
                    self._reset_failures()
                self._failures += 1
                await self._pause(reason, self._failures, retry_after)
            case BodyRefused(code, detail) if len(group) == 1:
                self._settle({group[0]: _rejected(code, detail)})
            case BodyRefused():
                self._halve(group)
            case Failed() as failed:
                await self._search(group, failed)

    async def _apply(self, group: list[int], verdicts: BatchVerdicts) -> None:
        self._settle({group[at]: verdict for at, verdict in verdicts.settled.items()})
        for at in verdicts.defects:
            self._suspect(group[at])
        done = verdicts.settled.keys() | verdicts.defects
        if unsettled := [group[at] for at in range(len(group)) if at not in done]:
            self._groups.append(unsettled)
            self._failures += 1
            await self._pause("ingest asked to send some events again", self._failures, verdicts.retry_after)

    def _settle(self, verdicts: Mapping[int, Verdict]) -> None:
        if not verdicts:
            return
        self._reset_failures()
        accepted = [index for index, verdict in verdicts.items() if verdict.status == "accepted"]
        self._ingest.record_settled(self._events[accepted[-1]] if accepted else None)
        for index, verdict in verdicts.items():
            self._verdicts[index] = verdict.model_copy(update={"index": index})
            self._failures_alone.pop(index, None)

    async def _search(self, group: list[int], failed: Failed) -> None:
        """Narrow down the event on which ingest fails, if it is a single event."""
        if len(group) == 1:
            self._suspect(group[0])
        elif self._group_failures < self._ingest.policy.attempts - 1:
            self._group_failures += 1
            self._groups.append(group)
            await self._pause(failed.reason, self._group_failures, failed.retry_after)
            return
        else:
            self._halve(group)
        if not await self._ingest_works():
            self._failures += 1
            await self._pause(failed.reason, 1 + self._failures // _PATIENCE, failed.retry_after)

    async def _settle_suspects(self) -> None:
        """Settle the suspects that are poison. Queue the others to be sent again, each alone."""
        attempts = self._ingest.policy.attempts
        poison = {index: failures for index, failures in self._failures_alone.items() if failures >= attempts}
        if poison and await self._ingest_works():
            self._settle({index: _poison(failures) for index, failures in poison.items()})
        if self._failures_alone:
            self._rounds += 1
            await self._pause("ingest fails on some events", self._rounds, 0.0)
            self._groups.extend([index] for index in self._failures_alone)

    async def _ingest_works(self) -> bool:
        """Return whether ingest accepts the probe."""
        if self._probe is None:
            return False
        match await self._ingest.post([self._probe]):
            case BatchVerdicts(settled) if 0 in settled and settled[0].status == "accepted":
                self._reset_failures()
                return True
            case _:
                return False

    def _reset_failures(self) -> None:
        self._failures, self._since = 0, self._ingest.clock()

    def _suspect(self, index: int) -> None:
        self._failures_alone[index] = self._failures_alone.get(index, 0) + 1

    def _halve(self, group: list[int]) -> None:
        half = len(group) // 2
        self._groups += (group[half:], group[:half])

    async def _pause(self, reason: str, failures: int, retry_after: float) -> None:
        limit = self._ingest.policy.give_up_after
        if limit is not None and self._ingest.clock() - self._since >= limit:
            raise IngestUnavailable("gave up", reason)
        await self._ingest.pause(reason, failures, retry_after)


def _rejected(code: str, detail: str) -> Verdict:
    return Verdict(index=0, status="rejected", code=code, pointer="", detail=detail)


def _poison(failures: int) -> Verdict:
    return _rejected(DEFECT, f"Ingest failed on this event {failures} times while it accepted another.")
