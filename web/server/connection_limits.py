"""Limits open connections, in total and per client address. No I/O.

At a limit, the connection that has waited longest for a complete request head is closed in favour of the new one.
Clients that connect and send nothing therefore cannot lock others out. When every connection is serving a request, the
new one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Final, Literal, Protocol

from web.network_site import site_of
from web.problems import Refusal

RETRY_SECONDS: Final = 5

RefusalReason = Literal["total", "address", "idle_closed", "descriptors"]

TOO_MANY: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "This process has the maximum number of open connections.",
    headers={"retry-after": str(RETRY_SECONDS)},
)
TOO_MANY_FROM_ADDRESS: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_connections_from_address",
    "Your network address has the maximum number of open connections.",
    headers={"retry-after": str(RETRY_SECONDS)},
)


class ConnectionObserver(Protocol):
    """Counts connections, for metrics."""

    def opened(self, change: int) -> None:
        """Count a connection that was opened (1) or closed (-1)."""

    def refused(self, reason: RefusalReason) -> None:
        """Count a connection that was refused, or closed early, for the reason."""


class _Group:
    """Connections that share a limit."""

    __slots__ = ("idle", "limit", "open", "reason", "refusal")

    def __init__(self, limit: int | None, refusal: Refusal, reason: RefusalReason) -> None:
        self.limit = limit
        self.refusal = refusal
        self.reason: RefusalReason = reason
        self.open = 0
        self.idle: dict[ConnectionSlot, None] = {}

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.open >= self.limit


class ConnectionSlot:
    """One open connection. It begins idle: without a complete request head."""

    __slots__ = ("_limits", "close", "groups", "is_open", "site")

    def __init__(self, limits: ConnectionLimits, site: str, groups: tuple[_Group, _Group]) -> None:
        self._limits = limits
        self.site = site
        self.groups = groups
        self.is_open = True
        self.close: Callable[[], object] | None = None
        """Closes the connection at once."""
        for group in groups:
            group.open += 1
        self.idle()

    def idle(self) -> None:
        """Mark the connection as waiting for a request."""
        if self.is_open:
            # written out, as this runs for every request
            site, total = self.groups
            site.idle[self] = total.idle[self] = None

    def busy(self) -> None:
        """Mark the connection as serving a request."""
        site, total = self.groups
        site.idle.pop(self, None)
        total.idle.pop(self, None)

    def release(self) -> None:
        """Free the slot of a closed connection. Further calls do nothing."""
        if self.is_open:
            self.is_open = False
            self.busy()
            for group in self.groups:
                group.open -= 1
            self._limits.released(self)


class ConnectionLimits:
    """The connection slots of one listener."""

    def __init__(
        self,
        total: int,
        per_address: int | None,
        exempt: Sequence[str] = (),
        observer: ConnectionObserver | None = None,
    ) -> None:
        """Set the limits. `per_address` None: no limit. `exempt`: addresses and networks without one."""
        self._all = _Group(total, TOO_MANY, "total")
        self._per_address = per_address
        self._exempts_all = "*" in exempt
        self._exempt = [ip_network(one, strict=False) for one in exempt if _is_network(one)]
        self._sites: dict[str, _Group] = {}
        self._observer = observer

    @property
    def total(self) -> int:
        """Maximum open connections."""
        return self._all.limit or 0

    @property
    def open(self) -> int:
        """Number of open connections."""
        return self._all.open

    def acquire(self, address: str | None) -> ConnectionSlot:
        """Return a slot for a new connection. May close an idle one. Raises Refusal (429 or 503)."""
        site = site_of(address)
        limit = None if self._is_exempt(address) else self._per_address
        group = self._sites.get(site) or _Group(limit, TOO_MANY_FROM_ADDRESS, "address")
        for one in (group, self._all):
            if one.is_full and not self._close_oldest_idle(one):
                self.count(one.reason)
                raise one.refusal
        self._sites[site] = group
        if self._observer is not None:
            self._observer.opened(1)
        return ConnectionSlot(self, site, (group, self._all))

    def close_oldest_idle(self) -> bool:
        """Close the connection that has been idle longest. Return whether there was one."""
        return self._close_oldest_idle(self._all)

    def count(self, reason: RefusalReason) -> None:
        """Count a refusal."""
        if self._observer is not None:
            self._observer.refused(reason)

    def released(self, slot: ConnectionSlot) -> None:
        """Drop the state of an address without connections."""
        if self._sites[slot.site].open == 0:
            del self._sites[slot.site]
        if self._observer is not None:
            self._observer.opened(-1)

    def _close_oldest_idle(self, group: _Group) -> bool:
        oldest = next(iter(group.idle), None)
        if oldest is None:
            return False
        self.count("idle_closed")
        # at once, so that the new connection fits; the socket is closed within this turn of the loop
        oldest.release()
        if oldest.close is not None:
            oldest.close()
        return True

    def _is_exempt(self, address: str | None) -> bool:
        if self._exempts_all:
            return True
        if not self._exempt or address is None:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._exempt)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
