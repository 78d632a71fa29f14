"""The interface of event stores, and the store in memory. `spool.py` has the store on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple, Protocol

from .dead_letter_file import DeadLetterFile
from .suspicion import Suspicion


class StoredEvent(NamedTuple):
    """An event in a store."""

    key: int
    """Increases with each event."""
    body: bytes
    suspicion: Suspicion | None = None
    """None unless the event failed alone."""


@dataclass(frozen=True)
class Lease:
    """Events to send now, oldest first. They stay in the store."""

    events: Sequence[StoredEvent]
    more_in: float | None
    """Seconds until more events can be leased; None until the next `put`."""
    suspect_in: float | None = None
    """Seconds until a suspect can be leased; None without suspects."""


class Store(Protocol):
    """Stores events in order. Any thread may call `put`; one sender calls the other methods."""

    def put(self, body: bytes) -> str | None:
        """Store an event and return None, or return a reason of EventsDropped."""
        ...

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Lease the oldest events, without suspects and events leased elsewhere; at least one if there is any.

        Raises StoreFailed.
        """
        ...

    def lease_newest(self) -> StoredEvent | None:
        """Lease the newest event that `lease` could return. Raises StoreFailed."""
        ...

    def lease_suspect(self) -> StoredEvent | None:
        """Lease the suspect that is due first, or return None. Raises StoreFailed."""
        ...

    def suspect(self, key: int, suspicion: Suspicion, seconds: float) -> None:
        """Mark an event as a suspect that is due in `seconds`. Raises StoreFailed."""
        ...

    def set_aside(self, event: StoredEvent, reason: str) -> bool:
        """Move an event to the dead letters, if they are stored. Returns whether the event was still here.

        Raises StoreFailed when it cannot be stored. The event then stays a suspect.
        """
        ...

    @property
    def letters(self) -> str | None:
        """File or directory of the dead letters; None if they are not stored."""
        ...

    @property
    def settled(self) -> int:
        """Number of events settled by all processes that share the store. Raises StoreFailed."""
        ...

    def settle(self, keys: Collection[int]) -> int:
        """Delete events with a verdict; return the number of those still here. Raises StoreFailed."""
        ...

    def release(self, keys: Collection[int]) -> None:
        """Make leased events available again. Raises StoreFailed."""
        ...

    @property
    def newest(self) -> int:
        """Key of the newest event; 0 if there never was one."""
        ...

    def holds_through(self, key: int) -> bool:
        """Return whether an event up to this key, that was put or is to be sent here, has no verdict yet.

        Returns True when that is unknown.
        """
        ...

    def __len__(self) -> int: ...

    def last_suspects(self) -> Sequence[StoredEvent]:
        """Return the suspects that `abandon` would lose although dead letters are stored."""
        ...

    def abandon(self) -> int:
        """Give up the store; return the number of events that are lost."""
        ...


class MemoryStore:
    """Stores up to `most` events in memory, for one sender. Its leases need no record."""

    def __init__(self, most: int, dead_letters: DeadLetterFile | None = None) -> None:
        self.newest = 0
        self.settled = 0
        self._most = most
        self._dead_letters = dead_letters
        self._bodies: dict[int, bytes] = {}
        self._suspects: dict[int, tuple[float, Suspicion]] = {}
        self._keys = count(1)
        # reentrant: a signal handler may track in the thread that it interrupts
        self._lock = threading.RLock()

    def put(self, body: bytes) -> str | None:
        """Store an event if there is space."""
        with self._lock:
            if len(self._bodies) >= self._most:
                return "queue_full"
            self.newest = key = next(self._keys)
            self._bodies[key] = body
            return None

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Lease the oldest events."""
        with self._lock:
            waiting = len(self._bodies) - len(self._suspects)
            others = (StoredEvent(*item) for item in self._bodies.items() if item[0] not in self._suspects)
            found = within(list(islice(others, most)), max_bytes)
            next_try = min((moment for moment, _ in self._suspects.values()), default=None)
        suspect_in = None if next_try is None else max(next_try - time.monotonic(), 0.0)
        return Lease(found, 0.0 if len(found) < waiting else None, suspect_in)

    def lease_newest(self) -> StoredEvent | None:
        """Lease the newest event that is not a suspect."""
        with self._lock:
            return next(
                (StoredEvent(key, self._bodies[key]) for key in reversed(self._bodies) if key not in self._suspects),
                None,
            )

    def lease_suspect(self) -> StoredEvent | None:
        """Lease the suspect that is due first."""
        with self._lock:
            moment, key = min(((moment, key) for key, (moment, _) in self._suspects.items()), default=(0.0, 0))
            if not key or moment > time.monotonic():
                return None
            return StoredEvent(key, self._bodies[key], self._suspects[key][1])

    def suspect(self, key: int, suspicion: Suspicion, seconds: float) -> None:
        """Mark an event as a suspect."""
        with self._lock:
            if key in self._bodies:
                self._suspects[key] = time.monotonic() + seconds, suspicion

    def set_aside(self, event: StoredEvent, reason: str) -> bool:
        """Write an event to the dead letter file, if there is one, and delete it."""
        if self._dead_letters is not None:
            self._dead_letters.append(event.body)
        return bool(self._forget([event.key]))

    @property
    def letters(self) -> str | None:
        """The dead letter file, if there is one."""
        return None if self._dead_letters is None else self._dead_letters.path

    def settle(self, keys: Collection[int]) -> int:
        """Delete settled events."""
        forgotten = self._forget(keys)
        self.settled += forgotten
        return forgotten

    def release(self, keys: Collection[int]) -> None:
        """Do nothing: leases are not recorded."""

    def holds_through(self, key: int) -> bool:
        """Return whether the oldest event has this key or a lower one."""
        with self._lock:
            return next(iter(self._bodies), key + 1) <= key

    def __len__(self) -> int:
        return len(self._bodies)

    def last_suspects(self) -> Sequence[StoredEvent]:
        """Return all suspects if there is a dead letter file."""
        if self._dead_letters is None:
            return []
        with self._lock:
            return [StoredEvent(key, self._bodies[key], suspicion) for key, (_, suspicion) in self._suspects.items()]

    def abandon(self) -> int:
        """Delete all events."""
        with self._lock:
            return self._forget(list(self._bodies))

    def _forget(self, keys: Collection[int]) -> int:
        with self._lock:
            for key in keys:
                self._suspects.pop(key, None)
            return sum(self._bodies.pop(key, None) is not None for key in keys)


def within(events: Sequence[StoredEvent], max_bytes: int) -> Sequence[StoredEvent]:
    """Return the first events that fit in `max_bytes` with separators; at least one."""
    total = 0
    for position, event in enumerate(events):
        total += len(event.body) + 1
        if total > max_bytes and position:
            return events[:position]
    return events
