"""Pseudonyms: keyed hashes of user ids, and of session ids that are not UUIDs.

A plain hash of an id can be reversed by hashing every possible id; a keyed hash cannot without the key.
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
"""Prefix of a session id. No user id contains NUL, so no session has the hash of a learner."""


class Pseudonymizer:
    """Maps raw user ids to pseudonyms: HMAC-SHA-256 (RFC 2104), 32 bytes. New events use the newest key.

    An id is hashed in Unicode normal form C. Earlier releases hashed other forms, so a learner is looked up by the
    pseudonyms of all forms.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """Take keys by version; the highest version is the newest. Raises ValueError without keys."""
        if not keys:
            raise ValueError("at least one pseudonym key is needed")
        self.changed_key = max(keys) if len(keys) > 1 else None
        """Version of the newest key if there are older ones."""
        # prepared once, not for every learner
        self._keyed = [hmac.new(keys[version], digestmod=hashlib.sha256) for version in sorted(keys, reverse=True)]

    def pseudonym(self, user_id: str) -> bytes:
        """Return the pseudonym under which new events are stored."""
        if not user_id.isascii():
            user_id = unicodedata.normalize("NFC", user_id)
        digest = self._keyed[0].copy()
        digest.update(user_id.encode())
        return digest.digest()

    @property
    def has_former_keys(self) -> bool:
        """Whether there are older keys."""
        return len(self._keyed) > 1

    def former_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return every other pseudonym under which the learner may be stored."""
        if not self.has_former_keys and user_id.isascii():
            # the common case: the only hash is not computed again
            return []
        return self.all_pseudonyms(user_id)[1:]

    def all_pseudonyms(self, user_id: str) -> list[bytes]:
        """Return every pseudonym under which the learner may be stored: that of new events, then older ones."""
        forms = _forms(user_id)
        return [_digest(keyed, form) for keyed in self._keyed for form in forms]

    def session(self, session_id: str) -> UUID:
        """Return the UUID under which a session is stored: the text itself, or a keyed hash of it by the oldest key.

        With the oldest key, a new key does not split sessions.
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
