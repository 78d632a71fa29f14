"""Pseudonyms of learners, including learners who were erased before the pseudonym key was rotated."""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache
from typing import Final
from uuid import UUID

from ingest.work import LONGEST_CACHED
from runtime.pseudonym import Pseudonymizer

_LEARNERS: Final = 16_384
"""Size of the cache, in entries. It is in memory only. Events of one learner arrive close together."""


class LearnerPseudonyms:
    """Returns the pseudonym under the newest key, or the former pseudonym of a learner who was erased under it.

    A tombstone holds the pseudonyms under the keys that existed at the erasure. Under a newer key the learner would
    look new. Their events therefore keep the former pseudonym, and workers suppress them. The same holds for a learner
    who was erased under another Unicode form of their id, by a release that hashed ids without normalization.
    """

    def __init__(self, pseudonymizer: Pseudonymizer) -> None:
        self._pseudonymizer = pseudonymizer
        self._erased: Set[bytes] | None = None
        self._cached = lru_cache(_LEARNERS)(self._pseudonym)

    @property
    def is_undecided(self) -> bool:
        """Whether pseudonyms cannot be computed yet: the key was rotated, and the tombstones have not been read."""
        return self._pseudonymizer.has_former_keys and self._erased is None

    def renew(self, erased: Set[bytes]) -> None:
        """Replace the set of erased learners: every pseudonym that has a tombstone."""
        self._erased = erased
        self._cached.cache_clear()

    def pseudonym_for(self, user_id: str) -> str:
        """Return the pseudonym of a raw id, in hexadecimal digits."""
        return self._cached(user_id) if len(user_id) <= LONGEST_CACHED else self._pseudonym(user_id)

    def session_uuid(self, session_id: str) -> UUID:
        """Return the UUID under which a session is stored."""
        return self._pseudonymizer.session(session_id)

    def _pseudonym(self, user_id: str) -> str:
        if self._erased:
            for former in self._pseudonymizer.former_pseudonyms(user_id):
                if former in self._erased:
                    return former.hex()
        return self._pseudonymizer.pseudonym(user_id).hex()
