"""Counts sent frames, and publishes the counts to metrics in groups."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from telemetry import internal_events as telemetry

Transport = Literal["websocket", "sse"]


class Tally:
    """Frames and messages sent since the last publication."""

    def __init__(self) -> None:
        self._frames: Counter[Transport] = Counter()
        self._messages: Counter[Transport] = Counter()

    def sent(self, transport: Transport, messages: int) -> None:
        """Count a sent frame with its messages."""
        self._frames[transport] += 1
        self._messages[transport] += messages

    def publish(self) -> None:
        """Publish the counts to metrics and reset them."""
        for transport, frames in self._frames.items():
            telemetry.live_frames_sent(transport, frames, self._messages[transport])
        self._frames.clear()
        self._messages.clear()
