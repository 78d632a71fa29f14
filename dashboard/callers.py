"""Who asks, and which learner they may see.

A learner's token (JWT, HS256) sees that learner. A service's key sees what its scopes say, and names the learner.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import jwt
from pydantic import TypeAdapter, ValidationError

from runtime.access import AccessKeys, ApiKey, Scope, presented_key
from runtime.pseudonym import Pseudonymizer
from runtime.refusal import Refusal
from schemas.events import UserId
from schemas.problem import ProblemError

_REALM: Final = 'Bearer realm="analytics"'
_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner who showed a token; the raw id was hashed at once."""

    pseudonyms: tuple[bytes, ...]


Caller = Learner | ApiKey


class Gate:
    """Decides from credentials alone; keeps no raw id and no token."""

    def __init__(self, keys: AccessKeys, jwt_secret: str | None, pseudonymizer: Pseudonymizer) -> None:
        """Without `jwt_secret` no learner's token is accepted."""
        self._keys = keys
        self._jwt_secret = jwt_secret
        self._pseudonymizer = pseudonymizer

    def identify(self, authorization: str | None, x_api_key: str | None) -> Caller:
        """Return who shows these headers. Raises Refusal (401)."""
        presented = presented_key(authorization, x_api_key)
        if presented is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "missing_credentials",
                "Send a learner's token or a service's key as `Authorization: Bearer`, or a key as `X-API-Key`.",
                headers={"WWW-Authenticate": _REALM},
            )
        key = self._keys.verify(presented)
        if key is not None:
            return key
        subject = self._subject(presented) if authorization is not None else None
        if subject is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "invalid_credentials",
                "This is no key that is known here, and no valid token: forged, expired, or not in force yet.",
                headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
            )
        return Learner(self.pseudonyms(subject))

    def learner(self, caller: Caller, user_id: str | None) -> tuple[bytes, ...]:
        """Return the pseudonyms of the learner the caller may see. Raises Refusal (403, or 422 when none is named)."""
        if isinstance(caller, Learner):
            if user_id is not None and self.pseudonyms(user_id) != caller.pseudonyms:
                raise Refusal(HTTPStatus.FORBIDDEN, "other_learner", "A learner's token sees that learner only.")
            return caller.pseudonyms
        require(caller, "learning:read")
        if user_id is None:
            fault = ProblemError(
                code="missing", parameter="user_id", detail="A service names the learner it asks about."
            )
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_parameters", fault.detail, errors=[fault])
        return self.pseudonyms(user_id)

    def pseudonyms(self, user_id: str) -> tuple[bytes, ...]:
        """Return every name the learner may be stored under, newest key first."""
        return tuple(self._pseudonymizer.all_pseudonyms(user_id))

    def _subject(self, token: str) -> str | None:
        if self._jwt_secret is None:
            return None
        try:
            # one algorithm, never the token's own choice (RFC 8725, 3.1)
            claims = jwt.decode(token, self._jwt_secret, algorithms=["HS256"], options={"require": ["exp", "sub"]})
            return _USER_ID.validate_python(claims["sub"])
        except (jwt.InvalidTokenError, ValidationError):
            return None


def require(caller: Caller, scope: Scope) -> ApiKey:
    """Return the caller if it is a service's key with the scope. Raises Refusal (403)."""
    if isinstance(caller, Learner) or scope not in caller.scopes:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "missing_scope",
            f"This needs a service's key with the scope {scope}.",
            headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
        )
    return caller
