"""The background thread that delivers events from a store to ingest until each has a verdict."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from . import process_life
from .answers import DEFECT, Answer, BatchVerdicts, BodyRefused, Busy, Failed, SenderRefused
from .batch_poster import ENVELOPE_BYTES, BatchPoster
from .books import Books
from .errors import DeliveryRefused, EventRejected, EventsDropped, EventSetAside, StoreFailed
from .hooks import LOGGER, ErrorHook
from .isolation import Isolation
from .options import Options
from .retry import Backoff
from .schedule import Schedule
from .stores import Lease, Store, StoredEvent
from .suspicion import is_poison, suspicion_after

FLUSH_LOOKS_EVERY = 0.1
"""Poll interval of `flush` in seconds: another process may settle events of a spool without a notification."""

NOT_SENT_IN_TIME: Final = "not_sent_in_time"
"""Reason of events that remain at the end."""


class Sender:
    """Sends the events that are put into it. Only its thread uses the network; the first event starts it.

    Holds no lock while it calls the application or waits for the network.
    """

    def __init__(
        self,
        store: Store,
        poster: BatchPoster,
        options: Options,
        books: Books,
        hook: ErrorHook,
        random_fraction: Callable[[], float],
    ) -> None:
        self._store = store
        self._poster = poster
        self._options = options
        self._books = books
        self._hook = hook
        self._busy_backoff = Backoff(options.first_retry, options.longest_retry, random_fraction)
        self._refused_backoff = Backoff(options.first_retry, options.refused_retry, random_fraction)
        self._schedule = Schedule(options.flush_at, options.flush_interval)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._drained: bool | None = None
        # the following state belongs to the thread
        self._isolation = Isolation(options.flush_at, self._busy_backoff)
        self._failures = 0
        self._is_refused = False

    def put(self, body: bytes) -> None:
        """Queue an event, or drop, count and report it. Does not block."""
        with self._changed:
            reason = "closed" if self._schedule.is_ending else self._store.put(body)
            if reason is None:
                if self._schedule.event_came(time.monotonic()):
                    self._changed.notify_all()
                self._start()
        if reason is not None and (unreported := self._books.drop(1, time.monotonic())):
            self._hook.report(EventsDropped(unreported, reason))

    def end_with_process(self) -> None:
        """Shut down when the process ends, at the latest."""
        process_life.end_with_process(self, self._options.exit_timeout)

    def start(self) -> None:
        """Start to send the events that the store has already."""
        with self._changed:
            self._schedule.more_waits(time.monotonic())
            self._start()

    def flush(self, timeout: float) -> bool:
        """Send now. Blocks up to `timeout` seconds; returns whether each event put before has a verdict.

        Returns False immediately in the sender's thread, and so in on_error, where waiting would deadlock.
        """
        if threading.current_thread() is self._thread:
            return False
        deadline = time.monotonic() + timeout
        newest = self._store.newest
        with self._changed:
            if self._drained is not None:
                return self._drained
            if self._store.holds_through(newest):
                self._schedule.hurry(time.monotonic())
                self._start()
                self._changed.notify_all()
            while self._store.holds_through(newest):
                left = deadline - time.monotonic()
                if left <= 0 or self._drained is not None:
                    return False
                self._changed.wait(min(left, FLUSH_LOOKS_EVERY))
        return True

    def end(self, timeout: float) -> None:
        """Accept no more events, send the remaining ones within `timeout` seconds, end the thread. Does not block."""
        with self._changed:
            if not self._schedule.is_ending:
                self._schedule.end_by(time.monotonic() + timeout)
                self._changed.notify_all()

    def shutdown(self, timeout: float) -> bool:
        """End the sender. Blocks up to about `timeout` seconds; returns whether each event has a verdict.

        Does not block in the sender's thread, and so in on_error.
        """
        self.end(timeout)
        thread = self._thread
        if thread is None:
            self._run()
        elif thread is not threading.current_thread():
            thread.join(timeout + FLUSH_LOOKS_EVERY)
            self._settle_accounts()
        return bool(self._drained)

    @property
    def pending(self) -> int:
        """Number of events without a verdict."""
        return len(self._store)

    def _start(self) -> None:
        # a signal handler may interrupt this method and call it: only one of the two starts the thread
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="studyin-analytics", daemon=True)
                thread.start()
                self._thread = thread
                self.end_with_process()
        except RuntimeError:
            # the interpreter is shutting down and starts no threads: `shutdown` sends in its own thread
            LOGGER.debug("cannot start a thread during interpreter shutdown")
        finally:
            self._starting.release()

    def _run(self) -> None:
        while self._await_turn():
            try:
                self._take_turn()
            except StoreFailed as failure:
                self._failed(str(failure), 0.0)
            with self._changed:
                self._changed.notify_all()
        self._poster.transport.close()
        self._settle_accounts()

    def _await_turn(self) -> bool:
        """Wait for the next turn. Returns False when the sender must end."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._schedule.is_over(now):
                    return False
                wait = self._schedule.seconds_left(now)
                if wait is not None and wait <= 0:
                    self._schedule.turn_taken()
                    return True
                self._changed.wait(wait)

    def _take_turn(self) -> None:
        lease = self._next_lease()
        is_done = True
        if lease.events:
            answer, retry_after = self._poster.post([event.body for event in lease.events])
            is_done = self._apply(answer, retry_after, lease.events)
        now = time.monotonic()
        with self._changed:
            if not is_done:
                self._schedule.more_waits(now)
                return
            waits = [wait for wait in (lease.more_in, self._isolation.seconds_to_suspect(now)) if wait is not None]
            if not waits or not lease.events:
                self._schedule.nothing_left()
            if waits:
                self._schedule.more_waits(now + min(waits))

    def _next_lease(self) -> Lease:
        """Lease the events of the next request: the oldest ones, or a single one."""
        if self._isolation.is_suspects_turn(time.monotonic()) and (suspect := self._store.lease_suspect()):
            return Lease([suspect], 0.0)
        if self._isolation.is_turn_of_newest and (newest := self._store.lease_newest()):
            return Lease([newest], 0.0)
        lease = self._store.lease(self._isolation.limit, self._options.max_batch_bytes - ENVELOPE_BYTES)
        now = time.monotonic()
        self._isolation.suspects_wait(lease.suspect_in, now)
        if not lease.events and self._isolation.may_try_suspect(now) and (suspect := self._store.lease_suspect()):
            return Lease([suspect], 0.0)
        return lease

    def _apply(self, answer: Answer, retry_after: float, events: Sequence[StoredEvent]) -> bool:
        """Apply an answer; return whether every event is settled."""
        match answer:
            case BatchVerdicts():
                return self._apply_verdicts(answer, retry_after, events)
            case BodyRefused() if len(events) == 1:
                self._reject(events[0], answer.code, "", answer.detail)
                return True
            case BodyRefused():
                # halved, so that one bad event does not reject the others
                self._isolation.batch_failed(len(events))
                self._store.release([event.key for event in events])
            case Failed():
                self._store.release([event.key for event in events])
                self._isolate(events, answer.reason, retry_after)
            case Busy():
                self._store.release([event.key for event in events])
                self._failed(answer.reason, retry_after)
            case SenderRefused():
                self._store.release([event.key for event in events])
                self._refused(answer, retry_after)
        return False

    def _apply_verdicts(self, answer: BatchVerdicts, retry_after: float, events: Sequence[StoredEvent]) -> bool:
        self._books.add("accepted", self._store.settle([events[index].key for index in answer.accepted]))
        for index, verdict in answer.rejected.items():
            self._reject(events[index], verdict.code or "", verdict.pointer or "", verdict.detail or "")
        settled = {*answer.accepted, *answer.rejected}
        self._store.release([event.key for index, event in enumerate(events) if index not in settled])
        others = [index for index in range(len(events)) if index not in settled.union(answer.defective)]
        if settled or others:
            self._record_answer()
        if others:
            self._failed("ingest asked to send some events again", retry_after)
        defective = [events[index] for index in answer.defective]
        if settled:
            self._isolation.settled(events[0].suspicion is not None)
            for event in defective:
                self._suspect(event, DEFECT)
        elif defective:
            self._isolate(defective, DEFECT, retry_after)
        return len(settled) == len(events)

    def _record_answer(self) -> None:
        if self._failures:
            LOGGER.info("ingest accepts events again")
        self._failures, self._is_refused = 0, False

    def _isolate(self, events: Sequence[StoredEvent], reason: str, retry_after: float) -> None:
        """Narrow down the event on which ingest failed, so that the others can be sent."""
        self._books.add("retried")
        now = time.monotonic()
        if len(events) > 1:
            LOGGER.info("sending %d events again in halves: %s", len(events), reason)
            pause = self._isolation.batch_failed(len(events))
        else:
            pause = self._isolation.event_failed(events[0].suspicion is not None, now)
            self._suspect(events[0], reason)
        with self._changed:
            self._schedule.pause(now, retry_after, pause, self._busy_backoff.first)

    def _suspect(self, event: StoredEvent, reason: str) -> None:
        """Mark an event as a suspect until its next try, or set it aside."""
        now = time.time()
        suspicion = suspicion_after(event.suspicion, self._store.settled, now)
        event_id = _event_id(event)
        if is_poison(suspicion, self._options.max_event_attempts, now):
            if self._set_aside(event._replace(suspicion=suspicion), event_id, reason):
                return
        elif event.suspicion is None:
            LOGGER.warning("ingest failed on event %s, which is retried alone later: %s", event_id, reason)
        self._store.suspect(event.key, suspicion, self._refused_backoff.delay(suspicion.tries))

    def _set_aside(self, event: StoredEvent, event_id: str, reason: str) -> bool:
        """Set an event aside. Returns False when it cannot be stored."""
        try:
            was_here = self._store.set_aside(event, reason)
        except StoreFailed as failure:
            LOGGER.warning("event %s is kept because it cannot be set aside: %s", event_id, failure)
            return False
        if was_here and event.suspicion is not None:
            self._books.set_aside(is_kept=self._store.letters is not None)
            self._hook.report(EventSetAside(event_id, reason, event.suspicion.tries, self._store.letters))
        return True

    def _reject(self, event: StoredEvent, code: str, pointer: str, detail: str) -> None:
        if self._store.settle([event.key]):
            self._books.add("rejected")
            self._hook.report(EventRejected(_event_id(event), code, pointer, detail))

    def _refused(self, answer: SenderRefused, retry_after: float) -> None:
        is_first, self._is_refused = not self._is_refused, True
        self._wait(self._refused_backoff, retry_after)
        if is_first:
            self._hook.report(DeliveryRefused(answer.status, answer.code, answer.detail))

    def _failed(self, reason: str, retry_after: float) -> None:
        if not self._failures:
            LOGGER.warning("events are kept and retried: %s", reason)
        self._wait(self._busy_backoff, retry_after)

    def _wait(self, backoff: Backoff, retry_after: float) -> None:
        """Pause, longer with each failure."""
        self._failures += 1
        self._isolation.busy()
        self._books.add("retried")
        now = time.monotonic()
        with self._changed:
            self._schedule.pause(now, retry_after, backoff.delay(self._failures), backoff.first)
            self._schedule.more_waits(now)

    def _settle_accounts(self) -> None:
        """Record the final state; count and report the events that will never be sent."""
        with self._changed:
            if self._drained is not None:
                return
            self._drained = not self._store.holds_through(self._store.newest)
            self._changed.notify_all()
        for suspect in self._store.last_suspects():
            self._set_aside(suspect, _event_id(suspect), NOT_SENT_IN_TIME)
        reported = 0
        if unsent := self._store.abandon():
            reported = self._books.drop(unsent, float("inf"))
            self._hook.report(EventsDropped(reported, NOT_SENT_IN_TIME))
        lost = self._books.lost()
        if sum(lost.values()) > reported:
            parts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in lost.items())
            LOGGER.warning("%d events were lost: %s", sum(lost.values()), parts)


def _event_id(event: StoredEvent) -> str:
    # before_send may have removed it
    return str(json.loads(event.body).get("event_id", ""))
