"""What happens inside, by name: one call is one log line and its metrics, per batch and never per event."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from runtime.errors import AnalyticsError, DependencyUnavailable
from telemetry import logging, metrics
from telemetry.labelled import labelled
from telemetry.labels import BatchStage

_log = logging.get("analytics")

_failed_detectors: set[str] = set()


def process_started(service: str, release: str) -> None:
    """A service is ready."""
    _log.info("process_started", service=service, version=release)


def process_stopped(service: str) -> None:
    """A service has drained and ends."""
    _log.info("process_stopped", service=service)


def events_judged(accepted: int, rejected: int, retry: int = 0) -> None:
    """A request is about to be answered; what it had accepted is in the stream. `retry`: met a fault of ingest."""
    if rejected:
        labelled(metrics.INGEST_EVENTS, "rejected").inc(rejected)
    if retry:
        labelled(metrics.INGEST_EVENTS, "retry").inc(retry)
    metrics.INGEST_BATCH_EVENTS.observe(accepted + rejected + retry)


def defect_confined(error: Exception) -> None:
    """A fault of ingest kept one event from being judged; its neighbours are stored."""
    metrics.INGEST_DEFECTS.inc()
    _log.error("defect_confined", exc_info=error)


def request_answered(route: str, status: int, seconds: float) -> None:
    """Ingest answered a request; `route` is a template."""
    labelled(metrics.INGEST_REQUESTS, route, str(status)).inc()
    labelled(metrics.INGEST_DURATION, route).observe(seconds)


def segment_judged(outcomes: Mapping[str, int]) -> None:
    """Calls of a Segment client were answered; `outcomes` counts them by what became of each."""
    for outcome, count in outcomes.items():
        metrics.SEGMENT_EVENTS.labels(outcome).inc(count)


def sdk_dropped(source: str, count: int) -> None:
    """A sender says how many events it dropped before they were sent; `source` is the name of its key."""
    metrics.SDK_DROPPED.labels(source).inc(count)


def events_appended(types: Mapping[str, int], seconds: float) -> None:
    """One append took events of many requests, counted by type, to the stream."""
    count = sum(types.values())
    labelled(metrics.INGEST_EVENTS, "accepted").inc(count)
    for event_type, number in types.items():
        labelled(metrics.INGEST_ACCEPTED, event_type).inc(number)
    metrics.PUBLISH_DURATION.observe(seconds)
    metrics.PUBLISH_EVENTS.observe(count)


def append_failed(error: DependencyUnavailable, count: int) -> None:
    """An append did not succeed; the senders of its events are told to retry."""
    metrics.INGEST_EVENTS.labels("retry").inc(count)
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("append_failed", reason=error.reason, detail=error.detail, events=count)


def events_held(count: Callable[[], int]) -> None:
    """What tells, when somebody asks, how many accepted events wait for the stream's answer."""
    metrics.INGEST_HELD_EVENTS.set_function(count)


def pressure_changed(pressure: str | None) -> None:
    """Ingest refuses events from now on, for this reason; None: it takes them again."""
    if pressure is None:
        _log.info("pressure_over")
    else:
        _log.warning("pressure_rose", reason=pressure)


def texts_judged(*, rejected: int, edited: Mapping[str, int]) -> None:
    """Texts of events were looked at: how many events were refused for one, and how many texts changed, by code."""
    if rejected:
        metrics.INGEST_PERSONAL.labels("rejected").inc(rejected)
    for code, count in edited.items():
        metrics.INGEST_PERSONAL.labels(code).inc(count)


def detector_failed(detector: str, error: str) -> None:
    """A validator of personal data raised an error of this type. Logged once for each validator, counted always."""
    metrics.DETECTOR_FAILURES.labels(detector).inc()
    if detector not in _failed_detectors:
        _failed_detectors.add(detector)
        # neither the message nor the traceback: both repeat the text
        _log.error("detector_failed", detector=detector, error=error)


def load_unknown(error: DependencyUnavailable) -> None:
    """Redis did not say how full it is."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("load_unknown", reason=error.reason, detail=error.detail)


def authentication_failed(reason: str) -> None:
    """Credentials were not good (`invalid_credentials`), or were not even looked at (`too_many_failures`)."""
    metrics.AUTHENTICATION_FAILURES.labels(reason).inc()


def prepare_read_routes(paths: Iterable[str], socket_path: str) -> None:
    """Export the series of the read service for each route and status, also while they are 0."""
    codes = dict.fromkeys(paths, metrics.READ_CODES) | {socket_path: metrics.LIVE_CODES}
    for route, route_codes in codes.items():
        labelled(metrics.READ_DURATION, route)
        for code in route_codes:
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
    """A request was refused before the application was given it. The server logs it, once a minute of each code."""
    labelled(metrics.REFUSED_REQUESTS, code).inc()


def key_set_read(used: int, skipped: int) -> None:
    """The public keys of learners' tokens were read, and are other in number than before."""
    metrics.JWKS_KEYS.labels("used").set(used)
    metrics.JWKS_KEYS.labels("skipped").set(skipped)
    _log.info("key_set_read", used=used, skipped=skipped)


def key_set_unreadable(error: AnalyticsError) -> None:
    """The public keys of learners' tokens cannot be read, or are not fit; those known stay in use."""
    metrics.RETRIES.labels("jwks", "unreadable").inc()
    _log.warning("key_set_unreadable", detail=str(error))


def api_keys_unreadable(error: DependencyUnavailable) -> None:
    """The issued keys cannot be read: those known stay in force, also when one is revoked meanwhile."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("api_keys_unreadable", reason=error.reason, detail=error.detail)


def tombstones_unreadable(error: DependencyUnavailable) -> None:
    """Who is erased cannot be read: what was known of it is used on."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("tombstones_unreadable", reason=error.reason, detail=error.detail)


def unmapped_names_unwritten(error: DependencyUnavailable) -> None:
    """The names nobody mapped cannot be written for `analytics doctor` to tell; they are kept for later."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("unmapped_names_unwritten", reason=error.reason, detail=error.detail)


def ingest_refused(reason: str) -> None:
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


def batch_committed(group: str, counts: dict[str, int], times: StageTimes, oldest_age: float) -> None:
    """A batch was stored and acknowledged; `oldest_age` is the age of its oldest event at the commit, in seconds."""
    for result, count in counts.items():
        metrics.CONSUMED_EVENTS.labels(group, result).inc(count)
    metrics.REDELIVERED.inc(counts["redelivered"])
    metrics.BATCH_EVENTS.observe(sum(counts.values()))
    for stage, seconds in times.seconds.items():
        metrics.BATCH_DURATION.labels(stage.value).observe(seconds)
    metrics.END_TO_END.labels(group).observe(oldest_age)
    metrics.LAST_COMMIT.labels(group).set_to_current_time()
    write_ms = round(times.seconds[BatchStage.WRITE] * 1000, 1)
    _log.debug("batch_committed", group=group, write_ms=write_ms, **counts)


def events_published(results: Mapping[str, int], seconds: float, oldest_age: float) -> None:
    """A live worker settled entries; `oldest_age` is the seconds since the oldest of them was received."""
    for result, count in results.items():
        metrics.CONSUMED_EVENTS.labels("live", result).inc(count)
    metrics.BATCH_EVENTS.observe(sum(results.values()))
    metrics.BATCH_DURATION.labels(BatchStage.PUBLISH.value).observe(seconds)
    if results["published"]:
        metrics.END_TO_END.labels("live").observe(oldest_age)
    metrics.LAST_COMMIT.labels("live").set_to_current_time()


def live_skipped(stream: str, count: int) -> None:
    """The live group was too far behind: so many entries are not published, and subscribers are told of a gap."""
    metrics.CONSUMED_EVENTS.labels("live", "skipped").inc(count)
    _log.warning("live_skipped", stream=stream, count=count)


def entries_parked(reasons: list[str]) -> None:
    """Entries went to dead_letters, one reason each."""
    for reason in reasons:
        metrics.DEAD_LETTERS.labels(reason).inc()
    _log.error("entries_parked", count=len(reasons), reasons=sorted(set(reasons)))


def parking_stopped(excess: str, reasons: list[str]) -> None:
    """A worker stops, since it would have to park too much."""
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


def lag_measured(stream: str, group: str, *, entries: int | None, pending: int, seconds: float) -> None:
    """A group's lag was looked up; `entries` is None when Redis cannot tell it."""
    metrics.LAG_KNOWN.labels(stream, group).set(0 if entries is None else 1)
    metrics.LAG_ENTRIES.labels(stream, group).set(math.nan if entries is None else entries)
    metrics.PENDING_ENTRIES.labels(stream, group).set(pending)
    metrics.LAG_SECONDS.labels(stream, group).set(seconds)


def event_ids_conflicted(differs: str, source: str, stored_source: str, count: int) -> None:
    """Events of a service were dropped as duplicates of other events with their ids."""
    metrics.ID_CONFLICTS.labels(differs).inc(count)
    _log.warning("event_ids_conflicted", differs=differs, source=source, stored_source=stored_source, count=count)


def key_changes_unknown(error: DependencyUnavailable) -> None:
    """Redis did not say when the key of pseudonyms was changed: learners of conflicting events are not compared."""
    metrics.RETRIES.labels(error.dependency, error.reason).inc()
    _log.warning("key_changes_unknown", reason=error.reason, detail=error.detail)


def conflicts_uncounted(error: DependencyUnavailable, count: int) -> None:
    """The process ended before these conflicts of event ids could be counted."""
    _log.warning("conflicts_uncounted", reason=error.reason, count=count)


def entries_claimed(stream: str, count: int) -> None:
    """Entries were taken over from a worker that was idle too long."""
    metrics.CLAIMED.inc(count)
    _log.warning("entries_claimed", stream=stream, count=count)


def entries_lost(stream: str, ids: list[str]) -> None:
    """Entries were gone from the stream before they were settled: data loss."""
    metrics.LOST.inc(len(ids))
    _log.error("entries_lost", stream=stream, count=len(ids), first=ids[0], last=ids[-1])


def group_recreated(stream: str, group: str) -> None:
    """A consumer group was gone: Redis was emptied, or an older copy took over."""
    metrics.STREAM_RECREATED.inc()
    _log.error("group_recreated", stream=stream, group=group)


def stream_went_back(stream: str, missing: int, after: str, before: str) -> None:
    """A stream has less than it had: Redis was emptied, or an older copy took over."""
    metrics.STREAM_REWINDS.inc()
    _log.error("stream_went_back", stream=stream, missing=missing, after=after, before=before)


def leadership_changed(*, leads: bool) -> None:
    """The maintenance process leads from now on, or no longer."""
    metrics.IS_LEADER.set(1 if leads else 0)
    _log.info("leadership_changed", leads=leads)


def chore_done(chore: str, seconds: float, outcome: str) -> None:
    """A maintenance chore took its turn; `outcome` says in a few words what it did."""
    metrics.CHORE_RUNS.labels(chore, "ok").inc()
    metrics.CHORE_DURATION.labels(chore).observe(seconds)
    _log.debug("chore_done", chore=chore, outcome=outcome)


def chore_failed(chore: str, error: DependencyUnavailable) -> None:
    """A maintenance chore could not do its work and waits for its next turn."""
    metrics.CHORE_RUNS.labels(chore, "failed").inc()
    _log.warning("chore_failed", chore=chore, reason=error.reason, detail=error.detail)


def live_subscribed(transport: str, change: int) -> None:
    """A subscriber came (1) or left (-1)."""
    metrics.LIVE_SUBSCRIBERS.labels(transport).inc(change)


def live_frames_sent(transport: str, frames: int, messages: int) -> None:
    """So many frames left since the last time, with so many events."""
    metrics.LIVE_FRAMES.labels(transport).inc(frames)
    metrics.LIVE_MESSAGES.labels(transport).inc(messages)


def live_subscriber_behind() -> None:
    """A subscriber reads so slowly that its events come from Redis again."""
    metrics.LIVE_BEHIND.inc()


def live_subscriber_resynced() -> None:
    """A subscriber was told that it missed events."""
    metrics.LIVE_RESYNCS.inc()


def live_history_gone(position: int, last: int) -> None:
    """The timeline does not go on where it was read to: everybody who follows it is told of the gap."""
    _log.warning("live_history_gone", position=position, last=last)


def live_messages_unreadable(count: int) -> None:
    """The timeline has messages that are not of our form; nobody is sent them."""
    metrics.LIVE_UNREADABLE.inc(count)
    _log.error("live_messages_unreadable", count=count)
