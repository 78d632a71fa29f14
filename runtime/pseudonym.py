"""Learners under another name: keyed hashes of user ids, and of the sessions that have no UUID.

A plain hash of an id can be undone by trying every id; a keyed one cannot without the key.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from schemas.identifiers import session_uuid, uuid8

_SESSION: Final = "session_id\0"
"""Stands before the name of a session. No user id has a NUL, so no session has the hash of a learner."""


class Pseudonymizer:
    """Turns raw user ids into pseudonyms: HMAC-SHA-256 (RFC 2104), 32 bytes. Writes with the newest key.

    An id is hashed in Unicode normal form C. Learners whose ids were hashed in another form by earlier releases are
    found under the pseudonyms of all forms.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """Take keys by version; the highest version is the newest. Raises ValueError when there is none."""
        if not keys:
            raise ValueError("at least one pseudonym key is needed")
        self.changed_key = max(keys) if len(keys) > 1 else None
        """Version of the newest key if there are older ones."""
        # each key is hashed once, not for every learner
        self._keyed = [hmac.new(keys[version], digestmod=hashlib.sha256) for version in sorted(keys, reverse=True)]

    def pseudonym(self, user_id: str) -> bytes:
        """Return the pseudonym new events are stored under."""
        if not user_id.isascii():
            user_id = unicodedata.normalize("NFC", user_id)
        digest = self._keyed[0].copy()
        digest.update(user_id.encode())
        return digest.digest()

    @property
    def has_former_keys(self) -> bool:
        """Whether there is any key beside the newest."""
        return len(self._keyed) > 1

    def former_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return every other pseudonym the learner may be stored under."""
        if not self.has_former_keys and user_id.isascii():
            # of most learners, whose one hash is not made twice
            return []
        return self.all_pseudonyms(user_id)[1:]

    def all_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return every pseudonym the learner may be stored under, newest key first, the one that is written first."""
        forms = _forms(user_id)
        return [_digest(keyed, form) for keyed in self._keyed for form in forms]

    def session(self, session_id: str) -> UUID:
        """Return the UUID a session is stored under: that in the text, or one made of the text by the oldest key.

        The oldest, so that a new key splits no session.
        """
        given = session_uuid(session_id)
        if given is not None:
            return UUID(given)
        name = unicodedata.normalize("NFC", session_id)
        return uuid8(_digest(self._keyed[-1], _SESSION + name))


def _forms(user_id: str) -> Iterable[str]:
    if user_id.isascii():
        return (user_id,)
    return dict.fromkeys((unicodedata.normalize("NFC", user_id), unicodedata.normalize("NFD", user_id), user_id))


def _digest(keyed: hmac.HMAC, user_id: str) -> bytes:
    digest = keyed.copy()
    digest.update(user_id.encode())
    return digest.digest()
