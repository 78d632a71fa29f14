"""Delivers events to ingest until each has its verdict: what was not accepted is sent again, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from studyin_analytics.retry import retry_after_seconds

from cli.event_file import body_of
from cli.target import BATCH_PATH
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable
from schemas.verdicts import BatchReply, Verdict

T = TypeVar("T")

_BUSY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_BODY_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_KEY_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class IngestUnavailable(DependencyUnavailable):
    """Ingest does not answer, or refuses us as a whole; what has no verdict yet may or may not be stored."""

    dependency = "ingest"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up. Seconds."""

    first: float = 0.25
    longest: float = 15.0
    give_up_after: float | None = 60.0
    """Of nothing but failures; None: never."""

    def delay(self, failures: int, retry_after: float, luck: float) -> float:
        """Return the wait after so many failures in a row, 1 or more; `luck` in [0, 1) spreads the senders.

        Never shorter than what the server asked for.
        """
        backoff = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return retry_after + backoff * (1 + luck) / 2


@dataclass(frozen=True, slots=True)
class Judged:
    """Each event that is settled, by its index; the others are to be sent again."""

    settled: Mapping[int, Verdict]
    retry_after: float


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing is settled; the same request may do later."""

    reason: str
    retry_after: float
    paced: bool = False
    """The service is well and only says when it is our turn: no failure, however long it takes."""


@dataclass(frozen=True, slots=True)
class BodyRefused:
    """The request cannot be read, which may be the fault of a single event in it."""

    code: str
    detail: str


Answer = Judged | Busy | BodyRefused


class _Problem(BaseModel):
    code: str = "unreadable_body"
    detail: str = "The service cannot read it."


def read_answer(status: int, retry_after: str | None, body: bytes, count: int, now: datetime) -> Answer:
    """Return what ingest says of `count` events. Raises IngestUnavailable when trying again would not help."""
    wait = retry_after_seconds(retry_after, now)
    match status:
        case HTTPStatus.ACCEPTED | HTTPStatus.MULTI_STATUS:
            return Judged(_settled(body, count), wait)
        case _ if status in _BUSY:
            return Busy(f"status {status}", wait, paced=status == HTTPStatus.TOO_MANY_REQUESTS and wait > 0)
        case _ if status in _BODY_REFUSED:
            problem = _problem(body)
            return BodyRefused(problem.code, problem.detail)
        case _ if status in _KEY_REFUSED:
            raise IngestUnavailable("key refused", _problem(body).detail)
        case _:
            raise IngestUnavailable("unexpected answer", f"status {status}; is this the URL of ingest?")


def _settled(body: bytes, count: int) -> dict[int, Verdict]:
    try:
        reply = BatchReply.model_validate_json(body)
    except ValidationError:
        raise IngestUnavailable("unexpected answer", "no verdicts; is this the URL of ingest?") from None
    return {each.index: each for each in reply.results if each.status != "retry" and 0 <= each.index < count}


def _problem(body: bytes) -> _Problem:
    try:
        return _Problem.model_validate_json(body)
    except ValidationError:
        return _Problem()


@dataclass(slots=True)
class Courier:
    """Sends requests through an open client; safe to use for several deliveries at once."""

    client: httpx.AsyncClient
    policy: RetryPolicy = RetryPolicy()
    on_delay: Callable[[str, float], None] = lambda _reason, _seconds: None
    """Told why and for how many seconds a delivery waits."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    luck: Callable[[], float] = field(default=random.random)

    async def deliver(self, events: Sequence[bytes]) -> list[Verdict]:
        """Return the verdict of each event, accepted or rejected; events are JSON objects with an event_id.

        Waits as long as the policy says. Raises IngestUnavailable; then some of the events may be stored.
        """
        verdicts: dict[int, Verdict] = {}
        waiting = list(range(len(events)))
        failures = 0
        since = self.clock()
        while waiting:
            answer = await self._post([events[index] for index in waiting])
            settled = await self._take_apart(events, waiting, answer)
            verdicts |= settled
            if settled or (isinstance(answer, Busy) and answer.paced):
                failures, since = 0, self.clock()
            waiting = [index for index in waiting if index not in verdicts]
            if waiting and not isinstance(answer, BodyRefused):
                failures += 1
                await self._pause(answer, failures, since)
        return [verdicts[index] for index in range(len(events))]

    async def _take_apart(self, events: Sequence[bytes], waiting: Sequence[int], answer: Answer) -> dict[int, Verdict]:
        match answer:
            case Judged(settled):
                return {
                    waiting[at]: verdict.model_copy(update={"index": waiting[at]}) for at, verdict in settled.items()
                }
            case Busy():
                return {}
            case BodyRefused(code, detail) if len(waiting) == 1:
                return {waiting[0]: Verdict(index=waiting[0], status="rejected", code=code, pointer="", detail=detail)}
            case BodyRefused():
                return await self._by_halves(events, waiting)

    async def _by_halves(self, events: Sequence[bytes], waiting: Sequence[int]) -> dict[int, Verdict]:
        verdicts: dict[int, Verdict] = {}
        half = len(waiting) // 2
        for part in (waiting[:half], waiting[half:]):
            for index, verdict in zip(part, await self.deliver([events[index] for index in part]), strict=True):
                verdicts[index] = verdict.model_copy(update={"index": index})
        return verdicts

    async def _post(self, events: list[bytes]) -> Answer:
        body = gzip.compress(body_of(events), 1, mtime=0)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        try:
            response = await self.client.post(BATCH_PATH, content=body, headers=headers)
        except httpx.RequestError as error:
            return Busy(f"{type(error).__name__}: {error}".rstrip(": "), 0.0)
        retry_after = response.headers.get("retry-after")
        return read_answer(response.status_code, retry_after, response.content, len(events), utc_now())

    async def _pause(self, answer: Judged | Busy, failures: int, since: float) -> None:
        reason = answer.reason if isinstance(answer, Busy) else "asked to send some again"
        if self.policy.give_up_after is not None and self.clock() - since >= self.policy.give_up_after:
            raise IngestUnavailable("gave up", reason)
        seconds = self.policy.delay(failures, answer.retry_after, self.luck())
        self.on_delay(reason, seconds)
        await self.sleep(seconds)


async def in_parallel(items: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Do the work on every item, on at most `concurrency` at once.

    The first error of the work is raised, and the work still under way is cancelled.
    """
    running: set[asyncio.Future[None]] = set()
    try:
        for item in items:
            running.add(asyncio.ensure_future(work(item)))
            if len(running) == concurrency:
                running = await _first_done(running)
        while running:
            running = await _first_done(running)
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _first_done(running: set[asyncio.Future[None]]) -> set[asyncio.Future[None]]:
    done, running_still = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
    return running_still
