from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from dashboard.access.authenticator import Authenticator, Learner, require
from dashboard.access.learner_tokens import TokenRules, TokenVerifier, shared_secret
from dashboard.questions.question import Question
from dashboard.questions.table import GAMIFICATION_PROGRESS, LEARNING_HEATMAP, LEARNING_OVERVIEW, LIVE_EVENTS
from runtime.pseudonym import Pseudonymizer
from web.credentials import AccessKeys, ApiKey
from web.problems import Refusal

SECRET = "a secret of the tests that is long enough for every HMAC algorithm"
READER = ApiKey("reader", frozenset({"learning:read", "system:read"}))
SENDER = ApiKey("sender", frozenset({"events:write"}))
KEYS = AccessKeys([("reader-key", READER), ("sender-key", SENDER)])
OLD_AND_NEW = Pseudonymizer({1: b"1" * 32, 2: b"2" * 32})
TOKENS = TokenVerifier(shared_secret(SECRET), TokenRules())


def authenticator_of(tokens: TokenVerifier | None = TOKENS) -> Authenticator:
    return Authenticator(KEYS, tokens, OLD_AND_NEW)


AUTHENTICATOR = authenticator_of()
LATER = int(time.time()) + 3600


def token(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers=header)


def signed(header: bytes, payload: bytes, secret: str = SECRET) -> str:
    """Return a token with a valid HS256 signature over any claims."""
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = hmac.digest(secret.encode(), message, hashlib.sha256)
    return f"{message.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


HEADER = b'{"alg":"HS256","typ":"JWT"}'
GOOD = token({"sub": "anna", "exp": LATER})
ANNA = Learner(tuple(OLD_AND_NEW.all_pseudonyms("anna")))


def status_of(refused: pytest.ExceptionInfo[Refusal]) -> int:
    return refused.value.status.value


def test_a_token_is_the_learner_it_names_under_every_key() -> None:
    assert AUTHENTICATOR.identify(f"Bearer {GOOD}", None) == ANNA
    assert len(ANNA.pseudonyms) == 2


@pytest.mark.parametrize("number", [b"42", b"42.0", b'"42"'])
def test_a_token_may_name_its_learner_by_a_whole_number(number: bytes) -> None:
    presented = signed(HEADER, b'{"sub":' + number + b',"exp":9999999999}')
    learner = AUTHENTICATOR.identify(f"Bearer {presented}", None)
    assert learner == Learner(AUTHENTICATOR.pseudonyms("42"))
    assert AUTHENTICATOR.learner(learner, "42") == AUTHENTICATOR.pseudonyms("42")


@pytest.mark.parametrize("sub", ["caf\u00e9", "cafe\u0301"])
def test_a_learner_may_write_their_own_id_in_any_form(sub: str) -> None:
    learner = AUTHENTICATOR.identify(f"Bearer {token({'sub': sub, 'exp': LATER})}", None)
    for asked in ("caf\u00e9", "cafe\u0301"):
        assert set(AUTHENTICATOR.learner(learner, asked)) == set(AUTHENTICATOR.pseudonyms("caf\u00e9"))
    with pytest.raises(Refusal):
        AUTHENTICATOR.learner(learner, "cafe")


def test_a_key_is_its_service_in_either_header() -> None:
    assert AUTHENTICATOR.identify("Bearer reader-key", None) == READER
    assert AUTHENTICATOR.identify(None, "sender-key") == SENDER


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic cmVhZGVyLWtleQ==", "reader-key"])
def test_without_credentials_nobody_is_known(authorization: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        AUTHENTICATOR.identify(authorization, None)
    assert status_of(refused) == 401
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer realm="analytics"'


REFUSED_TOKENS = {
    "unknown key": "no-such-key",
    "other secret": token({"sub": "anna", "exp": LATER}, "another-secret-that-is-32-bytes-long"),
    "expired": token({"sub": "anna", "exp": int(time.time()) - 1}),
    "not in force yet": token({"sub": "anna", "exp": LATER, "nbf": LATER - 60}),
    "without exp": token({"sub": "anna"}),
    "without sub": token({"exp": LATER}),
    "empty sub": token({"sub": "", "exp": LATER}),
    "long sub": token({"sub": "x" * 513, "exp": LATER}),
    "sub with a control character": token({"sub": "an\x00na", "exp": LATER}),
    "sub with a lone surrogate": signed(HEADER, b'{"sub":"\\ud800","exp":9999999999}'),
    "sub that is a fraction": signed(HEADER, b'{"sub":5.5,"exp":9999999999}'),
    "sub that is true": signed(HEADER, b'{"sub":true,"exp":9999999999}'),
    "sub that is a list": signed(HEADER, b'{"sub":["anna"],"exp":9999999999}'),
    "sub that stands for nobody": token({"sub": "undefined", "exp": LATER}),
    "sub that is zero": signed(HEADER, b'{"sub":0,"exp":9999999999}'),
    "for another audience": token({"sub": "anna", "exp": LATER, "aud": "elsewhere"}),
    "endless exp": signed(HEADER, b'{"sub":"anna","exp":1e999}'),
    "exp of 5000 digits": signed(HEADER, b'{"sub":"anna","exp":' + b"9" * 5000 + b"}"),
    "exp that is a list": signed(HEADER, b'{"sub":"anna","exp":[1]}'),
    "algorithm none": token({"sub": "anna", "exp": LATER}, "", "none"),
    "algorithm none without signature": GOOD.rpartition(".")[0] + ".",
    "algorithm none in the header, a good signature": signed(b'{"alg":"none"}', b'{"sub":"anna","exp":9999999999}'),
    "other algorithm, same secret": token({"sub": "anna", "exp": LATER}, algorithm="HS384"),
    "asymmetric algorithm": signed(b'{"alg":"RS256"}', b'{"sub":"anna","exp":9999999999}'),
    "algorithm that is a list": signed(b'{"alg":["HS256"]}', b'{"sub":"anna","exp":9999999999}'),
    "unknown critical extension": token({"sub": "anna", "exp": LATER}, crit=["x"], x=1),
    "header nested 20,000 deep": signed(b"[" * 20_000, b'{"sub":"anna","exp":9999999999}'),
    "payload nested 20,000 deep": signed(HEADER, b"[" * 20_000),
    "payload that is no object": signed(HEADER, b"[]"),
    "payload changed": f"{GOOD.split('.')[0]}.{token({'sub': 'ben', 'exp': LATER}).split('.')[1]}.{GOOD.split('.')[2]}",
    "not ASCII": "é.é.é",
    "dots": "..",
}


@pytest.mark.parametrize("presented", REFUSED_TOKENS.values(), ids=REFUSED_TOKENS.keys())
def test_a_credential_that_is_not_good_is_refused(presented: str) -> None:
    with pytest.raises(Refusal) as refused:
        authenticator_of().identify(f"Bearer {presented}", None)
    assert status_of(refused) == 401
    assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]
    assert presented not in refused.value.detail


def test_a_token_is_no_key() -> None:
    with pytest.raises(Refusal):
        AUTHENTICATOR.identify(None, GOOD)


def test_without_a_secret_no_token_is_good() -> None:
    tokenless = authenticator_of(None)
    for presented in (GOOD, signed(HEADER, b'{"sub":"anna","exp":9999999999}', secret="")):
        with pytest.raises(Refusal):
            tokenless.identify(f"Bearer {presented}", None)


@pytest.mark.parametrize("user_id", [None, "anna"])
def test_a_learner_sees_themselves(user_id: str | None) -> None:
    assert AUTHENTICATOR.learner(ANNA, user_id) == ANNA.pseudonyms


@pytest.mark.parametrize("user_id", ["ben", "Anna", "anna "])
def test_a_learner_sees_nobody_else(user_id: str) -> None:
    with pytest.raises(Refusal) as refused:
        AUTHENTICATOR.learner(ANNA, user_id)
    assert status_of(refused) == 403


def test_a_service_names_the_learner() -> None:
    assert AUTHENTICATOR.learner(READER, "anna") == ANNA.pseudonyms
    with pytest.raises(Refusal) as refused:
        AUTHENTICATOR.learner(READER, None)
    assert status_of(refused) == 422
    assert refused.value.errors[0].parameter == "user_id"


@pytest.mark.parametrize("question", [LEARNING_OVERVIEW, LEARNING_HEATMAP, GAMIFICATION_PROGRESS])
def test_a_service_without_the_scope_sees_no_learner(question: Question[Any]) -> None:
    question.authorize(READER)
    question.authorize(ANNA)
    with pytest.raises(Refusal) as refused:
        question.authorize(SENDER)
    assert status_of(refused) == 403


@pytest.mark.parametrize("caller", [SENDER, ANNA])
def test_a_scope_is_had_by_services_that_have_it(caller: ApiKey | Learner) -> None:
    require(READER, "system:read")
    with pytest.raises(Refusal) as refused:
        require(caller, "system:read")
    assert status_of(refused) == 403
    assert 'scope="system:read"' in refused.value.headers["WWW-Authenticate"]


def test_a_learner_follows_their_own_events_and_a_service_whom_it_names_or_everybody() -> None:
    follower = ApiKey("follower", frozenset({"events:read"}))
    for caller in (ANNA, follower):
        LIVE_EVENTS.authorize(caller)
    assert AUTHENTICATOR.followed_learners(ANNA, None) == ANNA.pseudonyms
    assert AUTHENTICATOR.followed_learners(ANNA, "anna") == ANNA.pseudonyms
    assert AUTHENTICATOR.followed_learners(follower, "anna") == ANNA.pseudonyms
    assert AUTHENTICATOR.followed_learners(follower, None) is None
    for caller in (READER, SENDER):
        with pytest.raises(Refusal) as refused:
            LIVE_EVENTS.authorize(caller)
        assert status_of(refused) == 403
    with pytest.raises(Refusal) as refused:
        AUTHENTICATOR.followed_learners(ANNA, "ben")
    assert status_of(refused) == 403


def test_who_was_let_in_is_good_until_the_token_ends() -> None:
    end = datetime.fromtimestamp(LATER, UTC)
    caller = AUTHENTICATOR.identify(f"Bearer {GOOD}", None)
    before = dataclasses.replace(AUTHENTICATOR, clock=lambda: end - timedelta(seconds=1))
    after = dataclasses.replace(AUTHENTICATOR, clock=lambda: end)
    assert before.is_still_good(caller)
    assert not after.is_still_good(caller)
    assert AUTHENTICATOR.is_still_good(READER)
