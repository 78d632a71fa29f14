"""Filter of the messages of a subscriber. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.live import MessageHead


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects messages by type and learner; None: all. Subscribers with equal filters share frames."""

    types: frozenset[str] | None = None
    users: frozenset[str] | None = None
    """Pseudonyms, hexadecimal."""

    @classmethod
    def of(cls, types: frozenset[str] | None, pseudonyms: Iterable[bytes] | None) -> EventFilter:
        """Return the filter for stored pseudonyms."""
        return cls(types, None if pseudonyms is None else frozenset(one.hex() for one in pseudonyms))

    def matches(self, message: MessageHead) -> bool:
        """Whether the filter selects a message. A message without a learner matches no learner."""
        if self.types is not None and message.event_type not in self.types:
            return False
        return self.users is None or message.user_hash in self.users
