"""Learners' tokens (JWT, RFC 7519): whose they are, when they are good. Pure; the keys come from elsewhere.

What RFC 8725 asks for: the algorithm is the key's, never the token's own choice; a key that a token names must be
known; no header of the token (`jku`, `jwk`, `x5u`) brings or fetches a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import TypeAdapter, ValidationError

from runtime.errors import ConfigurationError
from schemas.envelope_fields import UserId

LONGEST: Final = 4096
"""Characters of a token; a longer one is not looked into."""

_PUBLIC_KEY_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"})
_SHORTEST_RSA: Final = 2048
"""Bits (RFC 7518, section 3.3)."""
_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)
"""Takes a whole number for its decimal text, as ingest does."""
_FAR: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""An end beyond it is none: the calendar ends soon after."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say besides its learner and its end."""

    issuer: str | None = None
    """Its `iss`; None: anybody's."""
    audience: str | None = None
    """In its `aud`; None: a token for an audience is refused."""
    leeway: timedelta = timedelta(0)
    """How far the issuer's clock may be off."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the one algorithm it is for."""

    key: Any
    algorithm: str


KeyFinder = Callable[[str | None], VerificationKey | None]
"""Returns the key of a `kid` (None: the token names none), or None when it is not known."""


def shared_secret(secret: str) -> KeyFinder:
    """Return a finder of one HS256 secret, whatever name a token gives it."""
    key = VerificationKey(secret, "HS256")
    return lambda _kid: key


class KeySet:
    """Public keys by their ids, replaced as a whole."""

    def __init__(self) -> None:
        self._keys: Mapping[str | None, VerificationKey] = {}

    def replace(self, keys: Mapping[str | None, VerificationKey]) -> None:
        """Use these keys from now on."""
        self._keys = keys

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key with this id; without one, the only key there is."""
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)


def parse_key_set(document: Any) -> dict[str | None, VerificationKey]:
    """Return the keys of a JWKS document (RFC 7517) that sign. Raises ConfigurationError when one is not fit for it."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ConfigurationError('a JWKS is a JSON object with "keys"')
    keys = dict(_signing_keys(members))
    if not keys:
        raise ConfigurationError("the JWKS has no key that signs")
    return keys


def _signing_keys(members: Iterable[Any]) -> Iterable[tuple[str | None, VerificationKey]]:
    for number, member in enumerate(members):
        if isinstance(member, dict) and member.get("use", "sig") != "sig":
            continue
        try:
            found = jwt.PyJWK.from_dict(member)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
            raise ConfigurationError(f"key {number} of the JWKS cannot be read") from None
        # a symmetric key among public ones would let whoever can read the set sign with it
        if found.algorithm_name not in _PUBLIC_KEY_ALGORITHMS:
            raise ConfigurationError(f"key {number} of the JWKS is not for a public key algorithm")
        key = found.key
        if isinstance(key, RSAPublicKey) and key.key_size < _SHORTEST_RSA:
            raise ConfigurationError(f"key {number} of the JWKS is shorter than {_SHORTEST_RSA} bits")
        yield found.key_id, VerificationKey(key, found.algorithm_name)


@dataclass(frozen=True, slots=True)
class LearnerToken:
    """What a good token says."""

    subject: str
    """The raw id of the learner."""
    good_until: datetime
    """From when on it is refused, leeway included."""


class TokenVerifier:
    """Decides whose token it is, and until when."""

    def __init__(
        self, find_key: KeyFinder, rules: TokenRules, on_unknown_key: Callable[[], None] = lambda: None
    ) -> None:
        """`on_unknown_key` is told of each token that names a key nobody knows; it must cost nothing."""
        self._find_key = find_key
        self._rules = rules
        self._on_unknown_key = on_unknown_key

    def subject(self, token: str) -> str | None:
        """Return the raw id of the learner; None when the token is not good, for whatever reason."""
        verified = self.verify(token)
        return verified.subject if verified else None

    def verify(self, token: str) -> LearnerToken | None:
        """Return what the token says; None when it is not good, for whatever reason."""
        if len(token) > LONGEST:
            return None
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._find_key(kid)
            if key is None:
                self._on_unknown_key()
                return None
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                # some issuers write a number for `sub`: what an id is, is said in one place
                options={"require": ["exp", "sub"], "verify_sub": False},
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                leeway=self._rules.leeway,
            )
            subject = _USER_ID.validate_python(claims["sub"])
        except (jwt.InvalidTokenError, ValidationError):
            return None
        return LearnerToken(subject, _moment(claims["exp"]) + self._rules.leeway)


def _moment(seconds: Any) -> datetime:
    # what PyJWT takes: whatever int() does
    return datetime.fromtimestamp(min(int(seconds), _FAR.timestamp()), UTC)
