"""Open connections are limited, and idle connections are closed to make room for new ones."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from web.network_site import site_of
from web.problems import Refusal
from web.server.connection_limits import ConnectionLimits, ConnectionSlot
from web.server.listener import Listener


class Observer:
    def __init__(self) -> None:
        self.open = 0
        self.reasons: Counter[str] = Counter()

    def opened(self, change: int) -> None:
        self.open += change

    def refused(self, reason: str) -> None:
        self.reasons[reason] += 1


def busy(limits: ConnectionLimits, address: str) -> ConnectionSlot:
    slot = limits.acquire(address)
    slot.busy()
    return slot


def test_a_full_server_closes_the_connection_that_is_idle_longest() -> None:
    observer = Observer()
    limits = ConnectionLimits(2, None, observer=observer)
    closed: list[str] = []
    for name in ("first", "second"):
        limits.acquire("192.0.2.1").close = partial(closed.append, name)
    limits.acquire("192.0.2.2")
    assert closed == ["first"]
    assert (limits.open, observer.open, observer.reasons) == (2, 2, {"idle_closed": 1})


def test_a_connection_that_answered_waits_behind_those_that_came_before_its_end() -> None:
    limits = ConnectionLimits(2, None)
    answered, silent = limits.acquire("192.0.2.1"), limits.acquire("192.0.2.2")
    answered.busy()
    answered.idle()
    limits.acquire("192.0.2.3")
    assert (answered.is_open, silent.is_open) == (True, False)


def test_no_connection_that_serves_a_request_is_closed_for_another() -> None:
    observer = Observer()
    limits = ConnectionLimits(1, None, observer=observer)
    slot = busy(limits, "192.0.2.1")
    with pytest.raises(Refusal) as refused:
        limits.acquire("192.0.2.2")
    assert (refused.value.status, refused.value.code) == (503, "too_many_connections")
    assert "retry-after" in refused.value.headers
    assert observer.reasons == {"total": 1}
    slot.release()
    slot.release()
    assert (limits.open, observer.open) == (0, 0)
    limits.acquire("192.0.2.2")


def test_an_address_has_a_share_and_closes_only_its_own_idle_connections() -> None:
    limits = ConnectionLimits(10, 2)
    neighbour = limits.acquire("192.0.2.9")
    own = busy(limits, "192.0.2.1"), limits.acquire("192.0.2.1")
    limits.acquire("192.0.2.1").busy()
    assert (neighbour.is_open, own[0].is_open, own[1].is_open) == (True, True, False)
    with pytest.raises(Refusal) as refused:
        limits.acquire("192.0.2.1")
    assert (refused.value.status, refused.value.code) == (429, "too_many_connections_from_address")


def test_an_ipv6_site_is_one_address() -> None:
    limits = ConnectionLimits(10, 1)
    busy(limits, "2001:db8::1")
    with pytest.raises(Refusal):
        limits.acquire("2001:db8::2")
    limits.acquire("2001:db8:0:1::1")


def test_ipv4_clients_of_an_ipv6_listener_are_told_apart() -> None:
    assert site_of("::ffff:192.0.2.1") == site_of("192.0.2.1") != site_of("::ffff:192.0.2.2")


@pytest.mark.parametrize("trusted", ["192.0.2.1", "192.0.2.0/24", "*"])
def test_a_trusted_proxy_has_no_share(trusted: str) -> None:
    limits = ConnectionLimits(3, 1, [trusted])
    for _ in range(3):
        busy(limits, "192.0.2.1")
    with pytest.raises(Refusal) as refused:
        limits.acquire("192.0.2.1")
    assert refused.value.status == 503


@pytest.mark.parametrize(("set_to", "cap"), [(None, 50), (0, None), (7, 7)])
def test_the_share_of_an_address_is_half_unless_it_is_set(set_to: int | None, cap: int | None) -> None:
    assert Listener("::1", 0, max_connections_per_address=set_to).per_address(100) == cap
