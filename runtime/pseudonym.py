"""Learners under another name: keyed hashes of user ids.

A plain hash of an id can be undone by trying every id; a keyed one cannot without the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


class Pseudonymizer:
    """Turns raw user ids into pseudonyms: HMAC-SHA-256 (RFC 2104), 32 bytes. Writes with the newest key."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """Take keys by version; the highest version is the newest. Raises ValueError when there is none."""
        if not keys:
            raise ValueError("at least one pseudonym key is needed")
        self._keyed = [hmac.new(keys[version], digestmod=hashlib.sha256) for version in sorted(keys, reverse=True)]

    def pseudonym(self, user_id: str) -> bytes:
        """Return the pseudonym new events are stored under."""
        return _digest(self._keyed[0], user_id)

    @property
    def has_former_keys(self) -> bool:
        """Whether there is any key beside the newest."""
        return len(self._keyed) > 1

    def former_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return the pseudonyms under every key but the newest."""
        return self.all_pseudonyms(user_id)[1:]

    def all_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return every pseudonym the learner may be stored under, newest key first."""
        return [_digest(keyed, user_id) for keyed in self._keyed]


def _digest(keyed: hmac.HMAC, user_id: str) -> bytes:
    # the key is hashed once, not for every learner
    digest = keyed.copy()
    digest.update(user_id.encode())
    return digest.digest()
