"""Where events wait for their verdict: the contract, and the one in memory. The other is in spool.py."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple, Protocol


class Parcel(NamedTuple):
    """An event in a store."""

    key: int
    """Grows from one to the next."""
    body: bytes


@dataclass(frozen=True)
class Lease:
    """Events to send now, oldest first; they stay in the store."""

    parcels: Sequence[Parcel]
    more_in: float | None
    """Seconds until there is more to lease; None: until something is put."""


class StoreFailed(Exception):
    """The disk did not do its part; the same call may do later."""


class Store(Protocol):
    """Keeps events in order. `put` is called from any thread, what follows it by one sender."""

    def put(self, body: bytes) -> str | None:
        """Take an event, or return why not: a reason of EventsDropped."""
        ...

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Return the oldest events that nobody else is sending, at least one if there is any. Raises StoreFailed."""
        ...

    def settle(self, keys: Collection[int]) -> int:
        """Forget events that have their verdict; return how many were still there. Raises StoreFailed."""
        ...

    def release(self, keys: Collection[int]) -> None:
        """Note that leased events are to be leased again. Raises StoreFailed."""
        ...

    @property
    def newest(self) -> int:
        """Key of the newest event that was put, 0 when none was."""
        ...

    def holds_through(self, key: int) -> bool:
        """Whether an event that was put here, up to this key, has no verdict yet; True when that cannot be told."""
        ...

    def __len__(self) -> int: ...

    def abandon(self) -> int:
        """Nothing more will be sent from here: return how many events that loses."""
        ...


class MemoryStore:
    """Keeps up to `most` events, for one sender; a lease is only a look, since nobody else takes anything."""

    def __init__(self, most: int) -> None:
        self.newest = 0
        self._most = most
        self._bodies: dict[int, bytes] = {}
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
            waiting = len(self._bodies)
            found = within([Parcel(*item) for item in islice(self._bodies.items(), most)], max_bytes)
        return Lease(found, 0.0 if len(found) < waiting else None)

    def settle(self, keys: Collection[int]) -> int:
        """Forget events."""
        with self._lock:
            return sum(self._bodies.pop(key, None) is not None for key in keys)

    def release(self, keys: Collection[int]) -> None:
        """Do nothing: they never left."""

    def holds_through(self, key: int) -> bool:
        """Whether the oldest event is as old as this."""
        with self._lock:
            return next(iter(self._bodies), key + 1) <= key

    def __len__(self) -> int:
        return len(self._bodies)

    def abandon(self) -> int:
        """Forget everything."""
        with self._lock:
            lost = len(self._bodies)
            self._bodies.clear()
            return lost


def within(parcels: Sequence[Parcel], max_bytes: int) -> Sequence[Parcel]:
    """Return as many of the first parcels as have so many bytes together with what separates them; at least one."""
    total = 0
    for position, parcel in enumerate(parcels):
        total += len(parcel.body) + 1
        if total > max_bytes and position:
            return parcels[:position]
    return parcels
