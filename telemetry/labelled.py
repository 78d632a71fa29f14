"""A cache of labelled series: to look one up, the client library checks the labels and takes a lock."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)


@cache
def labelled(metric: Metric, *values: str) -> Metric:
    """Return the series of these label values, in the order of the label names. Their number must be bounded."""
    return metric.labels(*values)
