"""Counts the names of Segment events that no event type matches, for `analytics doctor`."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from ingest.privacy import own_id
from ingest.privacy.detectors import find_personal
from runtime.errors import StreamUnavailable
from runtime.polling import OutageReport, poll
from schemas.envelope_fields import LONGEST_ID
from stream.registry.unmapped import MAX_NAMES, OTHER
from telemetry import internal_events as telemetry

WRITE_INTERVAL: Final = timedelta(seconds=1)

_HARMLESS: Final = re.compile(r"[A-Za-z0-9 _.:-]{1,64}")


def is_harmless(text: str) -> bool:
    """Return whether a name may be kept and shown: short, plain, and without personal data."""
    return _HARMLESS.fullmatch(text) is not None and find_personal(text) is None


def call_name(call: str) -> str:
    """Return the name under which a call without an event is counted. No harmless event name has this form."""
    return f"{call}()"


class UnmappedNames:
    """Counts names in memory and writes them periodically, so that no request waits and an outage loses no counts."""

    def __init__(self, write: Callable[[Mapping[str, int]], Awaitable[None]]) -> None:
        """`write` adds counts by name to those of other processes. It may raise StreamUnavailable."""
        self._write = write
        self._counts: Counter[str] = Counter()
        self._outage = OutageReport(telemetry.unmapped_names_unwritten)

    def count_event(self, name: str, *learner_ids: object) -> None:
        """Count an event that no event type matches. A name that contains an id of its learner is not kept."""
        # a longer text is not the id of a learner
        ids = (str(each) for each in learner_ids if isinstance(each, str | int) and len(str(each)) <= LONGEST_ID)
        is_kept = is_harmless(name) and not any(own_id.is_in(name, each) for each in ids)
        self._add(name if is_kept else OTHER, 1)

    def count_call(self, call: str) -> None:
        """Count a call without an event."""
        self._add(call_name(call), 1)

    async def write(self) -> None:
        """Write the counts. If that fails, keep them for the next time."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        with self._outage.reported():
            try:
                await self._write(counts)
            except StreamUnavailable:
                for name, count in counts.items():
                    self._add(name, count)
                raise

    async def run(self, stop: asyncio.Event) -> None:
        """Write at every interval until `stop` is set, and a last time then."""
        await poll(self.write, WRITE_INTERVAL, stop)
        await self.write()

    def _add(self, name: str, count: int) -> None:
        # bound the memory: a sender may use any number of names
        is_room = name in self._counts or len(self._counts) < MAX_NAMES
        self._counts[name if is_room else OTHER] += count
