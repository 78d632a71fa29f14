"""What can go wrong, and what each kind of process does about it.

    AnalyticsError
    ├── ConfigurationError        stop: say the setting and the fix
    ├── DependencyUnavailable     retry: nothing is lost, nothing is parked
    │   ├── StreamUnavailable
    │   └── StorageUnavailable
    ├── EventRejected             park: find the event of the batch that the database refuses
    ├── EventsBeforeHorizon       park: retention may have removed them, so nobody can tell whether they are new
    └── DeadLetterLimitReached    stop: too much would be parked, somebody must look

Anything else is a defect and stops the process.
"""

from __future__ import annotations

from collections.abc import Sequence


class AnalyticsError(Exception):
    """Base of every error this system raises on purpose."""


class ConfigurationError(AnalyticsError):
    """A setting is missing or wrong; the message names it and says the fix."""


class DependencyUnavailable(AnalyticsError):
    """A server this process needs did not do its part; the same call may succeed later."""

    dependency = "dependency"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{self.dependency} unavailable ({reason}){': ' if detail else ''}{detail}")
        self.reason = reason
        """Stable word for metrics, such as `timeout` or `out_of_memory`."""
        self.detail = detail


class StreamUnavailable(DependencyUnavailable):
    """Redis refused, failed or did not answer. After a timeout it is unknown whether the call took effect."""

    dependency = "stream"


class StorageUnavailable(DependencyUnavailable):
    """Postgres refused, failed or did not answer. After a lost connection a commit may still have taken effect."""

    dependency = "storage"


class EventRejected(AnalyticsError):
    """The database refused the data of at least one event of a batch; nothing of the batch was stored."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        """SQLSTATE, or `encoding` when the value could not even be sent."""
        self.detail = detail


class EventsBeforeHorizon(AnalyticsError):
    """Events of a batch lie before the horizon of retention; nothing of the batch was stored."""

    def __init__(self, entry_ids: Sequence[str]) -> None:
        super().__init__(f"{len(entry_ids)} events lie before the horizon of retention")
        self.entry_ids = frozenset(entry_ids)
        """Entries of the stream that brought them."""


class DeadLetterLimitReached(AnalyticsError):
    """So much of the stream would be parked that the entries are not what is wrong; none of the batch was."""

    def __init__(self, excess: str, reasons: Sequence[str]) -> None:
        super().__init__(
            f"stopped rather than dead-letter {excess} ({', '.join(reasons)}); the entries stay in the stream."
            " See `Workers stop` in docs/operations.md; ANALYTICS_DEAD_LETTER_MAX_RATIO and"
            " ANALYTICS_DEAD_LETTER_MAX_CONSECUTIVE are the limits, 0 is off"
        )
