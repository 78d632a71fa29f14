"""Tokens of learners signed with private keys. Tokens with a shared secret are tested in test_authenticator.py."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from dashboard.access.key_set_document import parse_key_set
from dashboard.access.key_set_source import KeySetSource, KeySetUnavailable
from dashboard.access.learner_tokens import KeySet, TokenRules, TokenVerifier, shared_secret
from runtime.errors import ConfigurationError
from tests.support.waiting import eventually

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
LATER = int(time.time()) + 86_400
SECRET = "a secret of the tests that is long enough"


def jwk(algorithm: Any, public: Any, kid: str | None, **more: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(algorithm.to_jwk(public))
    return known | ({"kid": kid} if kid else {}) | more


RSA_JWK = jwk(RSAAlgorithm, RSA.public_key(), "rsa")
EC_JWK = jwk(ECAlgorithm, EC.public_key(), "ec")
ED_JWK = jwk(OKPAlgorithm, ED.public_key(), "ed")
ALL = {"keys": [RSA_JWK, EC_JWK, ED_JWK, {"kty": "RSA", "use": "enc"}]}


def token(key: Any, algorithm: str, kid: str | None, **claims: Any) -> str:
    claims = {"sub": "anna", "exp": LATER} | claims
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def verifier(document: Any = ALL, rules: TokenRules | None = None) -> TokenVerifier:
    keys = KeySet()
    keys.replace(parse_key_set(json.dumps(document).encode()).keys)
    return TokenVerifier(keys.find, rules or TokenRules())


GOOD = [token(RSA, "RS256", "rsa"), token(EC, "ES256", "ec"), token(ED, "EdDSA", "ed")]


@pytest.mark.parametrize("good", GOOD)
def test_a_token_of_each_kind_of_key_is_its_learner(good: str) -> None:
    assert verifier().subject(good) == "anna"


def test_without_a_name_the_only_key_is_meant() -> None:
    nameless = token(RSA, "RS256", None)
    assert verifier({"keys": [RSA_JWK]}).subject(nameless) == "anna"
    assert verifier().subject(nameless) is None


def forged_with_the_public_key() -> str:
    """Return a token signed with the public key as a shared secret (algorithm confusion)."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = (b'{"alg":"HS256","kid":"rsa"}', json.dumps({"sub": "anna", "exp": LATER}).encode())
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(pem, message, hashlib.sha256)).rstrip(b"=")
    return (message + b"." + signature).decode()


BAD = {
    "public key as secret": forged_with_the_public_key(),
    "algorithm none": token(None, "none", "rsa"),
    "another key's name": token(EC, "ES256", "rsa"),
    "another key": token(rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", "rsa"),
    "key of the token's own": jwt.encode(
        {"sub": "anna", "exp": LATER},
        other := ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers={"jwk": jwk(ECAlgorithm, other.public_key(), "own")},
    ),
    "address of the token's own": jwt.encode(
        {"sub": "anna", "exp": LATER}, other, algorithm="ES256", headers={"jku": "https://evil.example", "kid": "own"}
    ),
    "kid that is a path": token(RSA, "RS256", "../../etc/passwd"),
    "kid that is a number": jwt.encode({"sub": "anna", "exp": LATER}, RSA, algorithm="RS256").replace(
        jwt.encode({}, RSA, algorithm="RS256").split(".")[0],
        base64.urlsafe_b64encode(b'{"alg":"RS256","kid":5}').decode().rstrip("="),
    ),
    "too long": token(RSA, "RS256", "rsa", more="x" * 5_000),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_invalid_token_is_rejected(bad: str) -> None:
    assert verifier().subject(bad) is None


def test_issuer_and_audience_must_be_as_configured() -> None:
    rules = TokenRules(issuer="https://login", audience="analytics")
    assert verifier(rules=rules).subject(token(RSA, "RS256", "rsa", iss="https://login", aud="analytics")) == "anna"
    for claims in ({}, {"iss": "https://login"}, {"aud": "analytics"}, {"iss": "other", "aud": "analytics"}):
        assert verifier(rules=rules).subject(token(RSA, "RS256", "rsa", **claims)) is None
    assert verifier().subject(token(RSA, "RS256", "rsa", aud="analytics")) is None


def test_a_clock_may_be_off_by_the_leeway_and_no_more() -> None:
    just_ended = token(RSA, "RS256", "rsa", exp=int(time.time()) - 10)
    assert verifier().subject(just_ended) is None
    assert verifier(rules=TokenRules(leeway=timedelta(seconds=60))).subject(just_ended) == "anna"
    assert verifier(rules=TokenRules(leeway=timedelta(seconds=5))).subject(just_ended) is None


def test_unknown_key_names_are_reported_once_each_and_verify_nothing() -> None:
    wanted = []
    checked = TokenVerifier(lambda kid, algorithm: None, TokenRules(), lambda: wanted.append(1))
    assert {checked.subject(token(RSA, "RS256", f"kid-{number}")) for number in range(20)} == {None}
    assert len(wanted) == 20
    assert TokenVerifier(shared_secret(SECRET), TokenRules()).subject(token(SECRET, "HS256", "any name")) == "anna"


async def test_a_key_set_is_read_from_its_file_and_kept_while_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    keys = KeySet()
    source = KeySetSource(str(file), keys)
    with pytest.raises(KeySetUnavailable):
        await source.load()
    with pytest.raises(KeySetUnavailable):
        await source.check()
    file.write_text(json.dumps({"keys": [RSA_JWK]}))
    await source.load()
    assert await source.check() == "loaded"
    assert keys.find("rsa", "RS256") is not None
    for unfit in ("", "{", '{"keys": []}'):
        file.write_text(unfit)
        with pytest.raises(KeySetUnavailable):
            await source.load()
        assert keys.find("rsa", "RS256") is not None


async def test_a_new_key_is_found_soon_when_a_token_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.access.key_set_source.COOLDOWN", timedelta(milliseconds=1))
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [RSA_JWK]}))
    keys = KeySet()
    source = KeySetSource(str(file), keys)
    checked = TokenVerifier(keys.find, TokenRules(), source.request_refresh)
    stop = asyncio.Event()
    following = asyncio.create_task(source.run(stop))
    await eventually(lambda: keys.find("rsa", "RS256"))
    file.write_text(json.dumps({"keys": [RSA_JWK, EC_JWK]}))
    await eventually(lambda: checked.subject(GOOD[1]))
    stop.set()
    await following


@pytest.mark.parametrize("location", ["http://keys.example/jwks", "file:///etc/passwd", "ftp://keys.example"])
def test_keys_come_from_a_file_or_an_encrypted_address(location: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        KeySetSource(location, KeySet())


def test_a_token_says_until_when_it_is_good_leeway_included() -> None:
    verified = verifier(rules=TokenRules(leeway=timedelta(seconds=30))).verify(GOOD[0])
    assert verified is not None
    assert verified.good_until == datetime.fromtimestamp(LATER + 30, UTC)


def test_a_token_has_at_most_4096_characters() -> None:
    rest = len(token(SECRET, "HS256", None, more=""))
    secret = TokenVerifier(shared_secret(SECRET), TokenRules())
    sizes = {}
    for more in range((4_090 - rest) * 3 // 4, (4_104 - rest) * 3 // 4):
        presented = token(SECRET, "HS256", None, more="x" * more)
        sizes[len(presented)] = secret.subject(presented)
    assert {size: size <= 4_096 for size in sizes} == {size: found == "anna" for size, found in sizes.items()}
    assert sizes[4_096] == "anna"
    assert max(sizes) > 4_096


def test_a_token_that_names_no_key_asks_for_none() -> None:
    asked: list[tuple[str | None, str]] = []
    checked = TokenVerifier(lambda kid, algorithm: asked.append((kid, algorithm)), TokenRules())
    assert checked.verify(token(SECRET, "HS256", None)) is None
    assert checked.verify(token(SECRET, "HS256", "k")) is None
    assert asked == [(None, "HS256"), ("k", "HS256")]


def test_a_key_set_that_was_never_filled_has_no_key() -> None:
    assert KeySet().find(None, "RS256") is None
    assert KeySet().find("rsa", "RS256") is None


def test_a_key_is_found_by_its_id_and_its_algorithm() -> None:
    keys = KeySet()
    keys.replace(parse_key_set(json.dumps(ALL).encode()).keys)
    found = keys.find("rsa", "RS256")
    assert found is not None
    assert found.algorithm == "RS256"
    assert keys.find("rsa", "ES256") is None
    assert keys.find("ec", "RS256") is None


def test_an_end_beyond_the_calendar_is_far_enough() -> None:
    verified = verifier().verify(token(RSA, "RS256", "rsa", exp=10**15))
    assert verified is not None
    assert verified.good_until.year == 9000
