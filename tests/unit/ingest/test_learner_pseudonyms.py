"""The pseudonym of a learner depends on the known erasures."""

from __future__ import annotations

import pytest

from ingest.acceptance.learner_pseudonyms import LearnerPseudonyms
from ingest.work import LONGEST_CACHED
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


def test_after_a_rotation_pseudonyms_are_undecided_until_the_erasures_are_known() -> None:
    rotated, first = LearnerPseudonyms(Pseudonymizer({1: OLD, 2: NEW})), LearnerPseudonyms(Pseudonymizer({1: OLD}))
    assert (rotated.is_undecided, first.is_undecided) == (True, False)
    rotated.renew(frozenset())
    assert not rotated.is_undecided


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_CACHED, 1), (LONGEST_CACHED + 1, 0)])
def test_long_ids_have_pseudonyms_and_do_not_fill_the_memory(length: int, kept: int) -> None:
    pseudonymizer = Pseudonymizer({1: OLD})
    pseudonyms = LearnerPseudonyms(pseudonymizer)
    assert pseudonyms.pseudonym_for("x" * length) == pseudonymizer.pseudonym("x" * length).hex()
    cache = pseudonyms._cached.cache_info()
    assert cache.currsize == kept
    assert cache.maxsize is not None
