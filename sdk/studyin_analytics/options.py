"""The options of a client or tracker, with their defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypedDict

from .errors import AnalyticsError, ConfigurationError
from .schemas.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES, MAX_EVENT_BYTES

OnError = Callable[[AnalyticsError], object]
BeforeSend = Callable[[dict[str, Any]], dict[str, Any] | None]


_POSITIVE: Final = frozenset(
    ("flush_at", "max_batch_bytes", "max_event_bytes", "max_queue", "timeout", "max_event_attempts")
)
_NUMBERS: Final = (
    *sorted(_POSITIVE),
    *("flush_interval", "exit_timeout", "first_retry", "longest_retry", "refused_retry", "max_spool_bytes"),
)
_MOST: Final = {"flush_at": MAX_BATCH_EVENTS, "max_batch_bytes": MAX_BODY_BYTES, "max_event_bytes": MAX_EVENT_BYTES}


class OptionKeywords(TypedDict, total=False):
    """The fields of Options as keywords, for type checkers."""

    flush_at: int
    flush_interval: float
    max_batch_bytes: int
    max_event_bytes: int
    max_queue: int
    timeout: float
    exit_timeout: float
    first_retry: float
    longest_retry: float
    refused_retry: float
    max_event_attempts: int
    spool_dir: str | PathLike[str] | None
    max_spool_bytes: int
    dead_letter_file: str | PathLike[str] | None
    on_error: OnError | None
    before_send: BeforeSend | None
    strict: bool
    disabled: bool
    ca_file: str | None


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_function(value: object) -> bool:
    return value is None or callable(value)


def _is_path(value: object) -> bool:
    return isinstance(value, (str, PathLike, type(None)))


_KINDS: Final = (
    *((name, _is_flag, "True or False") for name in ("strict", "disabled")),
    *((name, _is_function, "a function") for name in ("on_error", "before_send")),
    *((name, _is_path, "a path") for name in ("spool_dir", "dead_letter_file", "ca_file")),
)
"""Options that are not numbers: name, test, and description of a valid value."""


@dataclass(frozen=True)
class Options:
    """Times are in seconds and sizes in bytes, unless noted otherwise."""

    flush_at: int = 100
    """Number of events that triggers a request, and the maximum of one request."""
    flush_interval: float = 1.0
    """Maximum time an event waits for a request to fill."""
    max_batch_bytes: int = 512 * 1024
    max_event_bytes: int = MAX_EVENT_BYTES
    max_queue: int = 10_000
    """Maximum number of events in memory. Further events are dropped, counted and reported."""
    timeout: float = 10.0
    """Timeout of one request."""
    exit_timeout: float = 2.0
    """Maximum time the exit of the process is delayed to send the remaining events."""
    first_retry: float = 0.5
    """Maximum delay after the first failure. It doubles with each failure."""
    longest_retry: float = 30.0
    """Maximum delay between retries."""
    refused_retry: float = 300.0
    """Maximum delay after ingest rejected the sender, and between two tries of an event on which ingest fails."""
    max_event_attempts: int = 10
    """Number of counted failures after which an event that is sent alone is set aside.

    A failure counts if ingest accepted another event since the previous try. The first failure never counts, so the
    event is sent alone at least once more than this number. EventSetAside has the number of all tries.
    """
    spool_dir: str | PathLike[str] | None = None
    """Directory that stores events on disk, instead of in memory, until they have a verdict."""
    max_spool_bytes: int = 256 * 1024 * 1024
    dead_letter_file: str | PathLike[str] | None = None
    """File that stores events that were set aside, one per line. A spool stores them itself."""
    on_error: OnError | None = None
    """Called with each error, from any thread."""
    before_send: BeforeSend | None = None
    """Takes an event and returns the event to send, or None to send nothing."""
    strict: bool = False
    """Whether an invalid call raises InvalidEvent."""
    disabled: bool = False
    """Whether to send nothing."""
    ca_file: str | None = None
    """File of trusted certificates. Default: those of the machine."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError for an invalid option."""
        for name in _NUMBERS:
            value, most = getattr(self, name), _MOST.get(name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigurationError(f"{name} must be a number")
            is_positive = value > 0 if name in _POSITIVE else value >= 0
            if not is_positive or (most is not None and value > most):
                raise ConfigurationError(
                    f"{name} must be {'more than 0' if name in _POSITIVE else '0 or more'}"
                    f" and at most {'any number' if most is None else most}"
                )
        for name, is_good, kind in _KINDS:
            if not is_good(getattr(self, name)):
                raise ConfigurationError(f"{name} must be {kind}")
        if self.ca_file is not None and not Path(self.ca_file).is_file():
            raise ConfigurationError("ca_file is not a file")
        if self.spool_dir is not None and self.dead_letter_file is not None:
            raise ConfigurationError(
                "dead_letter_file and spool_dir exclude each other: a spool stores dead letters itself"
            )
