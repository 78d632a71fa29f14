"""The raw id of an event's own learner appears in no stored text of the event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.privacy.firewall import free_texts
from ingest.privacy.own_id import (
    _letter,
    _recent_key,
    _without_formats,
    is_in,
    mask_segments,
    search_key,
    searchable_text,
)
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from ingest.work import LONGEST_CACHED
from runtime.settings import Settings
from schemas.catalogue import CATALOGUE
from schemas.events import EVENT
from tests.support.access import PSEUDONYM_KEYS
from tests.support.events import COMPLETE

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
OWN = "canaryuser-77310"
V7 = "019f1d2e-8694-739b-aea5-966c26f8ad91"


def judged(event: dict[str, Any], **actions: str) -> Acceptance | Rejection:
    policy = acceptance_policy(Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS, "pii_actions": actions}))
    return accept(EVENT.validate_json(json.dumps(event)), policy, "tests", Arrival.at(NOW, policy))


def view(material_id: str, user_id: Any = OWN) -> dict[str, Any]:
    return {"event_type": "material_view", "user_id": user_id, "properties": {"material_id": material_id}}


def texts() -> Iterator[tuple[str, str]]:
    for event_type, kind in CATALOGUE.items():
        for name in free_texts(kind.properties):
            if name != "endpoint":
                yield event_type, name


@pytest.mark.parametrize(("event_type", "name"), list(texts()))
def test_no_text_of_any_event_may_hold_it(event_type: str, name: str) -> None:
    event = {"event_type": event_type, "user_id": OWN, "properties": COMPLETE[event_type] | {name: f"a/{OWN}/b"}}
    outcome = judged(event)
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("personal_data", f"/properties/{name}")
    assert OWN not in outcome.detail


@pytest.mark.parametrize(
    ("user_id", "text"),
    [
        (OWN, OWN),
        (OWN, OWN.upper()),
        (OWN, f"course/{OWN}/unit"),
        (OWN, f"x_{OWN}.pdf"),
        (OWN, quote(OWN).replace("-", "%2D")),
        (OWN, quote(quote(OWN.replace("-", "%2d")))),
        (OWN, "\uff43\uff41\uff4e\uff41\uff52\uff59\uff55\uff53\uff45\uff52-77310"),
        (OWN, "q" * 200 + f"/{OWN}"),
        (OWN, f"x{OWN}/%63{OWN[1:]}"),
        ("123456", "block-123456"),
        (123456, "block-123456"),
        ("J\u00f6rg-Müller", normalize("NFD", "unit/J\u00f6rg-Müller")),
        ("J\u00f6rg-Müller", quote("unit/J\u00f6rg-Müller")),
        ("STRASSE", "stra\u00dfe"),
        ("50hz-rig", "50\u3390-rig"),
        ("a\\b-learner", "x/a\\b-learner"),
        ('a"b-learner', 'x/a"b-learner'),
        ("auth0|5f7c1a2b", "auth0|5f7c1a2b/notes"),
        ("auth0|5f7c1a2b", "auth0%7C5f7c1a2b"),
        # another separator
        ("ada lovelace", "unit/ada+lovelace"),
        ("ada+lovelace", "ada lovelace"),
        ("ada.lovelace", "notes-of-ada_lovelace-2"),
        ("Ada Lovelace", "unit:ada.lovelace"),
        ("\u062f\u0627\u0646\u0634-\u0622\u0645\u0648\u0632", "\u062f\u0627\u0646\u0634_\u0622\u0645\u0648\u0632"),
        # encoded on either side
        ("ada.lovelace", "ada&#46;lovelace"),
        ("ada.lovelace", "ada&amp;#46;lovelace"),
        ("ada.lovelace", "%26%2397%3Bda.lovelace"),
        ("ada%20lovelace", "ada lovelace"),
        ("ada%20lovelace", "ada%2520lovelace"),
        ("ada&amp;lovelace", "ada&lovelace"),
        # a UUID in each of its spellings
        (V7, V7.replace("-", "")),
        (V7, f"m_{V7.replace('-', '')}.pdf"),
        (V7, f"m/{V7.upper()}"),
        (V7, f"{{{V7}}}"),
        (V7.replace("-", ""), f"m/{V7.upper()}"),
        (f"{{{V7.upper()}}}", f"urn:uuid:{V7}"),
        (f"urn:uuid:{V7}", f"course/{V7.replace('-', '').upper()}/unit"),
        (f"tenant-{V7}", f"tenant-{V7.replace('-', '')}"),
    ],
)
def test_it_is_found_in_any_spelling(user_id: Any, text: str) -> None:
    outcome = judged(view(text, user_id))
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("personal_data", "/properties/material_id")


@pytest.mark.parametrize(
    ("user_id", "text"),
    [
        ("ada17", "ada17"),
        ("12345", "unit-12345"),
        ("123456", "1234567"),
        ("123456", "0123456"),
        (OWN, f"{OWN}1"),
        (OWN, f"x{OWN}"),
        ("canary", "canaries"),
        ("source", "m"),
        ("material_id", "m"),
        (OWN, "canaryuser-77311"),
        ("ada.lovelace", "adalovelace"),
        ("123456789", "123-456-789"),
        (V7, V7.replace("-", "") + "0"),
        (V7, V7[:-1]),
        ("\u0930\u0935\u093f \u0915\u0941\u092e\u093e\u0930", "\u0930\u0935\u093e-\u0915\u092e\u0930"),
        ("J\u00f6rg-Müller", "J\u00f6rg-Müllers"),
    ],
)
def test_what_only_has_a_part_of_it_passes(user_id: str, text: str) -> None:
    outcome = judged(view(text, user_id))
    assert isinstance(outcome, Acceptance), outcome
    assert json.loads(outcome.event.properties) == {"material_id": text}
    assert outcome.edits == ()


def test_a_field_is_redacted_or_hashed_where_the_operator_chose_so() -> None:
    redacted, hashed = (judged(view(OWN), material_id=action) for action in ("redact", "hash"))
    assert isinstance(redacted, Acceptance)
    assert isinstance(hashed, Acceptance)
    assert json.loads(redacted.event.properties) == {"material_id": "[redacted]"}
    assert json.loads(hashed.event.properties)["material_id"].startswith("hashed-")
    assert [edit[:2] for edit in redacted.edits] == [("/properties/material_id", "personal_data")]


@pytest.mark.parametrize(
    ("user_id", "endpoint", "template"),
    [
        ("canaryuser", "/users/canaryuser/courses", "/users/{id}/courses"),
        ("canaryuser", "/users/Canaryuser.json", "/users/{id}"),
        ("canaryuser", "/users/c%61naryuser", "/users/{id}"),
        ("org/canaryuser", "/users/org/canaryuser/x", "{id}"),
        ("canaryuser", "/users/canaryusers", "/users/canaryusers"),
        (OWN, f"/users/{OWN}", "/users/{id}"),
    ],
)
def test_in_an_endpoint_its_segment_is_an_id(user_id: str, endpoint: str, template: str) -> None:
    facts = {"endpoint": endpoint, "method": "GET", "status_code": 200, "duration_ms": 1}
    outcome = judged({"event_type": "api_request", "user_id": user_id, "properties": facts})
    assert isinstance(outcome, Acceptance), outcome
    assert json.loads(outcome.event.properties)["endpoint"] == template
    edits = [] if template == endpoint else [("/properties/endpoint", "endpoint_template")]
    assert [edit[:2] for edit in outcome.edits] == edits


FORMS = [str, str.upper, lambda uuid: uuid.replace("-", ""), "{{{}}}".format, "urn:uuid:{}".format]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", ["event_id", "session_id"])
def test_an_id_of_the_event_that_is_kept_may_not_be_it(field: str, form: Any) -> None:
    outcome = judged(view("m", form(V7)) | {field: V7})
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("personal_data", f"/{field}")


@pytest.mark.parametrize("sent", FORMS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", ["event_id", "session_id"])
def test_the_user_id_as_event_or_session_id_is_refused_in_any_form(field: str, form: Any, sent: Any) -> None:
    outcome = judged(view("m", form(V7)) | {field: sent(V7)})
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("personal_data", f"/{field}")


@pytest.mark.parametrize("field", ["event_id", "session_id"])
def test_an_id_of_the_event_that_is_mapped_may_hold_it(field: str) -> None:
    outcome = judged(view("m") | {field: f"{OWN}-1"})
    assert isinstance(outcome, Acceptance), outcome
    assert OWN not in str(outcome.event)


@pytest.mark.parametrize("event_id", [OWN, OWN.upper(), "6ba7b810-9dad-41d1-80b4-00c04fd430c8"])
def test_an_event_may_not_be_named_as_its_learner(event_id: str) -> None:
    outcome = judged(view("m", event_id.lower()) | {"event_id": event_id})
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.code, outcome.pointer) == ("personal_data", "/event_id")


@pytest.mark.parametrize("user_id", [str(UUID(int=7)), f"tenant-{V7}", f"{V7}-1"])
def test_a_user_id_may_resemble_another_id_of_the_event(user_id: str) -> None:
    outcome = judged(view("m", user_id) | {"event_id": V7, "session_id": str(UUID(int=8))})
    assert isinstance(outcome, Acceptance), outcome


WORDS = st.text(alphabet='aB1-%/\u00e9\u0301\uff21\u200d"\\ ', max_size=12)


@given(st.from_regex(r"[a-z0-9-]{6,40}", fullmatch=True) | st.uuids().map(str) | st.uuids().map(lambda one: one.hex))
def test_an_id_is_looked_for_in_the_form_that_a_text_of_it_has(user_id: str) -> None:
    assert search_key(user_id) in (searchable_text(user_id), None)


@given(WORDS, WORDS.filter(search_key), WORDS)
def test_a_path_without_it_has_it_no_more(before: str, user_id: str, after: str) -> None:
    own = search_key(user_id)
    assert own is not None
    assert own not in searchable_text(mask_segments(f"{before}/{user_id}/{after}", own))


@given(WORDS, WORDS.filter(search_key), WORDS)
def test_a_whole_one_is_found_whatever_is_around_it(before: str, user_id: str, after: str) -> None:
    own = search_key(user_id)
    assert own is not None
    if "%" not in before + user_id + after:
        assert own in searchable_text(f"{before}/{user_id}/{after}")


@pytest.mark.parametrize("user_id", [None, "", "ada17", "\u200d" * 9, "abcde\u200d\u200d", "-----ada-----", "%%%%61"])
def test_a_short_one_is_not_looked_for(user_id: str | None) -> None:
    assert search_key(user_id) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("lesson-7", "-lesson-7-"),
        ("Ada 17", "-ada-17-"),
        ("J\u00f6rg  M\u00fcller!", "-j\u00f6rg-m\u00fcller-"),
        ("ada%20lovelace", "-ada-20lovelace-\n-ada-lovelace-"),
        ("ada&#32;lovelace", "-ada-32-lovelace-\n-ada-lovelace-"),
        (f"X/{V7.replace('-', '')}", f"-x-{V7}-"),
    ],
)
def test_a_text_is_compared_by_letters_and_digits(text: str, form: str) -> None:
    assert searchable_text(text) == form


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_CACHED, 1), (LONGEST_CACHED + 1, 0)])
def test_long_ids_are_looked_for_and_do_not_fill_the_memory(length: int, kept: int) -> None:
    _recent_key.cache_clear()
    assert search_key("x" * length) == f"-{'x' * length}-"
    assert _recent_key.cache_info().currsize == kept


def test_an_id_of_six_characters_is_looked_for() -> None:
    assert search_key("Ada 17") == "-ada-17-"
    assert is_in("unit/ada-17", "Ada 17")
    assert not is_in("unit/ada-18", "Ada 17")
    assert not is_in("unit/ada17", "ada17")


@pytest.mark.parametrize(
    ("character", "letter"),
    [("\u00e9", "\u00e9"), ("\u0660", "\u0660"), ("\u0301", "\u0301"), ("\u2014", "-"), ("\u4e00", "\u4e00")],
)
def test_a_letter_a_digit_and_a_mark_are_kept_and_all_else_separates(character: str, letter: str) -> None:
    assert _letter(character) == letter
    assert _without_formats(character) == character
    assert _without_formats("\u200d") is None
