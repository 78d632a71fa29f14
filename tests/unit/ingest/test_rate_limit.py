"""The token bucket of a key: how many events pass, and that its announced waits suffice."""

from __future__ import annotations

import math
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.rate_limit import RateLimiter, TokenBucket
from runtime.setting_values.api_keys import ApiKeySetting
from schemas.access import Scope
from telemetry import metrics
from telemetry.labels import BackpressureReason
from tests.support.messages import is_sentence
from web.credentials import ApiKey, RateLimit
from web.problems import Refusal

LIMITS = st.builds(RateLimit, st.floats(0.01, 100_000), st.integers(1, 100_000))
STEPS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=30)
SCOPES: frozenset[Scope] = frozenset({"events:write"})


@given(LIMITS, STEPS)
def test_waiting_for_retry_after_is_enough(limit: RateLimit, steps: list[tuple[float, float]]) -> None:
    now = 1_000_000.0
    bucket = TokenBucket(limit, now)
    for pause, share in steps:
        now += pause
        count = max(1, round(limit.burst * share))
        if seconds := bucket.take(count, now):
            assert 1 <= seconds <= math.ceil(limit.burst / limit.per_second)
            now += seconds
            assert bucket.take(count, now) == 0


@given(LIMITS, STEPS)
def test_no_more_pass_than_the_rate_and_one_burst(limit: RateLimit, steps: list[tuple[float, float]]) -> None:
    now = start = 1_000_000.0
    bucket = TokenBucket(limit, now)
    passed = 0
    for pause, share in steps:
        now += pause
        count = max(1, round(limit.burst * share))
        passed += count if bucket.take(count, now) == 0 else 0
    assert passed <= limit.burst + limit.per_second * (now - start) + 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_past_its_limit_is_told_when_and_another_is_not_touched() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    # as similar as two keys can be
    limited, twin = (ApiKey("service", SCOPES, RateLimit(10, 100)) for _ in range(2))
    limiter.charge(limited, 100)
    counted = metrics.INGEST_BACKPRESSURE.labels(BackpressureReason.RATE_LIMITED)._value
    before = counted.get()
    with pytest.raises(Refusal) as refused:
        limiter.charge(limited, 25)
    assert counted.get() == before + 1
    assert "10 events" in refused.value.detail
    assert is_sentence(refused.value.detail)
    assert (refused.value.status, refused.value.code) == (HTTPStatus.TOO_MANY_REQUESTS, "rate_limited")
    assert refused.value.headers == {"retry-after": "3"}
    limiter.charge(twin, 100)
    limiter.charge(ApiKey("free", SCOPES), 1_000_000)
    clock.now = 2.9
    limiter.charge(limited, 24)
    clock.now = 3.4
    with pytest.raises(Refusal):
        limiter.charge(limited, 25)


def test_a_pause_earns_no_more_than_one_burst() -> None:
    bucket = TokenBucket(RateLimit(10, 100), 0.0)
    assert bucket.take(100, 1_000.0) == 0
    assert bucket.take(1, 1_000.0) == 1


def test_a_bucket_is_empty_after_its_last_token() -> None:
    bucket = TokenBucket(RateLimit(0.5, 1), 0.0)
    assert [bucket.take(1, now) for now in (0.0, 0.0, 1.0, 2.0, 2.0)] == [0, 2, 1, 0, 2]


@pytest.mark.parametrize(("seconds", "wait"), [(0.998, 1), (0.999, 0), (1.0, 0)])
def test_a_rounding_error_of_a_thousandth_of_a_token_delays_nobody(seconds: float, wait: int) -> None:
    bucket = TokenBucket(RateLimit(1, 1), 0.0)
    bucket.take(1, 0.0)
    assert bucket.take(1, seconds) == wait


def test_a_batch_over_the_limit_is_refused_and_costs_nothing() -> None:
    limiter = RateLimiter(Clock())
    key = ApiKey("service", SCOPES, RateLimit(10, 100))
    with pytest.raises(Refusal) as refused:
        limiter.charge(key, 101)
    assert (refused.value.status, refused.value.code) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "batch_exceeds_burst")
    assert "100" in refused.value.detail
    assert is_sentence(refused.value.detail)
    limiter.charge(key, 100)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({}, None),
        ({"rate_limit_per_second": 50}, RateLimit(50, 2_500)),
        ({"rate_limit_per_second": 9_999.5}, RateLimit(9_999.5, 10_000)),
        ({"rate_limit_per_second": 0.5, "rate_limit_burst": 3}, RateLimit(0.5, 3)),
    ],
)
def test_the_limit_of_a_setting(given: dict[str, float], limit: RateLimit | None) -> None:
    entry = {"source": "s", "key": "k", "scopes": ["events:write"], **given}
    setting = ApiKeySetting.model_validate(entry)
    assert RateLimit.of(setting.rate_limit_per_second, setting.rate_limit_burst) == limit


@pytest.mark.parametrize(
    "bad",
    [
        {"rate_limit_per_second": 0},
        {"rate_limit_per_second": -1},
        {"rate_limit_per_second": "NaN"},
        {"rate_limit_burst": 10},
        {"rate_limit_per_second": 1, "rate_limit_burst": 0},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    entry = {"source": "s", "key": "k", "scopes": ["events:write"], **bad}
    with pytest.raises(ValidationError):
        ApiKeySetting.model_validate(entry)
