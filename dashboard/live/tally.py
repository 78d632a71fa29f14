"""Counts what is sent, and tells it in groups: many frames leave for one that is measured."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from telemetry import internal_events as telemetry

Transport = Literal["websocket", "sse"]


class Tally:
    """What was sent since it was last told."""

    def __init__(self) -> None:
        self._frames: Counter[Transport] = Counter()
        self._messages: Counter[Transport] = Counter()

    def sent(self, transport: Transport, messages: int) -> None:
        """A frame with so many messages left."""
        self._frames[transport] += 1
        self._messages[transport] += messages

    def publish(self) -> None:
        """Tell it, and begin anew."""
        for transport, frames in self._frames.items():
            telemetry.live_frames_sent(transport, frames, self._messages[transport])
        self._frames.clear()
        self._messages.clear()
