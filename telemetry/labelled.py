"""The series of a metric for some labels, kept: the client library checks labels and takes a lock to find it."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)


@cache
def labelled(metric: Metric, *values: str) -> Metric:
    """Return the series of these values, in the order the metric names its labels. They must be few, as ever."""
    return metric.labels(*values)
