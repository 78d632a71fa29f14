"""Learners' tokens (JWT, RFC 7519): whose they are, when they are good. Pure; the keys come from elsewhere.

What RFC 8725 asks for: the algorithm is the key's, never the token's own choice; a key that a token names must be
known; no header of the token (`jku`, `jwk`, `x5u`) brings or fetches a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from pydantic import TypeAdapter, ValidationError

from schemas.envelope_fields import UserId

LONGEST: Final = 4096
"""Characters of a token; a longer one is not looked into."""

_MALFORMED: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""What PyJWT lets through of a header that is too deep, and of claims of another type than it expects."""
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


KeysById = Mapping[tuple[str | None, str], VerificationKey]
"""By `kid` and algorithm: keys of different kinds may share an id (RFC 7517, section 4.5)."""


KeyFinder = Callable[[str | None, str], VerificationKey | None]
"""Returns the key of a `kid` (None: the token names none) for an algorithm, or None when it is not known."""


def shared_secret(secret: str) -> KeyFinder:
    """Return a finder of one HS256 secret, whatever name a token gives it."""
    key = VerificationKey(secret, "HS256")
    return lambda _kid, _algorithm: key


class KeySet:
    """Public keys by their ids and algorithms, replaced as a whole."""

    def __init__(self) -> None:
        self._keys: KeysById = {}

    def replace(self, keys: KeysById) -> None:
        """Use these keys from now on."""
        self._keys = keys

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key with this id for the algorithm; without an id, the only key there is."""
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get((kid, algorithm))


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
            header = jwt.get_unverified_header(token)
            key = self._find_key(header.get("kid"), str(header.get("alg")))
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
            return LearnerToken(subject, _moment(claims["exp"]) + self._rules.leeway)
        except (jwt.PyJWTError, ValidationError, *_MALFORMED):
            return None


def _moment(seconds: Any) -> datetime:
    # what PyJWT takes: whatever int() does
    return datetime.fromtimestamp(min(int(seconds), _FAR.timestamp()), UTC)
