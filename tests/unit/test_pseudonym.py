"""Pseudonyms are HMAC-SHA-256 of user ids, by the test vectors of RFC 4231 and by the standard library."""

from __future__ import annotations

import hashlib
import hmac

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


@given(st.dictionaries(st.integers(1, 99), st.binary(min_size=1, max_size=200), min_size=1), st.lists(USER_IDS))
def test_every_learner_has_one_under_every_key_newest_first(keys: dict[int, bytes], user_ids: list[str]) -> None:
    pseudonymizer = Pseudonymizer(keys)
    # twice, since what is kept of a key must not take up anything of who was asked for
    for user_id in [*user_ids, *user_ids]:
        expected = [hmac.digest(keys[version], user_id.encode(), hashlib.sha256) for version in sorted(keys)[::-1]]
        assert pseudonymizer.pseudonym(user_id) == expected[0]
        assert pseudonymizer.all_pseudonyms(user_id) == expected
        assert pseudonymizer.former_pseudonyms(user_id) == expected[1:]
    assert pseudonymizer.has_former_keys == (len(keys) > 1)
