from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta

import pytest

from ingest.privacy.detectors import find_personal
from runtime.settings import Settings
from schemas.access import IssuedKey
from web import api_key_format
from web.credentials import AccessKeys, ApiKey, RateLimit, configured_keys, presented_key

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
    bounded = accepting(issued(key, rate_limit_per_second=5, rate_limit_burst=7)).verify(key, NOW)
    assert bounded is not None
    assert bounded.rate_limit == RateLimit(5, 7)


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


def test_every_key_of_the_settings_is_its_own_service() -> None:
    one, other = ApiKey("one", frozenset({"events:write"})), ApiKey("other", frozenset({"events:write"}))
    keys = AccessKeys([("key-1", one), ("key-2", other)])
    assert (keys.verify("key-1", NOW), keys.verify("key-2", NOW)) == (one, other)
    assert keys.verify("key-3", NOW) is None
    assert keys.verify("\udcff", NOW) is None
    assert not keys.accepts_issued
    assert AccessKeys([], SECRET).accepts_issued


def test_the_keys_of_the_settings_have_the_rights_of_the_settings() -> None:
    entry = {"source": "school", "key": "k" * 40, "scopes": ["events:write"]}
    limited = entry | {"source": "app", "key": "l" * 40, "rate_limit_per_second": 5, "rate_limit_burst": 7}
    configured = Settings.model_validate(
        {"api_keys": [entry, limited], "api_key_secret": "2c8f0d1e5b7a9346c0e4f1a2b3d4958677"}
    )
    keys = configured_keys(configured)
    free, app = keys.verify("k" * 40, NOW), keys.verify("l" * 40, NOW)
    assert free is not None
    assert app is not None
    assert keys.accepts_issued
    assert (free.source, free.scopes, free.rate_limit, free.key_id) == (
        "school",
        frozenset({"events:write"}),
        None,
        None,
    )
    assert (app.source, app.rate_limit) == ("app", RateLimit(5, 7))


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "found"),
    [
        (None, None, None),
        (None, "", None),
        (None, "key", "key"),
        ("Bearer key", None, "key"),
        ("bearer  key ", None, "key"),
        ("Bearer key", "other", "key"),
        ("Bearer a b", None, "a b"),
        ("Bearer", "other", None),
        ("Bearer ", "other", None),
        ("Basic key", "other", None),
        ("key", None, None),
    ],
)
def test_a_secret_is_presented_in_either_header(
    authorization: str | None, x_api_key: str | None, found: str | None
) -> None:
    assert presented_key(authorization, x_api_key) == found


def test_a_key_id_is_twelve_letters_and_digits() -> None:
    key_id = api_key_format.key_id(api_key_format.mint())
    assert key_id is not None
    assert api_key_format.is_id(key_id)
    for other in (key_id[1:], key_id + "a", "\u00fc" * 12, "-" * 12, ""):
        assert not api_key_format.is_id(other)


@pytest.mark.parametrize(("body", "checksum"), [("", "000000"), ("a", "4gehkn")])
def test_the_checksum_is_a_crc_32_in_base_62(body: str, checksum: str) -> None:
    assert api_key_format._checksum(body) == checksum


def test_the_digest_of_a_key_is_its_hmac() -> None:
    assert api_key_format.digest("key", b"secret") == hmac.digest(b"secret", b"key", "sha256")
    assert api_key_format.digest("\udcff", b"secret") == hmac.digest(b"secret", b"\xff", "sha256")


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
