from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ingest.privacy.detectors import find_personal
from schemas.access import IssuedKey
from web import api_key_format
from web.credentials import AccessKeys, ApiKey, RateLimit

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = b"the secret that hashes keys, long enough"


def issued(key: str, **rights: object) -> IssuedKey:
    key_id = api_key_format.key_id(key)
    assert key_id is not None
    facts = {"key_id": key_id, "digest": api_key_format.digest(key, SECRET).hex(), "source": "school", "scopes": []}
    return IssuedKey.model_validate(facts | rights)


def accepting(*keys: IssuedKey, hash_secret: bytes | None = SECRET) -> AccessKeys:
    access = AccessKeys([("of-the-settings", ApiKey("settings", frozenset({"events:write"})))], hash_secret)
    access.renew(keys)
    return access


def test_a_key_has_a_form_that_scanners_find_and_no_two_are_alike() -> None:
    keys = {api_key_format.mint() for _ in range(100)}
    assert len(keys) == len({api_key_format.key_id(key) for key in keys}) == 100
    assert all(re.fullmatch(r"sia_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key) for key in keys)
    assert all(find_personal(f"see {key}") == "secret" for key in keys)


def test_a_mistyped_key_is_told_by_its_checksum() -> None:
    key = api_key_format.mint()
    for at in range(len(key)):
        other = "a" if key[at] != "a" else "b"
        assert api_key_format.key_id(key[:at] + other + key[at + 1 :]) is None
    assert api_key_format.key_id(key + "x") is None
    assert api_key_format.key_id("") is None


def test_an_issued_key_is_its_service() -> None:
    key = api_key_format.mint()
    found = accepting(issued(key, scopes=["learning:read"], rate_limit_per_second=5)).verify(key, NOW)
    assert found is not None
    assert found.source == "school"
    assert found.scopes == {"learning:read"}
    assert found.rate_limit == RateLimit(5, 2500)
    assert found.key_id == api_key_format.key_id(key)


def test_no_other_key_is_good() -> None:
    key = api_key_format.mint()
    access = accepting(issued(key))
    assert access.verify(api_key_format.mint(), NOW) is None
    # the id alone is not enough: a forged key with a valid id and checksum
    body = key[:17] + "0" * 32
    forged = body + api_key_format._checksum(body)
    assert api_key_format.key_id(forged) == api_key_format.key_id(key)
    assert access.verify(forged, NOW) is None
    assert accepting(issued(key), hash_secret=b"another secret").verify(key, NOW) is None
    assert accepting(issued(key), hash_secret=None).verify(key, NOW) is None
    assert access.verify("of-the-settings", NOW) is not None


def test_a_key_ends_at_its_moment() -> None:
    key = api_key_format.mint()
    access = accepting(issued(key, expires_at=NOW))
    assert access.verify(key, NOW - timedelta(microseconds=1)) is not None
    assert access.verify(key, NOW) is None


def test_a_revoked_key_is_not_good_and_the_others_keep_their_limits() -> None:
    key, other = api_key_format.mint(), api_key_format.mint()
    access = accepting(issued(key), issued(other))
    before = access.verify(other, NOW)
    access.renew([issued(other)])
    assert access.verify(key, NOW) is None
    assert access.verify(other, NOW) is before
    access.renew([issued(other, scopes=["system:read"])])
    changed = access.verify(other, NOW)
    assert changed is not None
    assert changed.scopes == {"system:read"}


def test_no_key_is_rejected_before_the_keys_are_loaded() -> None:
    fresh = AccessKeys([], SECRET)
    assert fresh.is_undecided(api_key_format.mint())
    assert not fresh.is_undecided("sia_nonsense")
    fresh.renew([])
    assert not fresh.is_undecided(api_key_format.mint())
    assert not AccessKeys([]).is_undecided(api_key_format.mint())


def test_a_key_that_was_accepted_is_in_force_until_it_ends_or_changes() -> None:
    key, other = api_key_format.mint(), api_key_format.mint()
    access = accepting(issued(key, expires_at=NOW), issued(other))
    before = NOW - timedelta(microseconds=1)
    accepted, another = access.verify(key, before), access.verify(other, NOW)
    of_settings = access.verify("of-the-settings", NOW)
    assert accepted is not None
    assert another is not None
    assert of_settings is not None
    assert access.is_in_force(accepted, before)
    assert not access.is_in_force(accepted, NOW)
    assert access.is_in_force(another, NOW)
    access.renew([issued(key), issued(other, scopes=["system:read"])])
    assert not access.is_in_force(another, NOW), "it was accepted with other scopes"
    access.renew([])
    assert not access.is_in_force(accepted, before)
    assert access.is_in_force(of_settings, NOW)
