"""What can go wrong, and where it is told. No message has a value of an event.

AnalyticsError
├── ConfigurationError    raised where the object is made
├── InvalidEvent          raised with strict=True, else told to on_error
├── EventRejected         told: ingest will not have this event
├── EventsDropped         told: there was no room, or no time left
├── EventSetAside         told: ingest failed on this event again and again while it took others
├── HookFailed            told: before_send raised, so the event was not sent
├── DeliveryRefused       told: ingest refuses the sender; the events are kept and tried again later
├── SubscriptionRefused   raised by start_listening: these credentials may not listen, or it is no read service
└── HandlerFailed         told: a handler of a bus raised; the bus goes on
"""

from __future__ import annotations


class AnalyticsError(Exception):
    """Base of every error of this SDK."""


class ConfigurationError(AnalyticsError, ValueError):
    """An argument or environment variable is missing or wrong; the message names it."""


class InvalidEvent(AnalyticsError, ValueError):
    """The event is not as the contract has it; nothing was sent."""

    def __init__(self, event_type: str, pointer: str, code: str, rule: str = "") -> None:
        super().__init__(f"{event_type} is not valid at {pointer or '/'}: {code}{rule and ': '}{rule}")
        self.event_type = event_type
        self.pointer = pointer
        """JSON Pointer into the event."""
        self.code = code


class EventRejected(AnalyticsError):
    """Ingest took the request and rejected this event; sending it again would change nothing."""

    def __init__(self, event_id: str, code: str, pointer: str, detail: str) -> None:
        super().__init__(f"event {event_id} was rejected at {pointer or '/'}: {code}: {detail}")
        self.event_id = event_id
        self.code = code
        self.pointer = pointer
        self.detail = detail


class EventsDropped(AnalyticsError):
    """Events will never be sent: `count` of them since this was last told."""

    def __init__(self, count: int, reason: str) -> None:
        super().__init__(f"{count} events were dropped: {reason}")
        self.count = count
        self.reason = reason
        """`queue_full`, `spool_full`, `spool_failed`, `closed`, or `not_sent_in_time`."""


class EventSetAside(AnalyticsError):
    """Ingest failed on this event whenever it was sent alone, while it took others. It is not sent any more."""

    def __init__(self, event_id: str, reason: str, tries: int, kept_in: str | None) -> None:
        where = "it is lost: no dead_letter_file or spool_dir is given" if kept_in is None else f"it is in {kept_in}"
        super().__init__(f"event {event_id} was set aside after {tries} tries alone ({reason}); {where}")
        self.event_id = event_id
        self.reason = reason
        """What ingest answered at last: `status 500`, or the code of its verdict; `not_sent_in_time` at the end of a
        client that has a dead_letter_file."""
        self.tries = tries
        self.kept_in = kept_in
        """File or directory where it is kept; None when it is lost."""


class StoreFailed(Exception):
    """Never leaves this SDK: the disk did not do its part; the same call may do later."""


class HookFailed(AnalyticsError):
    """before_send raised, which is the `__cause__`."""


class DeliveryRefused(AnalyticsError):
    """Ingest refuses whatever this sender sends, told once until it takes something again."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"ingest refuses this sender with status {status} ({code}): {detail}")
        self.status = status
        self.code = code


class SubscriptionRefused(AnalyticsError):
    """The read service does not let these credentials listen, or not any more; or there is another service."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the subscription was refused ({status}): {detail}")
        self.status = status
        """HTTP status, or close code of the WebSocket."""


class HandlerFailed(AnalyticsError):
    """A handler raised, which is the `__cause__`."""
