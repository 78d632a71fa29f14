"""Pseudonyms are HMAC-SHA-256 of user ids, by the test vectors of RFC 4231 and by the standard library."""

from __future__ import annotations

import hashlib
import hmac
from unicodedata import normalize
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.pseudonym import Pseudonymizer

# section 4, those whose data is text
VECTORS = {
    "4.2": (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    "4.3": (
        b"Jefe",
        "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    "4.7": (
        b"\xaa" * 131,
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    "4.8": (
        b"\xaa" * 131,
        "This is a test using a larger than block-size key and a larger than block-size data. "
        "The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
}
USER_IDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(("key", "user_id", "digest"), VECTORS.values(), ids=VECTORS.keys())
def test_the_vectors_of_the_rfc(key: bytes, user_id: str, digest: str) -> None:
    assert Pseudonymizer({1: key}).pseudonym(user_id).hex() == digest


KEYS = st.dictionaries(st.integers(1, 99), st.binary(min_size=1, max_size=200), min_size=1)


@given(KEYS, st.lists(USER_IDS))
def test_every_learner_has_one_under_every_key_newest_first(keys: dict[int, bytes], user_ids: list[str]) -> None:
    pseudonymizer = Pseudonymizer(keys)
    # twice, since what is kept of a key must not take up anything of who was asked for
    for user_id in [*user_ids, *user_ids]:
        forms = dict.fromkeys((normalize("NFC", user_id), normalize("NFD", user_id), user_id))
        expected = [
            hmac.digest(keys[version], form.encode(), hashlib.sha256)
            for version in sorted(keys)[::-1]
            for form in forms
        ]
        assert pseudonymizer.pseudonym(user_id) == expected[0]
        assert pseudonymizer.all_pseudonyms(user_id) == expected
        assert pseudonymizer.former_pseudonyms(user_id) == expected[1:]
    assert pseudonymizer.has_former_keys == (len(keys) > 1)


@given(USER_IDS)
def test_a_learner_is_one_however_their_id_is_composed(user_id: str) -> None:
    pseudonymizer = Pseudonymizer({1: b"k" * 32})
    composed, apart = normalize("NFC", user_id), normalize("NFD", user_id)
    assert pseudonymizer.pseudonym(composed) == pseudonymizer.pseudonym(apart) == pseudonymizer.pseudonym(user_id)
    # what the release before stored under any of them is found under each
    as_sent = {hmac.digest(b"k" * 32, form.encode(), hashlib.sha256) for form in (composed, apart)}
    assert as_sent <= set(pseudonymizer.all_pseudonyms(composed)) & set(pseudonymizer.all_pseudonyms(apart))


def test_an_id_of_ascii_costs_one_hash_for_each_key() -> None:
    assert len(Pseudonymizer({1: b"k" * 32}).all_pseudonyms("anna")) == 1
    assert len(Pseudonymizer({1: b"k" * 32, 2: b"l" * 32}).all_pseudonyms("anna")) == 2


SESSIONS = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)


@given(KEYS, SESSIONS)
def test_a_session_has_a_uuid_that_no_new_key_changes(keys: dict[int, bytes], session_id: str) -> None:
    oldest = {min(keys): keys[min(keys)]}
    made = Pseudonymizer(keys).session(session_id)
    assert made == Pseudonymizer(oldest).session(session_id)
    assert made == Pseudonymizer(keys).session(normalize("NFD", session_id))
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert made.bytes[:6] != Pseudonymizer(keys).pseudonym(session_id)[:6]


@given(SESSIONS, SESSIONS)
def test_sessions_of_different_names_are_different(one: str, other: str) -> None:
    pseudonymizer = Pseudonymizer({1: b"k" * 32})
    same = normalize("NFC", one) == normalize("NFC", other)
    assert (pseudonymizer.session(one) == pseudonymizer.session(other)) == same


@given(st.uuids())
def test_a_session_that_is_a_uuid_stays_it(session: UUID) -> None:
    pseudonymizer = Pseudonymizer({1: b"k" * 32})
    for form in (str(session), session.hex, str(session).upper(), session.urn, f"{{{session}}}"):
        assert pseudonymizer.session(form) == session


def test_the_uuid_of_a_session_needs_the_key() -> None:
    one, other = Pseudonymizer({1: b"k" * 32}), Pseudonymizer({1: b"l" * 32})
    assert one.session("17") != other.session("17")
    # for ever: what is stored under it must be found by the next release
    assert str(one.session("17")) == "23a1c96c-6c37-81a0-936d-5ab3df4ce03e"
