"""Verifies the tokens of learners (JWT, RFC 7519). Pure.

As RFC 8725 requires, the key determines the algorithm, not the token. A token may only name a known key. No header of a
token (`jku`, `jwk`, `x5u`) supplies a key or fetches one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from pydantic import TypeAdapter, ValidationError

from schemas.envelope_fields import UserId

MAX_LENGTH: Final = 4096
"""Maximum characters of a token. Longer tokens are rejected without parsing."""

_MALFORMED: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""Errors that PyJWT does not translate, for deep headers and claims of unexpected types."""
_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)
"""Accepts a whole number as its decimal text, as ingest does."""
_FAR: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Maximum end of a token. Later ends are close to the end of the calendar."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Required claims of a token besides its learner and its end."""

    issuer: str | None = None
    """Required `iss`; None: any."""
    audience: str | None = None
    """Required in `aud`; None: tokens with an audience are rejected."""
    leeway: timedelta = timedelta(0)
    """Maximum deviation of the issuer's clock."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and its algorithm."""

    key: Any
    algorithm: str


KeysById = Mapping[tuple[str | None, str], VerificationKey]
"""By `kid` and algorithm: keys of different types may share an id (RFC 7517, section 4.5)."""


KeyFinder = Callable[[str | None, str], VerificationKey | None]
"""Returns the key of a `kid` for an algorithm; None if unknown. A `kid` of None: the token names no key."""


def shared_secret(secret: str) -> KeyFinder:
    """Return a finder of one HS256 secret, for any `kid`."""
    key = VerificationKey(secret, "HS256")
    return lambda _kid, _algorithm: key


class KeySet:
    """Public keys by id and algorithm. The set is replaced as a whole."""

    def __init__(self) -> None:
        self._keys: KeysById = {}

    def replace(self, keys: KeysById) -> None:
        """Replace all keys."""
        self._keys = keys

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key with this id and algorithm. Without an id, return the only key of the set."""
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get((kid, algorithm))


@dataclass(frozen=True, slots=True)
class LearnerToken:
    """The claims of a valid token."""

    subject: str
    """Raw id of the learner."""
    good_until: datetime
    """When the token expires, including leeway."""


class TokenVerifier:
    """Verifies tokens."""

    def __init__(
        self, find_key: KeyFinder, rules: TokenRules, on_unknown_key: Callable[[], None] = lambda: None
    ) -> None:
        """`on_unknown_key` is called for each token with an unknown key. It must be cheap."""
        self._find_key = find_key
        self._rules = rules
        self._on_unknown_key = on_unknown_key

    def subject(self, token: str) -> str | None:
        """Return the raw id of the learner; None for an invalid token."""
        verified = self.verify(token)
        return verified.subject if verified else None

    def verify(self, token: str) -> LearnerToken | None:
        """Return the claims of the token; None for an invalid token."""
        if len(token) > MAX_LENGTH:
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
                # some issuers send a number as `sub`; UserId validates it
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
    # as PyJWT does
    return datetime.fromtimestamp(min(int(seconds), _FAR.timestamp()), UTC)
