"""The values of metric labels: the same enums type the calls that count and declare the series that start at zero."""

from __future__ import annotations

from enum import StrEnum


class BatchStage(StrEnum):
    """What a worker does with a batch."""

    READ = "read"
    DECODE = "decode"
    WRITE = "write"
    ACK = "ack"
    PUBLISH = "publish"
