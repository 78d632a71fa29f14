"""Errors, and the action of a process for each.

    AnalyticsError
    ├── ConfigurationError        stop: the message names the setting and the fix
    ├── DependencyUnavailable     retry: nothing is lost, nothing is parked
    │   ├── StreamUnavailable
    │   └── StorageUnavailable
    ├── EventRejected             park: the database refuses an event of the batch
    ├── EventsBeforeHorizon       park: events of that time were removed, so a duplicate cannot be recognised
    └── DeadLetterLimitReached    stop: too many events would be parked, an operator must act

Anything else is a defect and stops the process.
"""

from __future__ import annotations

from collections.abc import Sequence


class AnalyticsError(Exception):
    """Base of all errors that this system raises deliberately."""


class ConfigurationError(AnalyticsError):
    """A setting is missing or invalid. The message names it and the fix."""


class DependencyUnavailable(AnalyticsError):
    """A server failed or refused a call. The same call may succeed later."""

    dependency = "dependency"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{self.dependency} unavailable ({reason}){': ' if detail else ''}{detail}")
        self.reason = reason
        """Stable name for metrics, such as `timeout` or `out_of_memory`."""
        self.detail = detail


class StreamUnavailable(DependencyUnavailable):
    """Redis refused, failed or did not answer. After a timeout the call may have taken effect."""

    dependency = "stream"


class StorageUnavailable(DependencyUnavailable):
    """Postgres refused, failed or did not answer. After a lost connection a commit may have taken effect."""

    dependency = "storage"


class EventRejected(AnalyticsError):
    """The database refused the data of at least one event of a batch. Nothing of the batch was stored."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        """SQLSTATE, or `encoding` if the value could not be sent."""
        self.detail = detail


class EventsBeforeHorizon(AnalyticsError):
    """Events of a batch are older than the retention horizon. Nothing of the batch was stored."""

    def __init__(self, entry_ids: Sequence[str]) -> None:
        super().__init__(f"{len(entry_ids)} events lie before the horizon of retention")
        self.entry_ids = frozenset(entry_ids)
        """Ids of their stream entries."""


class DeadLetterLimitReached(AnalyticsError):
    """Too many entries would be parked: probably the release is at fault. Nothing of the batch was parked or stored."""

    def __init__(self, excess: str, reasons: Sequence[str]) -> None:
        super().__init__(
            f"stopped rather than dead-letter {excess} ({', '.join(reasons)}); the entries stay in the stream."
            " See `Workers stop` in docs/operations.md; ANALYTICS_DEAD_LETTER_MAX_RATIO and"
            " ANALYTICS_DEAD_LETTER_MAX_CONSECUTIVE are the limits, 0 is off"
        )
