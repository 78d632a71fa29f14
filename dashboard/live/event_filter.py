"""Which messages a subscriber gets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.live import MessageHead


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Messages of these types and about these learners; None: of all. Equal ones share what is made for them."""

    types: frozenset[str] | None = None
    users: frozenset[str] | None = None
    """Pseudonyms, hexadecimal."""

    @classmethod
    def of(cls, types: frozenset[str] | None, pseudonyms: Iterable[bytes] | None) -> EventFilter:
        """Return what is wanted by pseudonyms as they are stored."""
        return cls(types, None if pseudonyms is None else frozenset(one.hex() for one in pseudonyms))

    def takes(self, message: MessageHead) -> bool:
        """Whether a message is among them; one about nobody is about none of the learners."""
        if self.types is not None and message.event_type not in self.types:
            return False
        return self.users is None or message.user_hash in self.users
