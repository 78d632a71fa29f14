"""The errors of the SDK. No message contains a value of an event.

AnalyticsError
├── ConfigurationError    raised by constructors
├── InvalidEvent          raised with strict=True, otherwise reported to on_error
├── EventRejected         reported: ingest rejected the event
├── EventsDropped         reported: there was no space, or no time left at the end
├── EventSetAside         reported: ingest kept failing on the event while it accepted others
├── HookFailed            reported: before_send raised, and the event was not sent
├── DeliveryRefused       reported: ingest rejects the sender; the events are kept and retried
├── SubscriptionRefused   raised by start_listening: the credentials are rejected, or it is another service
└── HandlerFailed         reported: a handler of a bus raised; the bus continues
"""

from __future__ import annotations


class AnalyticsError(Exception):
    """Base of all errors of the SDK."""


class ConfigurationError(AnalyticsError, ValueError):
    """An argument or environment variable is missing or invalid. The message names it."""


class InvalidEvent(AnalyticsError, ValueError):
    """The event violates the contract. It was not sent."""

    def __init__(self, event_type: str, pointer: str, code: str, rule: str = "") -> None:
        super().__init__(f"{event_type} is not valid at {pointer or '/'}: {code}{rule and ': '}{rule}")
        self.event_type = event_type
        self.pointer = pointer
        """JSON Pointer into the event."""
        self.code = code


class EventRejected(AnalyticsError):
    """Ingest rejected this event. Sending it again would not help."""

    def __init__(self, event_id: str, code: str, pointer: str, detail: str) -> None:
        super().__init__(f"event {event_id} was rejected at {pointer or '/'}: {code}: {detail}")
        self.event_id = event_id
        self.code = code
        self.pointer = pointer
        self.detail = detail


class EventsDropped(AnalyticsError):
    """Events will never be sent. `count` is their number since the last report."""

    def __init__(self, count: int, reason: str) -> None:
        super().__init__(f"{count} events were dropped: {reason}")
        self.count = count
        self.reason = reason
        """`queue_full`, `spool_full`, `spool_failed`, `closed`, or `not_sent_in_time`."""


class EventSetAside(AnalyticsError):
    """Ingest kept failing on this event alone while it accepted others. It is no longer sent."""

    def __init__(self, event_id: str, reason: str, tries: int, kept_in: str | None) -> None:
        where = "it is lost; set dead_letter_file or spool_dir" if kept_in is None else f"it is stored in {kept_in}"
        super().__init__(f"event {event_id} was set aside after {tries} tries alone ({reason}); {where}")
        self.event_id = event_id
        self.reason = reason
        """The last answer of ingest: `status 500` or the code of a verdict. `not_sent_in_time` at the end of a client
        with a dead_letter_file."""
        self.tries = tries
        self.kept_in = kept_in
        """File or directory that stores the event; None if it is lost."""


class StoreFailed(Exception):
    """The disk failed; the same call may succeed later. Internal to the SDK."""


class HookFailed(AnalyticsError):
    """before_send raised. Its exception is the `__cause__`."""


class DeliveryRefused(AnalyticsError):
    """Ingest rejects all requests of this sender. Reported once until it accepts an event again."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"ingest rejects this sender with status {status} ({code}): {detail}")
        self.status = status
        self.code = code


class SubscriptionRefused(AnalyticsError):
    """The read service rejects the credentials, or another service answers at its URL."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the subscription was refused ({status}): {detail}")
        self.status = status
        """HTTP status, or WebSocket close code."""


class HandlerFailed(AnalyticsError):
    """A handler raised. Its exception is the `__cause__`."""
