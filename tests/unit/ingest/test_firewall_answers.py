"""What the firewall says of a text, and that long texts do not fill its memory."""

from __future__ import annotations

import pytest

from ingest.privacy import validators
from ingest.privacy.firewall import Action, Firewall, _read_recent, _read_recent_route
from ingest.privacy.id_form import LONGEST_STORED
from ingest.privacy.own_id import search_key
from ingest.privacy.validators import MAX_CANDIDATES, TooManyCandidates, is_valid
from ingest.rejection import Rejection
from ingest.work import LONGEST_CACHED, WORK
from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from schemas.catalogue.learning import MaterialViewProperties
from schemas.catalogue.platform import ApiRequestProperties
from tests.support.messages import is_sentence

EMAIL = "ada@example.com"
PSEUDONYMIZER = Pseudonymizer({1: b"k" * 32})
REJECTS = Firewall({}, PSEUDONYMIZER)


def view(material_id: str, **others: str) -> MaterialViewProperties:
    return MaterialViewProperties.model_validate({"material_id": material_id} | others)


def test_a_rejection_names_the_kind_and_not_the_text() -> None:
    of_text, of_id = REJECTS.inspect(view(EMAIL)), REJECTS.inspect_id(EMAIL)
    own = REJECTS.inspect(view("learner-17"), search_key("learner-17"))
    for found, kind in (
        (of_text, "an e-mail address"),
        (of_id, "an e-mail address"),
        (own, "the user_id of this event"),
    ):
        assert isinstance(found, Rejection)
        assert found.detail == f"This looks like {kind}; send an opaque id or name."


@pytest.mark.parametrize(
    ("action", "detail"),
    [
        (Action.REDACT, "Looked like an e-mail address; stored as [redacted]."),
        (Action.HASH, "Looked like an e-mail address; stored hashed."),
    ],
)
def test_an_edit_names_the_kind_and_what_is_stored(action: Action, detail: str) -> None:
    inspected = Firewall({"material_id": action}, PSEUDONYMIZER).inspect(view(EMAIL))
    assert not isinstance(inspected, Rejection)
    [edit] = inspected[1]
    assert edit == ("/properties/material_id", "personal_data", detail)


def test_a_hash_is_that_of_the_field_and_the_text() -> None:
    firewall = Firewall({"material_id": Action.HASH, "material_type": Action.HASH}, PSEUDONYMIZER)
    inspected = firewall.inspect(view(EMAIL, material_type=EMAIL))
    other = firewall.inspect(view("ben@example.com"))
    assert not isinstance(inspected, Rejection)
    assert not isinstance(other, Rejection)
    assert (
        len({*inspected[0].model_dump(exclude_none=True).values(), *other[0].model_dump(exclude_none=True).values()})
        == 3
    )


def test_properties_without_a_change_are_returned_as_they_are() -> None:
    properties = view("lesson-7")
    inspected = REJECTS.inspect(properties)
    assert not isinstance(inspected, Rejection)
    assert inspected[0] is properties


@pytest.mark.parametrize("text", ["{{id}}", "lesson-{{id}}", "lesson-${id}", "a%7B%7Bid%7D%7D", "a" * 120 + "{{id}}"])
def test_an_unrendered_template_is_refused_wherever_it_stands(text: str) -> None:
    inspected = REJECTS.inspect(view(text))
    assert isinstance(inspected, Rejection)
    assert (inspected.code, inspected.pointer) == ("placeholder_id", "/properties/material_id")


def test_a_placeholder_and_a_long_id_are_told_in_a_sentence() -> None:
    placeholder, long = REJECTS.inspect(view("{{id}}")), REJECTS.inspect(view("x" * (LONGEST_STORED + 1)))
    assert isinstance(placeholder, Rejection)
    assert is_sentence(placeholder.detail)
    assert not isinstance(long, Rejection)
    assert is_sentence(long[1][0].detail)


def test_unknown_fields_are_listed_beside_the_known_ones() -> None:
    listed = r"names user_email, user_name; the texts of events are ([a-z_]+, )+[a-z_]+$"
    with pytest.raises(ConfigurationError, match=listed):
        Firewall({"user_name": Action.HASH, "user_email": Action.HASH}, PSEUDONYMIZER)


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_CACHED, 1), (LONGEST_CACHED + 1, 0)])
def test_long_texts_are_read_and_not_kept(length: int, kept: int) -> None:
    _read_recent.cache_clear()
    _read_recent_route.cache_clear()
    REJECTS.inspect(view("x" * length))
    path = "/a" * (length // 2) + "/" * (length % 2)
    REJECTS.inspect(ApiRequestProperties(endpoint=path, method="GET", status_code=200, duration_ms=1.5))
    assert (_read_recent.cache_info().currsize, _read_recent_route.cache_info().currsize) == (kept, kept)


def test_so_many_numbers_of_a_text_are_validated_and_no_more() -> None:
    WORK.candidates = 0
    for _ in range(MAX_CANDIDATES):
        assert is_valid("luhn", "4242424242424242")
    with pytest.raises(TooManyCandidates):
        is_valid("luhn", "4242424242424242")
    WORK.candidates = 0


def test_a_validator_that_fails_is_counted_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_text: str) -> bool:
        raise ZeroDivisionError

    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(validators, "VALIDATORS", {"luhn": broken})
    monkeypatch.setattr("telemetry.internal_events.detector_failed", lambda *facts: counted.append(facts))
    WORK.candidates = 0
    assert not is_valid("luhn", "1")
    assert counted == [("luhn", "ZeroDivisionError")]


@pytest.mark.parametrize("text", ["", "x", "+", "00"])
def test_what_cannot_be_read_as_a_phone_number_is_none(text: str) -> None:
    WORK.candidates = 0
    assert not is_valid("phone", text)
