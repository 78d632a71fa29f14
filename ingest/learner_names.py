"""The pseudonym an event is stored under, also for learners who were erased before the key was changed."""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache
from typing import Final
from uuid import UUID

from runtime.pseudonym import Pseudonymizer

_LEARNERS: Final = 16_384
"""Whose names are kept at hand, in memory only: the events of a learner come close to each other."""


class LearnerNames:
    """Gives the newest pseudonym; or the older one of a learner who was erased under it.

    A tombstone holds pseudonyms of the keys there were at the time. Under a newer key the learner would be somebody
    new: so their events go by the old name, and workers suppress them as ever. The same holds for a learner who was
    erased under another Unicode form of their id, by a release that hashed ids as they were sent.
    """

    def __init__(self, pseudonymizer: Pseudonymizer) -> None:
        self._pseudonymizer = pseudonymizer
        self._erased: Set[bytes] | None = None
        self._known = lru_cache(_LEARNERS)(self._name)

    @property
    def is_undecided(self) -> bool:
        """Whether a name cannot be given yet: the key was changed, and it is not known who is erased."""
        return self._pseudonymizer.has_former_keys and self._erased is None

    def renew(self, erased: Set[bytes]) -> None:
        """Learn who is erased, by every pseudonym there is a tombstone for."""
        self._erased = erased
        self._known.cache_clear()

    def name(self, user_id: str) -> str:
        """Return the pseudonym of a raw id in hexadecimal digits; the raw id goes no further."""
        return self._known(user_id)

    def session(self, session_id: str) -> UUID:
        """Return the UUID a session is stored under."""
        return self._pseudonymizer.session(session_id)

    def _name(self, user_id: str) -> str:
        if self._erased:
            for former in self._pseudonymizer.former_pseudonyms(user_id):
                if former in self._erased:
                    return former.hex()
        return self._pseudonymizer.pseudonym(user_id).hex()
