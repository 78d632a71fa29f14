"""Percentiles from counts in logarithmic buckets (DDSketch, Masson et al. 2019)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

GAMMA = 1.02
"""Bucket b holds GAMMA^(b-1) < ms <= GAMMA^b; storage/batches/sql/system_metrics.sql fills them."""


def representative(bucket: int) -> float:
    """Return the value, in ms, whose greatest relative error in the bucket is least: (GAMMA-1)/(GAMMA+1), below 1 %."""
    return 2 * GAMMA**bucket / (GAMMA + 1)


def percentiles(counts: Mapping[int, int], percents: Iterable[int]) -> Iterator[float | None]:
    """Yield each percentile of the values in the buckets, None when there are none.

    As percentile_cont: rank p/100 * (n-1), linear between its two neighbours. Each neighbour is within 1 % of the
    exact one, so the result is as well.
    """
    buckets = sorted(bucket for bucket, count in counts.items() if count)
    ends = list(accumulate(counts[bucket] for bucket in buckets))
    for percent in percents:
        yield _percentile(buckets, ends, percent) if buckets else None


def _percentile(buckets: list[int], ends: list[int], percent: int) -> float:
    # integers: a rank of a float is off from 2^53 values on
    rank, hundredths = divmod(percent * (ends[-1] - 1), 100)
    below = _value_at(buckets, ends, rank)
    if not hundredths:
        return below
    above = _value_at(buckets, ends, rank + 1)
    return below + (above - below) * hundredths / 100


def _value_at(buckets: list[int], ends: list[int], rank: int) -> float:
    return representative(buckets[bisect_right(ends, rank)])
