"""Identifies callers, and resolves which learners they may see.

A learner's token (JWT) gives access to that learner. The key of a service gives access to its scopes; the service names
the learner.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from dashboard.access.learner_tokens import TokenVerifier
from runtime.clock import utc_now
from runtime.pseudonym import Pseudonymizer
from schemas.access import Scope
from schemas.problems import ProblemError
from telemetry import internal_events as telemetry
from telemetry.labels import AuthenticationFailure
from web.credentials import AccessKeys, ApiKey, presented_key
from web.failed_attempts import FailedAttempts
from web.problems import Refusal

_REALM: Final = 'Bearer realm="analytics"'


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner with a valid token. The raw id was hashed at once."""

    pseudonyms: tuple[bytes, ...]
    good_until: datetime | None = field(default=None, compare=False)
    """End of the token; None: unknown."""


Caller = Learner | ApiKey


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Identifies callers by their credentials. Keeps no raw id and no token."""

    keys: AccessKeys
    tokens: TokenVerifier | None
    """None: no learner token is accepted."""
    pseudonymizer: Pseudonymizer
    attempts: FailedAttempts = field(default_factory=FailedAttempts)
    clock: Callable[[], datetime] = utc_now

    def identify(self, authorization: str | None, x_api_key: str | None, address: str | None = None) -> Caller:
        """Return the caller with these headers, at this network address. Raises Refusal (401, 429 or 503)."""
        presented = presented_key(authorization, x_api_key)
        if presented is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "missing_credentials",
                "Send a learner's token or a service's key as `Authorization: Bearer`, or a key as `X-API-Key`.",
                headers={"WWW-Authenticate": _REALM},
            )
        key = self.keys.verify(presented, self.clock())
        if key is not None:
            return key
        if self.keys.is_undecided(presented):
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "keys_unavailable",
                "The issued keys are not loaded yet; retry later.",
                headers={"Retry-After": str(random.randint(1, 5))},
            )
        token = self.tokens.verify(presented) if self.tokens and authorization is not None else None
        if token is None:
            refusal = self.attempts.count_failure(address, _invalid_credentials())
            telemetry.authentication_failed(AuthenticationFailure(refusal.code))
            raise refusal
        return Learner(self.pseudonyms(token.subject), token.good_until)

    def is_still_good(self, caller: Caller) -> bool:
        """Whether the credentials of an identified caller are still valid."""
        if isinstance(caller, Learner):
            return caller.good_until is None or self.clock() < caller.good_until
        return self.keys.is_in_force(caller, self.clock())

    def learner(self, caller: Caller, user_id: str | None) -> tuple[bytes, ...]:
        """Return the pseudonyms of the learner of a request. Raises Refusal (403; 422 if a service names none)."""
        if isinstance(caller, Learner):
            return self._own(caller, user_id)
        if user_id is None:
            fault = ProblemError(code="missing", parameter="user_id", detail="A service must name the learner.")
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_parameters", fault.detail, errors=[fault])
        return self.pseudonyms(user_id)

    def followed_learners(self, caller: Caller, user_id: str | None) -> tuple[bytes, ...] | None:
        """Return the pseudonyms of the learners to follow; None: all learners. Raises Refusal (403)."""
        if isinstance(caller, Learner):
            return self._own(caller, user_id)
        return None if user_id is None else self.pseudonyms(user_id)

    def _own(self, learner: Learner, user_id: str | None) -> tuple[bytes, ...]:
        if user_id is not None and self.pseudonymizer.pseudonym(user_id) != learner.pseudonyms[0]:
            raise Refusal(HTTPStatus.FORBIDDEN, "other_learner", "A learner's token gives access to that learner only.")
        return learner.pseudonyms

    def pseudonyms(self, user_id: str) -> tuple[bytes, ...]:
        """Return every pseudonym of the learner, newest key first."""
        return tuple(self.pseudonymizer.all_pseudonyms(user_id))

    def session(self, session_id: str) -> UUID:
        """Return the stored id of the session that services call `session_id`."""
        return self.pseudonymizer.session(session_id)


def require(caller: Caller, scope: Scope) -> ApiKey:
    """Return the caller if it is a key with the scope. Raises Refusal (403)."""
    if isinstance(caller, Learner) or scope not in caller.scopes:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "missing_scope",
            f"This requires the key of a service with the scope {scope}.",
            headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
        )
    return caller


def _invalid_credentials() -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "invalid_credentials",
        "Unknown or expired API key, or invalid token: forged, expired, or not valid yet.",
        headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
    )
