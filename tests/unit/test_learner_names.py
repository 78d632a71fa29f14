"""The name of a learner follows what is known of erasures."""

from __future__ import annotations

from ingest.learner_names import LearnerNames
from runtime.pseudonym import Pseudonymizer

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_learner_goes_by_the_old_name_as_soon_as_their_erasure_is_known() -> None:
    old = Pseudonymizer({1: OLD}).pseudonym("anna")
    both = Pseudonymizer({1: OLD, 2: NEW})
    names = LearnerNames(both)
    names.renew(frozenset())
    assert names.name("anna") == both.pseudonym("anna").hex()
    names.renew(frozenset({old}))
    assert names.name("anna") == old.hex()
    assert names.name("ben") == both.pseudonym("ben").hex()
