"""Parses JWKS documents (RFC 7517). Pure.

Unsupported keys are skipped and counted. The other keys of the document are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from dashboard.access.learner_tokens import KeysById, VerificationKey
from runtime.errors import ConfigurationError

MAX_BYTES: Final = 1024**2
"""Maximum size of a document."""

_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"})
"""Algorithms of public keys. Anyone who can read the set could sign with a symmetric key."""

_RSA_BITS: Final = range(2048, 8192 + 1)
"""Minimum of RFC 7518, section 3.3. The maximum keeps the verification of a signature below a millisecond."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# base64 of 8,192 bits, and of 64
_Number = Annotated[str, Field(max_length=1_368)]
_Exponent = Annotated[str, Field(max_length=12)]
_Word = Annotated[str, Field(max_length=512)]


class _Member(BaseModel):
    """The members of a key that are used. Others are dropped, including private parts."""

    model_config = ConfigDict(strict=True)

    kty: Literal["RSA", "EC", "OKP"]
    kid: _Word | None = None
    use: Literal["sig"] | None = None
    key_ops: list[_Word] | None = None
    alg: _Word | None = None
    crv: _Word | None = None
    n: _Number | None = None
    e: _Exponent | None = None
    x: _Number | None = None
    y: _Number | None = None


class KeySetContent(NamedTuple):
    """The content of a document."""

    keys: KeysById
    skipped: int
    """Number of members that are not supported keys."""


def parse_key_set(text: bytes) -> KeySetContent:
    """Return the keys that verify signatures. Raises ConfigurationError for an invalid or empty document."""
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"the JWKS has more than {MAX_BYTES:,} bytes")
    try:
        document = from_json(text.removeprefix(_BYTE_ORDER_MARK), allow_inf_nan=False)
    except ValueError:
        raise ConfigurationError("the JWKS is not JSON, or nested too deeply") from None
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ConfigurationError('a JWKS is a JSON object with "keys"')
    keys = _usable(members)
    if not keys:
        raise ConfigurationError(f"the JWKS has no supported key among {len(members)}")
    return KeySetContent(keys, len(members) - len(keys))


def _usable(members: Sequence[object]) -> KeysById:
    keys: dict[tuple[str | None, str], VerificationKey] = {}
    for member in members:
        try:
            known = _Member.model_validate(member)
            key = _key(known)
        except (ValidationError, jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError):
            continue
        if key is not None:
            # the first of several keys with one name
            keys.setdefault((known.kid, key.algorithm), key)
    return keys


def _key(member: _Member) -> VerificationKey | None:
    """Return the key; None for an unsupported one. Raises errors of PyJWT and cryptography."""
    if member.key_ops is not None and "verify" not in member.key_ops:
        return None
    if member.alg is not None and member.alg not in _ALGORITHMS:
        return None
    found = jwt.PyJWK.from_dict(member.model_dump(exclude_none=True))
    if found.algorithm_name not in _ALGORITHMS:
        return None
    if isinstance(found.key, RSAPublicKey) and found.key.key_size not in _RSA_BITS:
        return None
    return VerificationKey(found.key, found.algorithm_name)
