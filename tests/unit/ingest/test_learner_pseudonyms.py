"""The pseudonym of a learner depends on the known erasures."""

from __future__ import annotations

from ingest.acceptance.learner_pseudonyms import LearnerPseudonyms
from runtime.pseudonym import Pseudonymizer

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_learner_goes_by_the_old_name_as_soon_as_their_erasure_is_known() -> None:
    old = Pseudonymizer({1: OLD}).pseudonym("anna")
    both = Pseudonymizer({1: OLD, 2: NEW})
    pseudonyms = LearnerPseudonyms(both)
    pseudonyms.renew(frozenset())
    assert pseudonyms.pseudonym_for("anna") == both.pseudonym("anna").hex()
    pseudonyms.renew(frozenset({old}))
    assert pseudonyms.pseudonym_for("anna") == old.hex()
    assert pseudonyms.pseudonym_for("ben") == both.pseudonym("ben").hex()
