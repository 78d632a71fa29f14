"""How ingest stores an event: its key, its times, and the text form that workers read."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.demo.traffic import demo_events
from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from ingest.work import WORK
from runtime.settings import Settings
from schemas.entry import WireEvent, decode, encode
from schemas.events import EVENT
from schemas.identifiers import RESERVED_FLOOR, canonical_event_id, milliseconds_of, time_of, unix_milliseconds
from schemas.limits import FUTURE_TOLERANCE
from schemas.text.placeholders import is_artefact
from tests.support.access import PSEUDONYM_KEYS
from tests.support.entries import as_read
from tests.support.events import uuid7
from tests.support.messages import is_sentence

NOW = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
POLICY = acceptance_policy(Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS}))
ARRIVAL = Arrival.at(NOW, POLICY)
SENT_AT = datetime(2026, 6, 30, 9, 8, 7, 654000, tzinfo=UTC)
V7 = str(uuid7(SENT_AT, 0xABCDEF))
SESSION = "0190163d-8694-739b-aea5-966c26f8ad91"


def judged(**facts: Any) -> Acceptance | Rejection:
    sent = {"event_type": "session_start", "user_id": "anna"} | facts
    return accept(EVENT.validate_python(sent, strict=False), POLICY, "tests", ARRIVAL)


def accepted(**facts: Any) -> WireEvent:
    outcome = judged(**facts)
    assert isinstance(outcome, Acceptance), outcome
    return outcome.event


def rejected(**facts: Any) -> tuple[str, str]:
    outcome = judged(**facts)
    assert isinstance(outcome, Rejection), outcome
    assert is_sentence(outcome.detail)
    return outcome.code, outcome.pointer


@pytest.mark.parametrize("event_id", [V7, V7.upper(), V7[:8].upper() + V7[8:], V7[:8] + V7[8:].upper()])
def test_a_uuid7_is_the_key_in_lower_case_and_tells_the_time(event_id: str) -> None:
    found = accepted(event_id=event_id)
    assert found.event_id == V7
    assert (found.occurred_at, found.activity_date) == (SENT_AT.isoformat(), "2026-06-30")
    assert found.received_at == NOW.isoformat()


OTHERS = {
    "a word": "order-17",
    "another version": V7.replace("-7", "-4", 1),
    "a variant of no RFC": V7[:19] + "c" + V7[20:],
    "no hyphens": V7.replace("-", ""),
    "braces": f"{{{V7}}}",
    "space around it": f"{V7} ",
    "more than a UUID": f"{V7}-1",
    "a version 8 below the reserved": V7.replace("-7", "-8", 1),
    "digits of another script": V7.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
    "a key that was made of another string": str(canonical_event_id("order-17", "tests")),
    "such a key in upper case": str(canonical_event_id("order-17", "tests")).upper(),
}


@pytest.mark.parametrize("event_id", OTHERS.values(), ids=OTHERS.keys())
def test_any_other_string_has_its_own_key_and_tells_no_time(event_id: str) -> None:
    found = accepted(event_id=event_id)
    assert found.event_id == str(canonical_event_id(event_id, "tests"))
    assert UUID(found.event_id) >= RESERVED_FLOOR
    assert found.occurred_at == NOW.isoformat()


def test_an_event_without_an_id_is_given_one_of_its_own() -> None:
    one, other = accepted(), accepted()
    assert one.event_id != other.event_id
    assert UUID(one.event_id).version == UUID(other.event_id).version == 7
    assert one.event_id == str(UUID(one.event_id))
    assert one.occurred_at == other.occurred_at == NOW.isoformat()


@st.composite
def uuids_of_any_kind(draw: st.DrawFn) -> str:
    """Draw UUIDs of each kind, many of them with an accepted time."""
    milliseconds = draw(st.integers(0, 2**48 - 1) | st.integers(ARRIVAL.oldest_id, ARRIVAL.newest_id))
    prefix = draw(st.just(f"{milliseconds:012x}") | st.just("ffff00000001"))
    version, variant = draw(st.sampled_from("4678")), draw(st.sampled_from("79abc"))
    tail = draw(st.integers(0, 2**60 - 1))
    return str(UUID(hex=f"{prefix}{version}123{variant}{tail:015x}"))


@given(
    uuids_of_any_kind() | st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40),
    st.booleans(),
)
def test_the_key_is_that_of_the_identifiers_whatever_is_sent(event_id: str, upper: bool) -> None:
    event_id = event_id.upper() if upper else event_id
    key = canonical_event_id(event_id, "tests")
    telling = key.version == 7
    outcome = judged(event_id=event_id)
    if isinstance(outcome, Acceptance):
        assert outcome.event.event_id == str(key)
        assert outcome.event.occurred_at == (time_of(milliseconds_of(str(key))) if telling else NOW).isoformat()
    elif outcome.code == "event_id_time_out_of_range":
        assert telling
        assert not ARRIVAL.oldest_id <= milliseconds_of(str(key)) <= ARRIVAL.newest_id
    elif outcome.code == "timestamp_too_old":
        # a millisecond whose start is just too old
        assert milliseconds_of(str(key)) == ARRIVAL.oldest_id
    elif outcome.code == "placeholder_id":
        assert is_artefact(event_id)
    else:
        assert outcome.code == "personal_data"


EDGE = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        (NOW + FUTURE_TOLERANCE, True),
        (NOW + FUTURE_TOLERANCE + EDGE, False),
        (NOW - POLICY.raw_retention, True),
        (NOW - POLICY.raw_retention + EDGE, True),
        (NOW - POLICY.raw_retention - EDGE, False),
    ],
)
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_the_time_in_an_id_is_near_now(at: datetime, fits: bool, spelled: Any) -> None:
    facts = {"event_id": spelled(str(uuid7(at, 1))), "timestamp": SENT_AT.isoformat()}
    if fits:
        assert accepted(**facts).occurred_at == SENT_AT.isoformat()
    else:
        assert rejected(**facts) == ("event_id_time_out_of_range", "/event_id")


@pytest.mark.parametrize("prefix", ["ffffffff-ffff", "FFFFFFFF-FFFF", "00000000-0000"])
def test_a_uuid7_of_an_impossible_time_is_rejected(prefix: str) -> None:
    assert rejected(event_id=f"{prefix}-7abc-8abc-0123456789ab") == ("event_id_time_out_of_range", "/event_id")


def test_a_stated_time_is_stored_in_utc_with_the_senders_day() -> None:
    found = accepted(timestamp="2026-06-30T23:30:00.5-05:00", event_id=V7)
    assert (found.occurred_at, found.activity_date) == ("2026-07-01T04:30:00.500000+00:00", "2026-06-30")


def test_a_time_is_stored_in_utc_wherever_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        found = accepted(timestamp=SENT_AT.isoformat())
    time.tzset()
    assert found.occurred_at == SENT_AT.isoformat()


TOO_OLD, IN_FUTURE = ("timestamp_too_old", "/timestamp"), ("timestamp_in_future", "/timestamp")


@pytest.mark.parametrize(
    ("timestamp", "rejection"),
    [
        ((NOW - POLICY.raw_retention - EDGE).isoformat(), TOO_OLD),
        ((NOW + FUTURE_TOLERANCE + EDGE).isoformat(), IN_FUTURE),
        ((NOW + FUTURE_TOLERANCE + EDGE).replace(tzinfo=None).isoformat() + "-05:00", IN_FUTURE),
        ("0001-01-01T00:00:00Z", TOO_OLD),
        ("0001-01-01T00:00:00+05:00", TOO_OLD),
        ("9999-12-31T23:59:59.999999Z", IN_FUTURE),
        ("9999-12-31T23:59:59-05:00", IN_FUTURE),
    ],
)
def test_a_stated_time_is_near_now(timestamp: str, rejection: tuple[str, str]) -> None:
    assert rejected(timestamp=timestamp) == rejection


@pytest.mark.parametrize("timestamp", [NOW - POLICY.raw_retention, NOW + FUTURE_TOLERANCE])
def test_the_first_and_the_last_time_are_accepted(timestamp: datetime) -> None:
    assert accepted(timestamp=timestamp.isoformat()).occurred_at == timestamp.isoformat()


def test_learner_and_session_may_be_missing() -> None:
    facts = {"endpoint": "/a", "method": "GET", "status_code": 200, "duration_ms": 1.5}
    nobody = accepted(event_type="api_request", user_id=None, properties=facts)
    assert (nobody.user_hash, nobody.session_id) == ("", "")
    somebody = accepted(session_id=SESSION.upper())
    assert somebody.user_hash == POLICY.pseudonyms.pseudonym_for("anna")
    assert somebody.session_id == SESSION


@pytest.mark.parametrize(
    "placeholder", ["undefined", "null", "[object Object]", "${item1}", "00000000-0000-0000-0000-000000000000"]
)
def test_an_id_that_every_event_of_a_sender_may_have_is_rejected(placeholder: str) -> None:
    assert rejected(event_id=placeholder) == ("placeholder_id", "/event_id")


@pytest.mark.parametrize("event_id", ["ada@example.com", "call +1 415 555 2671"])
def test_an_id_that_names_a_person_is_rejected(event_id: str) -> None:
    assert rejected(event_id=event_id) == ("personal_data", "/event_id")


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"user_id": "learner-anna-7", "event_id": "learner-anna-7"}, "/event_id"),
        ({"user_id": V7, "event_id": V7}, "/event_id"),
        ({"user_id": SESSION, "session_id": SESSION}, "/session_id"),
        (
            {
                "user_id": "learner-anna-7",
                "event_type": "material_view",
                "properties": {"material_id": "learner-anna-7"},
            },
            "/properties/material_id",
        ),
    ],
)
def test_the_id_of_the_learner_is_nowhere_else_in_the_event(facts: dict[str, Any], place: str) -> None:
    assert rejected(**facts) == ("personal_data", place)


def test_a_session_that_is_no_uuid_is_mapped_by_a_keyed_function() -> None:
    found = accepted(session_id="lesson 7")
    assert found.session_id == str(POLICY.pseudonyms.session_uuid("lesson 7"))
    assert accepted(session_id="lesson 8").session_id != found.session_id


def test_an_accepted_event_has_its_source_version_and_type_and_reports_its_changes() -> None:
    facts = {"endpoint": "/users/17", "method": "GET", "status_code": 200, "duration_ms": 1.5}
    outcome = judged(event_type="api_request", user_id=None, properties=facts)
    assert isinstance(outcome, Acceptance)
    assert (outcome.event.source, outcome.event.schema_version) == ("tests", "1")
    assert outcome.event.event_type == "api_request"
    assert json.loads(outcome.event.properties) == facts | {"endpoint": "/users/{id}"}
    assert [(edit.pointer, edit.code) for edit in outcome.edits] == [("/properties/endpoint", "endpoint_template")]
    unchanged = judged()
    assert isinstance(unchanged, Acceptance)
    assert unchanged.edits == ()


def test_the_refusal_of_an_old_event_says_how_long_events_are_kept() -> None:
    outcome = judged(timestamp="0001-01-01T00:00:00Z")
    assert isinstance(outcome, Rejection)
    assert f"{POLICY.raw_retention.days} days" in outcome.detail


def test_an_arrival_has_the_period_of_its_policy() -> None:
    arrival = Arrival.at(NOW, POLICY)
    assert (arrival.now, arrival.text) == (NOW, NOW.isoformat())
    assert (arrival.oldest, arrival.newest) == (NOW - POLICY.raw_retention, NOW + FUTURE_TOLERANCE)
    assert arrival.oldest_id == unix_milliseconds(arrival.oldest)
    assert arrival.newest_id == unix_milliseconds(arrival.newest)


@pytest.mark.parametrize(
    ("facts", "units"), [({"event_id": "order-17"}, 15), ({"session_id": "lesson 7, part 3, page2"}, 17), ({}, 0)]
)
def test_the_work_of_an_id_that_is_mapped_is_counted(facts: dict[str, Any], units: int) -> None:
    judged(**facts)
    before = WORK.units
    judged(**facts)
    assert WORK.units - before == units


def test_what_is_accepted_is_written_as_encode_writes_it() -> None:
    for raw in demo_events(seed=5, users=20, count=2_000, now=NOW, history_days=30):
        outcome = accept(EVENT.validate_python(raw, strict=False), POLICY, "tests", ARRIVAL)
        assert isinstance(outcome, Acceptance), (raw, outcome)
        assert encode(decode(as_read(outcome.event))) == outcome.event
