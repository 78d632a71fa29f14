"""Percentiles from counts in logarithmic buckets (DDSketch, Masson et al. 2019)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

GAMMA = 1.02
"""Bucket b holds GAMMA^(b-1) < ms <= GAMMA^b; storage/batches/sql/system_metrics.sql fills them."""


def representative(bucket: int) -> float:
    """Return the value of a bucket, in ms. Its maximum relative error is minimal: (GAMMA-1)/(GAMMA+1), below 1 %."""
    return 2 * GAMMA**bucket / (GAMMA + 1)


def percentiles(counts: Mapping[int, int], percents: Iterable[int]) -> Iterator[float | None]:
    """Yield each percentile of the values in the buckets; None without values.

    As percentile_cont: rank p/100 * (n-1), with linear interpolation. Each neighbour is within 1 % of the exact
    value, so the result is too.
    """
    buckets = sorted(bucket for bucket, count in counts.items() if count)
    ends = list(accumulate(counts[bucket] for bucket in buckets))
    for percent in percents:
        yield _percentile(buckets, ends, percent) if buckets else None


def _percentile(buckets: list[int], ends: list[int], percent: int) -> float:
    # integers: a float rank is inexact from 2^53 values
    rank, hundredths = divmod(percent * (ends[-1] - 1), 100)
    below = _value_at(buckets, ends, rank)
    if not hundredths:
        return below
    above = _value_at(buckets, ends, rank + 1)
    return below + (above - below) * hundredths / 100


def _value_at(buckets: list[int], ends: list[int], rank: int) -> float:
    return representative(buckets[bisect_right(ends, rank)])
