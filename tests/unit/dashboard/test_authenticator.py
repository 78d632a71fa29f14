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
from schemas.access import IssuedKey
from telemetry import metrics
from telemetry.labels import AuthenticationFailure
from tests.support.messages import is_sentence
from web import api_key_format
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
    assert is_sentence(refused.value.detail)
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
    assert (status_of(refused), refused.value.code) == (401, "missing_credentials")
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="analytics"'}


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
    assert (status_of(refused), refused.value.code) == (401, "invalid_credentials")
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="analytics", error="invalid_token"'}
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
    assert (status_of(refused), refused.value.code) == (403, "other_learner")


def test_a_service_names_the_learner() -> None:
    assert AUTHENTICATOR.learner(READER, "anna") == ANNA.pseudonyms
    with pytest.raises(Refusal) as refused:
        AUTHENTICATOR.learner(READER, None)
    assert (status_of(refused), refused.value.code) == (422, "invalid_parameters")
    [fault] = refused.value.errors
    assert (fault.code, fault.parameter, fault.detail) == ("missing", "user_id", refused.value.detail)


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
    assert (status_of(refused), refused.value.code) == (403, "missing_scope")
    challenge = 'Bearer realm="analytics", error="insufficient_scope", scope="system:read"'
    assert refused.value.headers == {"WWW-Authenticate": challenge}
    assert require(READER, "system:read") is READER


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
    assert AUTHENTICATOR.is_still_good(ANNA), "the end of the token is unknown"


def test_an_issued_key_is_good_until_it_ends() -> None:
    secret, end = api_key_format.mint(), datetime(2026, 3, 1, tzinfo=UTC)
    digest = api_key_format.digest(secret, b"of keys").hex()
    facts = {"digest": digest, "source": "school", "scopes": ["system:read"], "expires_at": end}
    keys = AccessKeys([], b"of keys")
    now = end - timedelta(seconds=1)
    authenticator = Authenticator(keys, TOKENS, OLD_AND_NEW, clock=lambda: now)

    with pytest.raises(Refusal) as undecided:
        authenticator.identify(None, secret)
    assert (status_of(undecided), undecided.value.code) == (503, "keys_unavailable")
    assert list(undecided.value.headers) == ["Retry-After"]

    keys.renew([IssuedKey.model_validate(facts | {"key_id": api_key_format.key_id(secret)})])
    caller = authenticator.identify(None, secret)
    assert require(caller, "system:read").source == "school"
    assert authenticator.is_still_good(caller)
    now = end
    assert not authenticator.is_still_good(caller)
    with pytest.raises(Refusal) as ended:
        authenticator.identify(None, secret)
    assert status_of(ended) == 401


def test_who_retries_while_the_keys_are_not_loaded_waits_some_seconds() -> None:
    undecided = Authenticator(AccessKeys([], b"of keys"), None, OLD_AND_NEW)
    waits = set()
    for _ in range(200):
        with pytest.raises(Refusal) as refused:
            undecided.identify(None, api_key_format.mint())
        waits.add(refused.value.headers["Retry-After"])
    assert waits == {"1", "2", "3", "4", "5"}


def test_failures_are_counted_and_limited_by_address() -> None:
    counted = metrics.AUTHENTICATION_FAILURES.labels(AuthenticationFailure.INVALID_CREDENTIALS)._value
    before = counted.get()
    authenticator = authenticator_of()
    codes = []
    for _ in range(21):
        with pytest.raises(Refusal) as refused:
            authenticator.identify("Bearer wrong", None, "192.0.2.1")
        codes.append(refused.value.code)
    assert codes == ["invalid_credentials"] * 20 + ["too_many_failures"]
    assert counted.get() == before + 20
    with pytest.raises(Refusal, match="invalid_credentials"):
        authenticator.identify("Bearer wrong", None, "198.51.100.1")
    assert authenticator.identify("Bearer reader-key", None, "192.0.2.1") is READER


def test_the_session_of_a_service_has_the_id_under_which_it_is_stored() -> None:
    assert AUTHENTICATOR.session("lesson 7") == OLD_AND_NEW.session("lesson 7")
