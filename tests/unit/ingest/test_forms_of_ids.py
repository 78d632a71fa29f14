"""Identifiers that are long, in any script and any normal form, and their stored form."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.privacy.id_form import digest_of, is_digest
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from runtime.settings import Settings
from schemas.catalogue.learning import MaterialViewProperties
from schemas.events import EVENT
from schemas.live import message_tail
from tests.support.access import PSEUDONYM_KEYS

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SETTINGS = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})
POLICY = acceptance_policy(SETTINGS)
IRI = "https://courses.example-university.edu/xblock/block-v1:UniversityX+BIO101.2x+type@problem+block@" + "a0ef" * 20


def judged(event_type: str = "material_view", session_id: str | None = None, **facts: object) -> Acceptance | Rejection:
    sent = {"event_type": event_type, "user_id": "anna", "session_id": session_id, "properties": facts}
    return accept(EVENT.validate_json(json.dumps(sent)), POLICY, "tests", Arrival.at(NOW, POLICY))


def stored(**facts: object) -> dict[str, object]:
    outcome = judged(**facts)  # type: ignore[arg-type]
    assert isinstance(outcome, Acceptance), outcome
    kept: dict[str, object] = json.loads(outcome.event.properties)
    return kept


def is_taken(material_id: str) -> bool:
    try:
        MaterialViewProperties(material_id=material_id)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("length", [1, 127, 128])
def test_an_identifier_of_128_characters_is_stored_as_it_is(length: int) -> None:
    assert stored(material_id="/" + "x" * (length - 1)) == {"material_id": "/" + "x" * (length - 1)}


@pytest.mark.parametrize("text", [IRI, "x" * 129, "x" * 512, "\u00e9" * 129])
def test_a_longer_one_is_stored_as_a_digest_and_its_sender_is_told(text: str) -> None:
    outcome = judged(material_id=text)
    assert isinstance(outcome, Acceptance), outcome
    digest = f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"
    assert json.loads(outcome.event.properties) == {"material_id": digest}
    assert [edit[:2] for edit in outcome.edits] == [("/properties/material_id", "long_id")]
    # the stored form identifies the same material
    assert stored(material_id=digest) == {"material_id": digest}


@given(st.integers(0, 2**256 - 1))
def test_a_digest_is_stored_as_it_is_whatever_its_digits_look_like(number: int) -> None:
    digest = f"sha256-{number:064x}"
    assert is_digest(digest)
    assert stored(material_id=digest) == {"material_id": digest}


def test_a_digest_is_a_digest_only_in_full() -> None:
    whole = digest_of("x")
    assert is_digest(whole)
    assert not any(map(is_digest, (whole[:-1], whole + "0", whole.upper(), whole[:-1] + "g", "x" + whole[:-1])))


def test_the_whole_of_a_long_identifier_is_looked_at_before_it_is_shortened() -> None:
    refused = judged(material_id="x" * 300 + " ada@example.com")
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer) == ("personal_data", "/properties/material_id")


def test_every_identifier_may_be_long_and_a_label_is_never_shortened() -> None:
    facts = {"achievement_id": "a" * 200, "achievement_name": "Ein " + "sehr " * 36 + "langer Titel"}
    outcome = judged("achievement_earned", **facts)
    assert isinstance(outcome, Acceptance), outcome
    assert json.loads(outcome.event.properties) == facts | {"achievement_id": digest_of("a" * 200)}


@pytest.mark.parametrize(
    "material_id", ["   ", "\u3164", "\u2800", "\u00a0", "[object Object]", "{{lesson.id}}", "${id}"]
)
def test_a_placeholder_material_id_is_refused(material_id: str) -> None:
    outcome = judged(material_id=material_id)
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("placeholder_id", "/properties/material_id")


@pytest.mark.parametrize("material_id", ["None", "null", "undefined", "0", "guest", "[intro]", "-", "(1)", "$5", "#1"])
def test_a_material_id_may_equal_a_user_placeholder(material_id: str) -> None:
    assert stored(material_id=material_id) == {"material_id": material_id}


def test_a_short_name_may_be_anything_to_see() -> None:
    assert stored(material_id="m", material_type="{{type}}") == {"material_id": "m", "material_type": "{{type}}"}
    assert isinstance(judged(material_id="m", material_type=" "), Rejection)


@pytest.mark.parametrize("event_id", ["undefined", "null", "[object Object]", "{{id}}", "  ", "0" * 32, "user-${n}"])
def test_an_event_id_that_many_events_would_have_is_refused(event_id: str) -> None:
    sent = {"event_type": "xp_earned", "user_id": "anna", "event_id": event_id, "properties": {"xp_amount": 1}}
    outcome = accept(EVENT.validate_json(json.dumps(sent)), POLICY, "tests", Arrival.at(NOW, POLICY))
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("placeholder_id", "/event_id")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=60))
def test_an_identifier_is_stored_in_normal_form_c(text: str) -> None:
    taken = {MaterialViewProperties(material_id=normalize(form, text)).material_id for form in ("NFC", "NFD")}
    assert taken == {normalize("NFC", text)}


@pytest.mark.parametrize(
    "text",
    [
        # Persian, with and without digits; Arabic-script Urdu
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645-\u062f\u0631\u0633-1",
        "\u06f1\u06f2\u200c\u0633\u0627\u0644\u0647",
        # Sinhala, Hindi, Marathi, Bengali, Malayalam (at the end of a word), Tamil, Kannada
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3-1",
        "\u0915\u094d\u200d\u0937",
        "\u0930\u094d\u200d\u092f",
        "\u09b0\u200d\u09cd\u09af\u09be",
        "\u0d05\u0d35\u0d28\u0d4d\u200d",
        "\u0d05\u0d35\u0d28\u0d4d\u200d-\u0d12",
        "\u0c95\u0ccd\u200c\u0cb7",
        # Khmer, Mongolian, Syriac
        "\u1781\u17d2\u200d\u1798",
        "\u182e\u200d\u1823",
        "\u0710\u200d\u0712",
    ],
)
def test_joiners_are_kept_where_they_are_spelling(text: str) -> None:
    assert stored(material_id=text) == {"material_id": text}


@pytest.mark.parametrize(
    "text",
    [
        "a\u200db",
        "a\u200cb",
        "\u200dab",
        "ab\u200c",
        "m-\u200d1",
        "\u0645\u200c",
        "\u200c\u0645",
        "\u0645\u200c\u200d\u0645",
    ]
    + ["\u0645\u200cb", "a\u200c\u0645", "\u65e5\u200d\u672c", "\u0430\u200d\u0431", "\U0001f468\u200d\U0001f469"]
    + [f"a{one}b" for one in "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202e\u2028\u0085\x7f"],
)
def test_what_cannot_be_seen_is_refused_everywhere_else(text: str) -> None:
    assert not is_taken(text)


def test_a_label_may_have_joined_emoji() -> None:
    name = "Family \U0001f468\u200d\U0001f469\u200d\U0001f467"
    outcome = judged("achievement_earned", achievement_id="a", achievement_name=name)
    assert isinstance(outcome, Acceptance), outcome
    assert json.loads(outcome.event.properties)["achievement_name"] == name


def test_a_session_is_stored_under_the_uuid_that_readers_look_for() -> None:
    outcome = judged(material_id="m", session_id="17")
    assert isinstance(outcome, Acceptance), outcome
    assert outcome.event.session_id == str(SETTINGS.pseudonymizer().session("17"))


@pytest.mark.parametrize("material_id", [IRI, "\u0dc1\u0dca\u200d\u0dbb\u0dd3", "Étoile", "x" * 512])
def test_what_is_stored_is_published(material_id: str) -> None:
    outcome = judged(material_id=material_id, session_id="a tab")
    assert isinstance(outcome, Acceptance), outcome
    message = json.loads('{"id":"1",' + message_tail(outcome.event))
    assert message["properties"] == json.loads(outcome.event.properties)
    assert message["session_id"] == outcome.event.session_id


@pytest.mark.parametrize("material_id", ["  ", "[object Object]", "E\u0301toile", "x" * 128])
def test_what_the_release_before_accepted_is_published_still(material_id: str) -> None:
    outcome = judged(material_id="m")
    assert isinstance(outcome, Acceptance), outcome
    before = outcome.event._replace(properties=json.dumps({"material_id": material_id}, ensure_ascii=False))
    message = json.loads('{"id":"1",' + message_tail(before))
    assert message["properties"] == {"material_id": normalize("NFC", material_id)}
