"""Where events wait for their verdict: the contract, and the one in memory. The other is in spool.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple, Protocol

from .dead_letter_file import DeadLetterFile
from .suspicion import Suspicion


class Parcel(NamedTuple):
    """An event in a store."""

    key: int
    """Grows from one to the next."""
    body: bytes
    suspicion: Suspicion | None = None
    """None for an event that never failed alone."""


@dataclass(frozen=True)
class Lease:
    """Events to send now, oldest first; they stay in the store."""

    parcels: Sequence[Parcel]
    more_in: float | None
    """Seconds until there is more to lease; None: until something is put."""
    suspect_in: float | None = None
    """Seconds until `lease_suspect` has an event; None: there is no suspect."""


class Store(Protocol):
    """Keeps events in order. `put` is called from any thread, what follows it by one sender."""

    def put(self, body: bytes) -> str | None:
        """Take an event, or return why not: a reason of EventsDropped."""
        ...

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Return the oldest events that nobody else is sending, at least one if there is any, and no suspect.

        Raises StoreFailed.
        """
        ...

    def lease_newest(self) -> Parcel | None:
        """Return the newest event that `lease` could return. Raises StoreFailed."""
        ...

    def lease_suspect(self) -> Parcel | None:
        """Return the suspect that waits longest for its next try, None when none is due. Raises StoreFailed."""
        ...

    def suspect(self, key: int, suspicion: Suspicion, seconds: float) -> None:
        """Keep an event apart from the others, and until its next try in so many seconds. Raises StoreFailed."""
        ...

    def set_aside(self, parcel: Parcel, reason: str) -> bool:
        """Take an event out of what is sent, to where dead letters are kept; return whether it was still here.

        Raises StoreFailed when it cannot be kept there now; it stays what it is then.
        """
        ...

    @property
    def letters(self) -> str | None:
        """Where dead letters are kept, None when they are not."""
        ...

    @property
    def settled(self) -> int:
        """How many events were settled so far, by whoever shares this store. Raises StoreFailed."""
        ...

    def settle(self, keys: Collection[int]) -> int:
        """Forget events that have their verdict; return how many were still there. Raises StoreFailed."""
        ...

    def release(self, keys: Collection[int]) -> None:
        """Note that leased events are to be leased again. Raises StoreFailed."""
        ...

    @property
    def newest(self) -> int:
        """Key of the newest event that is here, 0 when none was."""
        ...

    def holds_through(self, key: int) -> bool:
        """Whether an event that was put here or that is to be sent from here, up to this key, has no verdict yet.

        True when that cannot be told.
        """
        ...

    def __len__(self) -> int: ...

    def last_suspects(self) -> Sequence[Parcel]:
        """Return the suspects that `abandon` would lose although dead letters are kept."""
        ...

    def abandon(self) -> int:
        """Nothing more will be sent from here: return how many events that loses."""
        ...


class MemoryStore:
    """Keeps up to `most` events, for one sender; a lease is only a look, since nobody else takes anything."""

    def __init__(self, most: int, dead_letters: DeadLetterFile | None = None) -> None:
        self.newest = 0
        self.settled = 0
        self._most = most
        self._dead_letters = dead_letters
        self._bodies: dict[int, bytes] = {}
        self._suspects: dict[int, tuple[float, Suspicion]] = {}
        self._keys = count(1)
        # A signal handler may track too, in the thread that it interrupts
        self._lock = threading.RLock()

    def put(self, body: bytes) -> str | None:
        """Take an event unless there is no room."""
        with self._lock:
            if len(self._bodies) >= self._most:
                return "queue_full"
            self.newest = key = next(self._keys)
            self._bodies[key] = body
            return None

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Return the oldest events."""
        with self._lock:
            waiting = len(self._bodies) - len(self._suspects)
            others = (Parcel(*item) for item in self._bodies.items() if item[0] not in self._suspects)
            found = within(list(islice(others, most)), max_bytes)
            next_try = min((moment for moment, _ in self._suspects.values()), default=None)
        suspect_in = None if next_try is None else max(next_try - time.monotonic(), 0.0)
        return Lease(found, 0.0 if len(found) < waiting else None, suspect_in)

    def lease_newest(self) -> Parcel | None:
        """Return the newest event that is no suspect."""
        with self._lock:
            return next(
                (Parcel(key, self._bodies[key]) for key in reversed(self._bodies) if key not in self._suspects), None
            )

    def lease_suspect(self) -> Parcel | None:
        """Return the suspect whose moment came first."""
        with self._lock:
            moment, key = min(((moment, key) for key, (moment, _) in self._suspects.items()), default=(0.0, 0))
            if not key or moment > time.monotonic():
                return None
            return Parcel(key, self._bodies[key], self._suspects[key][1])

    def suspect(self, key: int, suspicion: Suspicion, seconds: float) -> None:
        """Keep an event apart."""
        with self._lock:
            if key in self._bodies:
                self._suspects[key] = time.monotonic() + seconds, suspicion

    def set_aside(self, parcel: Parcel, reason: str) -> bool:
        """Write an event to the file of dead letters, if there is one, and forget it."""
        if self._dead_letters is not None:
            self._dead_letters.append(parcel.body)
        return bool(self._forget([parcel.key]))

    @property
    def letters(self) -> str | None:
        """The file of dead letters."""
        return None if self._dead_letters is None else self._dead_letters.path

    def settle(self, keys: Collection[int]) -> int:
        """Forget events."""
        forgotten = self._forget(keys)
        self.settled += forgotten
        return forgotten

    def release(self, keys: Collection[int]) -> None:
        """Do nothing: they never left."""

    def holds_through(self, key: int) -> bool:
        """Whether the oldest event is as old as this."""
        with self._lock:
            return next(iter(self._bodies), key + 1) <= key

    def __len__(self) -> int:
        return len(self._bodies)

    def last_suspects(self) -> Sequence[Parcel]:
        """Return all suspects where there is a file of dead letters."""
        if self._dead_letters is None:
            return []
        with self._lock:
            return [Parcel(key, self._bodies[key], suspicion) for key, (_, suspicion) in self._suspects.items()]

    def abandon(self) -> int:
        """Forget everything."""
        with self._lock:
            return self._forget(list(self._bodies))

    def _forget(self, keys: Collection[int]) -> int:
        with self._lock:
            for key in keys:
                self._suspects.pop(key, None)
            return sum(self._bodies.pop(key, None) is not None for key in keys)


def within(parcels: Sequence[Parcel], max_bytes: int) -> Sequence[Parcel]:
    """Return as many of the first parcels as have so many bytes together with what separates them; at least one."""
    total = 0
    for position, parcel in enumerate(parcels):
        total += len(parcel.body) + 1
        if total > max_bytes and position:
            return parcels[:position]
    return parcels
