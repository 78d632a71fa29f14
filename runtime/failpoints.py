"""Named points at which a test can kill or freeze this process. When off, each costs one comparison per batch.

`ANALYTICS_FAILPOINT=after_commit:kill:2` kills the process (SIGKILL) when it reaches the point for the second time;
`stop` instead of `kill` freezes it (SIGSTOP). Modelled on fail-rs and FreeBSD's fail(9).
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from runtime.errors import ConfigurationError


class Failpoint(StrEnum):
    """Every failpoint."""

    #: worker: entries are delivered to this consumer and not processed
    AFTER_READ = "after_read"
    #: worker: entries of an idle consumer are claimed
    AFTER_CLAIM = "after_claim"
    AFTER_DECODE = "after_decode"
    #: worker: events are in the staging table of an open transaction
    AFTER_COPY = "after_copy"
    #: worker: events are in all tables, in an open transaction
    AFTER_STORE = "after_store"
    AFTER_DEAD_LETTERS = "after_dead_letters"
    BEFORE_COMMIT = "before_commit"
    #: worker: stored and not acknowledged
    AFTER_COMMIT = "after_commit"
    AFTER_ACK = "after_ack"
    #: live worker: published, not counted
    AFTER_PUBLISH = "after_publish"
    #: ingest: accepted and not appended
    BEFORE_APPEND = "before_append"
    #: ingest: appended and not answered
    AFTER_APPEND = "after_append"
    BEFORE_TRIM = "before_trim"
    AFTER_TRIM = "after_trim"
    #: maintenance: the horizon is past a week whose events are still stored
    AFTER_HORIZON = "after_horizon"
    #: maintenance: the first events of a week are in `retired`, the others still stored
    AFTER_CHUNK = "after_chunk"
    #: maintenance: the contribution of a partition is in `retired`; the partition is empty and attached
    AFTER_RETIRE = "after_retire"
    AFTER_DETACH = "after_detach"
    BEFORE_REFRESH = "before_refresh"
    #: dlq retry: appended to the stream again, not marked
    AFTER_REDRIVE = "after_redrive"


_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_SPEC: Final = re.compile(r"(?P<point>[a-z_]+):(?P<action>kill|stop)(?::(?P<hit>[1-9][0-9]*))?")


@dataclass(slots=True)
class _Armed:
    point: Failpoint
    signal: signal.Signals
    hits_left: int


# one for the whole process, which it ends
_armed: _Armed | None = None


def arm(spec: str | None) -> None:
    """Set the failpoint of this process, `point:action[:hit]`; None disarms it. Raises ConfigurationError."""
    global _armed
    _armed = None if spec is None else _parse(spec)


def reach(point: Failpoint) -> None:
    """Kill or freeze the process if `point` is armed and this is its last hit."""
    if _armed is None or _armed.point is not point:
        return
    _armed.hits_left -= 1
    if _armed.hits_left == 0:
        os.kill(os.getpid(), _armed.signal)


def _parse(spec: str) -> _Armed:
    match = _SPEC.fullmatch(spec)
    if match is None or match["point"] not in set(Failpoint):
        raise ConfigurationError(
            f"ANALYTICS_FAILPOINT must be point:kill or point:stop, :hit optional; points: {', '.join(Failpoint)}"
        )
    return _Armed(Failpoint(match["point"]), _SIGNALS[match["action"]], int(match["hit"] or 1))
