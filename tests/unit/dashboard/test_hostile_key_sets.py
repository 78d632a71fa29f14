"""Invalid key sets and tokens never stop the process, and valid keys beside invalid ones are used."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from prometheus_client import REGISTRY

from dashboard.access.key_set_document import MAX_BYTES, parse_key_set
from dashboard.access.key_set_source import KEPT, KeySetSource, KeySetUnavailable
from dashboard.access.learner_tokens import KeySet, TokenRules, TokenVerifier, shared_secret
from runtime.errors import ConfigurationError
from tests.support.waiting import eventually

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
LATER = int(time.time()) + 86_400
SECRET = "a secret of the tests that is long enough"


def jwk(algorithm: Any, key: Any, **more: Any) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(algorithm.to_jwk(key))
    return known | more


GOOD = jwk(RSAAlgorithm, RSA.public_key(), kid="good")
GOOD_EC = jwk(ECAlgorithm, EC.public_key(), kid="good")
NESTED: Any = json.loads("[" * 90 + "]" * 90)


def number(bits: int) -> str:
    return base64.urlsafe_b64encode(((1 << bits) - 1).to_bytes(bits // 8)).decode().rstrip("=")


SKIPPED: dict[str, Any] = {
    "a symmetric key": {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"},
    "a key of a later kind": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQAB", "kid": "pq"},
    "an unknown kind": {"kty": "xyz", "kid": "x"},
    "a kind that is no text": {"kty": {"RSA": 1}, "kid": "x"},
    "no kind": {"kid": "x"},
    "an unknown curve": GOOD_EC | {"crv": "P-1", "kid": "c"},
    "a curve that nobody has": GOOD_EC | {"crv": "brainpoolP256r1", "kid": "c"},
    "a curve without signatures": {"kty": "OKP", "crv": "X25519", "x": number(256), "kid": "k"},
    "a point beside its curve": GOOD_EC | {"x": number(256), "kid": "p"},
    "a key for encryption": GOOD | {"use": "enc", "kid": "e"},
    "a key that only signs": GOOD | {"key_ops": ["sign"], "kid": "o"},
    "the algorithm of a secret": GOOD | {"alg": "HS256", "kid": "h"},
    "no algorithm": GOOD | {"alg": "none", "kid": "n"},
    "the algorithm of another kind": GOOD | {"alg": "ES256", "kid": "a"},
    "broken base64": GOOD | {"n": "%%%", "kid": "b"},
    "base64 of another script": GOOD | {"n": "\N{ARABIC-INDIC DIGIT ZERO}" * 342, "kid": "b"},
    "half a key": {"kty": "RSA", "n": "AQAB", "kid": "half"},
    "numbers that are numbers": {"kty": "RSA", "n": 5, "e": 3, "kid": "i"},
    "an exponent of zero": GOOD | {"e": "AA", "kid": "z"},
    "an even exponent": GOOD | {"e": "Ag", "kid": "z"},
    "a huge exponent": GOOD | {"e": number(4096), "kid": "z"},
    "a huge modulus": GOOD | {"n": number(200_000), "kid": "m"},
    "a short modulus": jwk(RSAAlgorithm, rsa.generate_private_key(65537, 1024).public_key(), kid="short"),
    "a name that is no text": GOOD | {"kid": ["good"]},
    "a long name": GOOD | {"kid": "k" * 5_000},
    "a deep key": {"kty": "RSA", "n": NESTED, "e": NESTED, "kid": NESTED},
    "a text": "rsa",
    "nothing": None,
    "a list": [GOOD],
}


def verifier(document: Any) -> TokenVerifier:
    keys = KeySet()
    keys.replace(parse_key_set(json.dumps(document).encode()).keys)
    return TokenVerifier(keys.find, TokenRules())


def token(key: Any, algorithm: str, kid: str | None = "good", **claims: Any) -> str:
    headers = {"kid": kid} if kid else {}
    return jwt.encode({"sub": "anna", "exp": LATER} | claims, key, algorithm=algorithm, headers=headers)


@pytest.mark.parametrize("member", SKIPPED.values(), ids=SKIPPED.keys())
def test_a_key_that_cannot_be_used_is_skipped_and_those_beside_it_are_used(member: Any) -> None:
    document = {"keys": [member, GOOD, member, GOOD_EC, member]}
    assert parse_key_set(json.dumps(document).encode()).skipped == 3
    for good in (token(RSA, "RS256"), token(EC, "ES256")):
        assert verifier(document).subject(good) == "anna"


def test_a_key_without_a_name_and_a_second_key_of_one_name_disturb_no_other() -> None:
    other = jwk(RSAAlgorithm, rsa.generate_private_key(65537, 2048).public_key())
    document = {"keys": [other, GOOD, other | {"kid": "good"}, GOOD_EC]}
    assert parse_key_set(json.dumps(document).encode()).skipped == 1
    for good in (token(RSA, "RS256"), token(EC, "ES256")):
        assert verifier(document).subject(good) == "anna"
    assert verifier(document).subject(token(RSA, "RS256", None)) is None


def test_a_private_key_in_a_set_is_used_as_its_public_one() -> None:
    private = jwk(RSAAlgorithm, RSA, kid="good", key_ops=["sign", "verify"])
    assert verifier({"keys": [private]}).subject(token(RSA, "RS256")) == "anna"


def test_as_many_keys_as_a_document_can_hold_are_looked_at() -> None:
    document = {"keys": [*({"kty": "xyz"} for _ in range(10_000)), *(GOOD | {"kid": str(n)} for n in range(500)), GOOD]}
    content = parse_key_set(json.dumps(document).encode())
    assert (len(content.keys), content.skipped) == (501, 10_000)


NO_SETS = {
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"keys":' * 100_000,
    "a deep key": b'{"keys":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "a number of many digits": b'{"keys":' + b"1" * 100_000 + b"}",
    "no number": b'{"keys":[NaN]}',
    "half a text": b'{"keys":["\\ud800"]}',
    "no UTF-8": b'{"keys":["\xff"]}',
    "NUL": b'{"keys":\x00[]}',
    "nothing": b"",
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "no keys": b"{}",
    "keys that are no list": b'{"keys":{"kty":"RSA"}}',
    "an empty set": b'{"keys":[]}',
    "only keys of other kinds": json.dumps({"keys": list(SKIPPED.values())}).encode(),
    "too much": b" " * MAX_BYTES + b'{"keys":[]}',
}


@pytest.mark.parametrize("text", NO_SETS.values(), ids=NO_SETS.keys())
async def test_an_invalid_key_set_is_reported_and_the_last_good_one_is_kept(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        parse_key_set(text)
    file, keys = tmp_path / "jwks.json", KeySet()
    source = KeySetSource(str(file), keys)
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"keys": [GOOD, {"kty": "xyz"}]}).encode())
    await source.load()
    assert REGISTRY.get_sample_value("analytics_jwks_keys", {"state": "used"}) == 1
    assert REGISTRY.get_sample_value("analytics_jwks_keys", {"state": "skipped"}) == 1
    file.write_bytes(text)
    with pytest.raises(KeySetUnavailable):
        await source.load()
    assert TokenVerifier(keys.find, TokenRules()).subject(token(RSA, "RS256")) == "anna"


async def test_keys_that_cannot_be_read_again_are_used_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.access.key_set_source.COOLDOWN", timedelta(milliseconds=1))
    monkeypatch.setattr("dashboard.access.key_set_source.REFRESH", timedelta(milliseconds=2))
    file, keys, clock = tmp_path / "jwks.json", KeySet(), [0.0]
    file.write_text(json.dumps({"keys": [GOOD]}))
    source = KeySetSource(str(file), keys, lambda: clock[0])
    stop = asyncio.Event()
    following = asyncio.create_task(source.run(stop))
    await eventually(lambda: keys.find("good", "RS256"))
    file.write_text("{")
    clock[0] = KEPT.total_seconds() - 1
    failures = "analytics_retries_total", {"dependency": "jwks", "reason": "unreadable"}
    before = REGISTRY.get_sample_value(*failures) or 0.0
    await eventually(lambda: (REGISTRY.get_sample_value(*failures) or 0.0) > before + 1)
    assert keys.find("good", "RS256"), "a failure removes no keys"
    clock[0] = KEPT.total_seconds() + 1
    await eventually(lambda: not keys.find("good", "RS256"))
    with pytest.raises(KeySetUnavailable):
        await source.check()
    file.write_text(json.dumps({"keys": [GOOD]}))
    await eventually(lambda: keys.find("good", "RS256"))
    stop.set()
    await following


async def test_a_location_that_is_not_a_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere", Path("/dev/zero"), f"{tmp_path}/\0"):
        with pytest.raises(KeySetUnavailable):
            await KeySetSource(str(place), KeySet()).load()


@pytest.mark.parametrize("location", ["https://", "https://[", "https://a:port/", "HTTP://a", "ftp://a"])
def test_an_invalid_url_is_refused_at_the_start(location: str) -> None:
    with pytest.raises(ConfigurationError):
        KeySetSource(location, KeySet())


def with_header(header: str) -> str:
    """Return a token with this header and no signature."""
    parts = (header.encode(), json.dumps({"sub": "anna", "exp": LATER}).encode())
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return message.decode() + "."


HEADERS = {
    "deep": "[" * 2_900,
    "deep inside": '{"alg":"RS256","kid":"good","x":' + "[" * 2_800,
    "an algorithm that is a list": '{"alg":["RS256"],"kid":"good"}',
    "an algorithm that is an object": '{"alg":{"RS256":1},"kid":"good"}',
    "no algorithm": '{"kid":"good"}',
    "null": '{"alg":null,"kid":"good"}',
    "none": '{"alg":"none","kid":"good"}',
    "None": '{"alg":"None","kid":"good"}',
    "a secret's": '{"alg":"HS256","kid":"good"}',
    "a name that is a list": '{"alg":"RS256","kid":["good"]}',
    "a name that is an object": '{"alg":"RS256","kid":{}}',
    "a name of SQL": '{"alg":"RS256","kid":"\' OR 1=1 --"}',
    "a name of a path": '{"alg":"RS256","kid":"../../../dev/null"}',
    "critical": '{"alg":"RS256","kid":"good","crit":["exp"]}',
    "critical that is no list": '{"alg":"RS256","kid":"good","crit":5}',
    "detached": '{"alg":"RS256","kid":"good","b64":false,"crit":["b64"]}',
    "a number of many digits": '{"alg":"RS256","kid":"good","x":' + "1" * 2_000 + "}",
    "not a number": '{"alg":"RS256","kid":"good","x":NaN}',
    "a list": "[]",
    "a text": '"RS256"',
    "no JSON": "{",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_token_with_an_odd_header_is_rejected(header: str) -> None:
    for checked in (verifier({"keys": [GOOD, GOOD_EC]}), TokenVerifier(shared_secret(SECRET), TokenRules())):
        assert checked.subject(with_header(header)) is None
        assert checked.verify(with_header(header) + "c2ln") is None


ODD_TIMES: dict[str, Any] = {
    "infinity": float("inf"),
    "nothing": None,
    "no number": float("nan"),
    "a list": [1],
    "an object": {},
    "a text": "soon",
}
CLAIMS: dict[str, dict[str, Any]] = {
    f"{name} of {kind}": {name: value} for name in ("exp", "nbf", "iat") for kind, value in ODD_TIMES.items()
} | {
    "sub of a list": {"sub": ["anna"]},
    "sub of a fraction": {"sub": 1.5},
    "aud of anything": {"aud": {"a": 1}},
    "exp before the calendar": {"exp": -(10**18)},
    "nbf beyond the calendar": {"nbf": 10**30},
}


def signed(claims: dict[str, Any]) -> str:
    """Return a token signed as `jwt.encode` does, with claims of any type."""
    payload = json.dumps({"sub": "anna", "exp": LATER} | claims).encode()
    return jwt.PyJWS().encode(payload, SECRET, algorithm="HS256")


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_signed_token_with_claims_of_wrong_types_is_rejected(claims: dict[str, Any]) -> None:
    checked = TokenVerifier(shared_secret(SECRET), TokenRules())
    assert checked.subject(signed({})) == "anna"
    assert checked.verify(signed(claims)) is None


def test_a_signed_token_with_deeply_nested_claims_is_rejected() -> None:
    deep = jwt.PyJWS().encode(b'{"sub":"anna","x":' + b"[" * 1_500, SECRET, algorithm="HS256")
    assert TokenVerifier(shared_secret(SECRET), TokenRules()).verify(deep) is None
