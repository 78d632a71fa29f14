from __future__ import annotations

from http import HTTPStatus

import pytest

from web import failed_attempts
from web.failed_attempts import BURST, PER_SECOND, FailedAttempts
from web.problems import Refusal


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fail(attempts: FailedAttempts, address: str | None = "192.0.2.1", times: int = 1) -> list[int]:
    given = Refusal(HTTPStatus.UNAUTHORIZED, "invalid_key", "")
    return [attempts.count_failure(address, given).status.value for _ in range(times)]


def test_too_many_failures_must_wait_and_may_fail_again_afterwards() -> None:
    clock = Clock()
    attempts = FailedAttempts(clock)
    assert fail(attempts, times=BURST + 2) == [401] * BURST + [429] * 2
    refused = attempts.count_failure("192.0.2.1", Refusal(HTTPStatus.UNAUTHORIZED, "invalid_key", ""))
    assert (refused.code, refused.headers) == ("too_many_failures", {"retry-after": "1"})
    clock.now += 1 / PER_SECOND
    assert fail(attempts, times=2) == [401, 429]
    clock.now += 1_000
    assert fail(attempts, times=BURST + 1) == [401] * BURST + [429]


def test_one_address_does_not_pay_for_another() -> None:
    attempts = FailedAttempts(Clock())
    fail(attempts, times=BURST)
    assert fail(attempts, "192.0.2.2") == [401]
    assert fail(attempts, None) == [401]


def test_ipv4_clients_of_a_listener_of_both_families_are_told_apart() -> None:
    attempts = FailedAttempts(Clock())
    fail(attempts, "::ffff:192.0.2.1", times=BURST)
    assert fail(attempts, "::ffff:192.0.2.2") == [401]
    assert fail(attempts, "192.0.2.1") == [429]


def test_addresses_of_one_customer_are_one() -> None:
    attempts = FailedAttempts(Clock())
    assert [fail(attempts, f"2001:db8::{n:x}")[0] for n in range(BURST + 1)] == [401] * BURST + [429]
    assert fail(attempts, "2001:db8:0:1::1") == [401]


def test_failed_attempts_have_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_attempts, "MAX_ADDRESSES", 100)
    attempts = FailedAttempts(Clock())
    for number in range(1_000):
        fail(attempts, f"198.51.{number // 256}.{number % 256}")
    assert len(attempts._spent) == 100
