"""Internal events of a process. One call writes one log line and its metrics, once per batch, never per event."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

from runtime.errors import AnalyticsError, DependencyUnavailable
from telemetry import leader_facts, logging, metrics
from telemetry.labels import (
    AuthenticationFailure,
    BackpressureReason,
    BatchStage,
    ChoreOutcome,
    GroupKind,
    IdDifference,
    IngestOutcome,
    KeyState,
    LiveResult,
    SegmentOutcome,
    StoreResult,
    TextOutcome,
)

Metric = TypeVar("Metric", bound=MetricWrapperBase)

_log = logging.get("analytics")

_failed_detectors: set[str] = set()


@cache
def labelled(metric: Metric, *values: str) -> Metric:
    """Return the series of these label values, cached: to look one up, the client library checks labels and locks.

    The number of combinations must be bounded.
    """
    return metric.labels(*values)


def process_started(service: str, release: str) -> None:
    """A service is ready."""
    _log.info("process_started", service=service, version=release)


def process_stopped(service: str) -> None:
    """A service has drained and ends."""
    _log.info("process_stopped", service=service)


def request_processed(accepted: int, rejected: int, retry: int = 0) -> None:
    """A request was processed; its accepted events are in the stream. `retry`: events affected by a fault of ingest."""
    if rejected:
        labelled(metrics.INGEST_EVENTS, IngestOutcome.REJECTED).inc(rejected)
    if retry:
        labelled(metrics.INGEST_EVENTS, IngestOutcome.RETRY).inc(retry)
    metrics.INGEST_BATCH_EVENTS.observe(accepted + rejected + retry)


def defect_confined(error: Exception) -> None:
    """A fault of ingest affected the validation of one event; the other events of the request are stored."""
    metrics.INGEST_DEFECTS.inc()
    _log.error("defect_confined", exc_info=error)


def prepare_ingest_routes(statuses: Mapping[str, Iterable[str]]) -> None:
    """Export the series of ingest for each route and its statuses, also while they are 0."""
    for route, codes in statuses.items():
        labelled(metrics.INGEST_DURATION, route)
        for code in codes:
            labelled(metrics.INGEST_REQUESTS, route, code)


def request_answered(route: str, status: int, seconds: float) -> None:
    """Ingest answered a request; `route` is a template."""
    labelled(metrics.INGEST_REQUESTS, route, str(status)).inc()
    labelled(metrics.INGEST_DURATION, route).observe(seconds)


def segment_calls_answered(outcomes: Mapping[SegmentOutcome, int]) -> None:
    """Calls of a Segment client were answered; `outcomes` counts them by outcome."""
    for outcome, count in outcomes.items():
        metrics.SEGMENT_EVENTS.labels(outcome).inc(count)


def sdk_dropped(source: str, count: int) -> None:
    """A sender reports how many events it dropped before sending; `source` is the name of its key."""
    metrics.SDK_DROPPED.labels(source).inc(count)


def events_appended(types: Mapping[str, int], seconds: float) -> None:
    """Events of many requests, counted by type, were appended to the stream in one call of `seconds`."""
    count = sum(types.values())
    labelled(metrics.INGEST_EVENTS, IngestOutcome.ACCEPTED).inc(count)
    for event_type, number in types.items():
        labelled(metrics.INGEST_ACCEPTED, event_type).inc(number)
    metrics.PUBLISH_DURATION.observe(seconds)
    metrics.PUBLISH_EVENTS.observe(count)


def append_failed(error: DependencyUnavailable, count: int) -> None:
    """An append failed; the senders of its events receive a retry answer."""
    metrics.INGEST_EVENTS.labels(IngestOutcome.RETRY).inc(count)
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("append_failed", reason=error.reason, detail=error.detail, events=count)


def events_held(count: Callable[[], int]) -> None:
    """Set the function that returns how many accepted events wait for the reply of the stream."""
    metrics.INGEST_HELD_EVENTS.set_function(count)


def pressure_changed(pressure: BackpressureReason | None) -> None:
    """Ingest refuses events from now on for this reason; None: it accepts them again."""
    if pressure is None:
        _log.info("pressure_over")
    else:
        _log.warning("pressure_rose", reason=pressure)


def texts_inspected(*, rejected: int, edited: Mapping[str, int]) -> None:
    """Texts were checked for personal data: the number of rejected events, and of changed texts by code."""
    if rejected:
        metrics.INGEST_PERSONAL.labels(TextOutcome.REJECTED).inc(rejected)
    for code, count in edited.items():
        metrics.INGEST_PERSONAL.labels(TextOutcome(code)).inc(count)


def prepare_detectors(names: Iterable[str]) -> None:
    """Export the counter of each validator of personal data, also while it is 0."""
    for name in names:
        metrics.DETECTOR_FAILURES.labels(name)


def detector_failed(detector: str, error: str) -> None:
    """A validator of personal data raised this type of error. All are counted, the first of a validator is logged."""
    metrics.DETECTOR_FAILURES.labels(detector).inc()
    if detector not in _failed_detectors:
        _failed_detectors.add(detector)
        # neither the message nor the traceback: both repeat the text
        _log.error("detector_failed", detector=detector, error=error)


def load_unknown(error: DependencyUnavailable) -> None:
    """Redis did not report its load."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("load_unknown", reason=error.reason, detail=error.detail)


def authentication_failed(reason: AuthenticationFailure) -> None:
    """Credentials were refused."""
    metrics.AUTHENTICATION_FAILURES.labels(reason).inc()


def prepare_read_routes(statuses: Mapping[str, Iterable[str]]) -> None:
    """Export the series of the read service for each route and its statuses, also while they are 0."""
    for route, codes in statuses.items():
        labelled(metrics.READ_DURATION, route)
        for code in codes:
            labelled(metrics.READ_REQUESTS, route, code)


def read_answered(route: str, status: int, seconds: float) -> None:
    """Count an answer of the read service. `route` is a template, `seconds` the time until the answer began."""
    labelled(metrics.READ_REQUESTS, route, str(status)).inc()
    labelled(metrics.READ_DURATION, route).observe(seconds)


def prepare_refusal_codes(codes: Iterable[str]) -> None:
    """Export the counter of each code, also while it is 0."""
    for code in codes:
        labelled(metrics.REFUSED_REQUESTS, code)


def request_refused(code: str) -> None:
    """The server refused a request before it reached the application. It logs each code once a minute."""
    labelled(metrics.REFUSED_REQUESTS, code).inc()


def key_set_read(used: int, skipped: int) -> None:
    """The public keys of learners' tokens were read, and their number has changed."""
    metrics.JWKS_KEYS.labels(KeyState.USED).set(used)
    metrics.JWKS_KEYS.labels(KeyState.SKIPPED).set(skipped)
    _log.info("key_set_read", used=used, skipped=skipped)


def key_set_unreadable(error: AnalyticsError) -> None:
    """The public keys of learners' tokens cannot be read or used; the known keys stay in use."""
    metrics.RETRIES.labels("jwks", "unreadable").inc()
    _log.warning("key_set_unreadable", detail=str(error))


def api_keys_unreadable(error: DependencyUnavailable) -> None:
    """The issued keys cannot be read: the known keys stay in force, even if one is revoked meanwhile."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("api_keys_unreadable", reason=error.reason, detail=error.detail)


def tombstones_unreadable(error: DependencyUnavailable) -> None:
    """The tombstones cannot be read: the known ones stay in use."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("tombstones_unreadable", reason=error.reason, detail=error.detail)


def unmapped_names_unwritten(error: DependencyUnavailable) -> None:
    """The unmapped names cannot be written for `analytics doctor`; they are kept for later."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("unmapped_names_unwritten", reason=error.reason, detail=error.detail)


def ingest_refused(reason: BackpressureReason) -> None:
    """A request was answered with 429 or 503."""
    metrics.INGEST_BACKPRESSURE.labels(reason).inc()


@dataclass
class StageTimes:
    """How long a batch spent in each stage."""

    seconds: dict[BatchStage, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def measure(self, stage: BatchStage) -> Iterator[None]:
        """Record how long the block takes."""
        started = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - started


def batch_committed(counts: Mapping[str, int], times: StageTimes, oldest_age: float) -> None:
    """A batch was stored and acknowledged; `oldest_age` is the age of its oldest event at the commit, in seconds."""
    for result in StoreResult:
        metrics.CONSUMED_EVENTS.labels(GroupKind.STORE, result).inc(counts[result])
    metrics.REDELIVERED.inc(counts[StoreResult.REDELIVERED])
    metrics.BATCH_EVENTS.observe(sum(counts.values()))
    for stage, seconds in times.seconds.items():
        metrics.BATCH_DURATION.labels(stage).observe(seconds)
    metrics.END_TO_END.labels(GroupKind.STORE).observe(oldest_age)
    metrics.LAST_COMMIT.labels(GroupKind.STORE).set_to_current_time()
    write_ms = round(times.seconds[BatchStage.WRITE] * 1000, 1)
    _log.debug("batch_committed", group=GroupKind.STORE.value, write_ms=write_ms, **counts)


def events_published(results: Mapping[LiveResult, int], seconds: float, oldest_age: float) -> None:
    """A live worker settled entries; `oldest_age` is the age of the oldest published event, in seconds."""
    for result, count in results.items():
        metrics.CONSUMED_EVENTS.labels(GroupKind.LIVE, result).inc(count)
    metrics.BATCH_EVENTS.observe(sum(results.values()))
    metrics.BATCH_DURATION.labels(BatchStage.PUBLISH).observe(seconds)
    if results.get(LiveResult.PUBLISHED):
        metrics.END_TO_END.labels(GroupKind.LIVE).observe(oldest_age)
    metrics.LAST_COMMIT.labels(GroupKind.LIVE).set_to_current_time()


def live_skipped(stream: str, count: int) -> None:
    """The live workers were too late: `count` entries are not published, and subscribers receive a gap notice."""
    metrics.CONSUMED_EVENTS.labels(GroupKind.LIVE, LiveResult.SKIPPED).inc(count)
    _log.warning("live_skipped", stream=stream, count=count)


def entries_parked(reasons: list[str]) -> None:
    """Entries were parked in dead_letters, one reason each."""
    for reason in reasons:
        metrics.DEAD_LETTERS.labels(reason).inc()
    _log.error("entries_parked", count=len(reasons), reasons=sorted(set(reasons)))


def parking_stopped(excess: str, reasons: list[str]) -> None:
    """A worker stops because it would have to park too much."""
    _log.error("parking_stopped", excess=excess, reasons=reasons)


def retrying(error: DependencyUnavailable, attempt: int, wait: float) -> None:
    """A call failed and is tried again after `wait` seconds."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning(
        "retrying",
        dependency=error.dependency,
        reason=error.reason,
        detail=error.detail,
        attempt=attempt,
        wait_seconds=round(wait, 2),
    )


def event_ids_conflicted(differs: IdDifference, source: str, stored_source: str, count: int) -> None:
    """Events of a service were dropped as duplicates of different events with the same ids."""
    metrics.ID_CONFLICTS.labels(differs).inc(count)
    _log.warning("event_ids_conflicted", differs=differs, source=source, stored_source=stored_source, count=count)


def key_changes_unknown(error: DependencyUnavailable) -> None:
    """The times of key changes cannot be read from Redis: learners of conflicting events are not compared."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("key_changes_unknown", reason=error.reason, detail=error.detail)


def conflicts_uncounted(error: DependencyUnavailable, count: int) -> None:
    """The process ended before these conflicts of event ids could be counted."""
    _log.warning("conflicts_uncounted", reason=error.reason, count=count)


def entries_claimed(stream: str, count: int) -> None:
    """Entries were claimed from a worker that was idle too long."""
    metrics.CLAIMED.inc(count)
    _log.warning("entries_claimed", stream=stream, count=count)


def entries_lost(stream: str, ids: list[str]) -> None:
    """Entries left the stream before they were settled: data loss."""
    metrics.LOST.inc(len(ids))
    _log.error("entries_lost", stream=stream, count=len(ids), first=ids[0], last=ids[-1])


def group_recreated(stream: str, group: str) -> None:
    """A group was missing, or the cursor of the live workers was past the end: Redis lost its data."""
    metrics.STREAM_RECREATED.inc()
    _log.error("group_recreated", stream=stream, group=group)


def stream_went_back(stream: str, missing: int, after: str, before: str) -> None:
    """A stream has fewer entries than before: Redis lost its data, or an older copy took over."""
    metrics.STREAM_REWINDS.inc()
    _log.error("stream_went_back", stream=stream, missing=missing, after=after, before=before)


def prepare_chores(intervals: Mapping[str, timedelta]) -> None:
    """Set the interval of each chore, and export the series of each, also while they are 0."""
    leader_facts.TERM.plan(intervals)
    for chore in intervals:
        labelled(metrics.CHORE_DURATION, chore)
        for outcome in ChoreOutcome:
            labelled(metrics.CHORE_RUNS, chore, outcome)


def leadership_changed(*, leads: bool) -> None:
    """The maintenance process became the leader, or ceased to be."""
    metrics.IS_LEADER.set(1 if leads else 0)
    if leads:
        leader_facts.TERM.begin()
        for chore, interval in leader_facts.TERM.intervals.items():
            leader_facts.CHORE_SUCCESS.set(0, chore)
            leader_facts.CHORE_INTERVAL.set(interval.total_seconds(), chore)
    else:
        leader_facts.TERM.end()
    _log.info("leadership_changed", leads=leads)


def chore_done(chore: str, seconds: float, outcome: str) -> None:
    """A maintenance chore ran; `outcome` summarises what it did."""
    metrics.CHORE_RUNS.labels(chore, ChoreOutcome.OK).inc()
    metrics.CHORE_DURATION.labels(chore).observe(seconds)
    leader_facts.CHORE_SUCCESS.set(time.time(), chore)
    _log.debug("chore_done", chore=chore, outcome=outcome)


def chore_failed(chore: str, error: DependencyUnavailable) -> None:
    """A maintenance chore failed and waits for its next turn."""
    metrics.CHORE_RUNS.labels(chore, ChoreOutcome.FAILED).inc()
    _log.warning("chore_failed", chore=chore, reason=error.reason, detail=error.detail)


def live_subscribed(transport: str, change: int) -> None:
    """A subscriber connected (1) or left (-1)."""
    metrics.LIVE_SUBSCRIBERS.labels(transport).inc(change)


def live_frames_sent(transport: str, frames: int, messages: int) -> None:
    """Frames with events were sent since the last call."""
    metrics.LIVE_FRAMES.labels(transport).inc(frames)
    metrics.LIVE_MESSAGES.labels(transport).inc(messages)


def live_subscriber_behind() -> None:
    """A subscriber reads so slowly that its events must be read from Redis again."""
    metrics.LIVE_BEHIND.inc()


def live_subscriber_resynced() -> None:
    """A subscriber was notified that it missed events."""
    metrics.LIVE_RESYNCS.inc()


def live_history_gone(position: Sequence[int], last: Sequence[int]) -> None:
    """The timeline does not continue at the last position: all subscribers receive a gap notice."""
    _log.warning("live_history_gone", position=position, last=last)


def live_messages_unreadable(count: int) -> None:
    """The timeline holds messages in an unknown form; they are not sent."""
    metrics.LIVE_UNREADABLE.inc(count)
    _log.error("live_messages_unreadable", count=count)
