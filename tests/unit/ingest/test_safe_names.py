"""An error repeats the name of a field only if the name cannot be personal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.parsing.faults import from_validation, pointer
from ingest.privacy.detectors import find_personal
from schemas.catalogue.property_types import Properties
from schemas.events import EVENT, MODELS
from schemas.problems import safe_name
from tests.corpus.evaluation import generated
from tests.corpus.personal_forms import KINDS

PERSONAL = [
    "AB123456C",
    "078051120",
    "4111111111111111",
    "RSSMRA85T10A562S",
    "4155552671",
    "ada@example.com",
    "1.2.3.4",
]


@pytest.mark.parametrize("name", [*PERSONAL, "ada_at_example.com", "a" * 65, "x" * 20, "", "a b", "\u00fc"])
def test_a_name_that_could_be_personal_becomes_a_question_mark(name: str) -> None:
    assert safe_name(name) == "?"
    assert pointer(("properties", name)) == "/properties/?"


@pytest.mark.parametrize(
    "name",
    ["material_id", "x-request-id", "filter.name", "durationSeconds", "sha256", "v2", "_id", "2499"],
)
def test_a_name_of_a_program_is_kept(name: str) -> None:
    assert safe_name(name) == name


def test_every_known_name_is_kept() -> None:
    names = {name for model in (*MODELS.values(), *Properties.__subclasses__()) for name in model.model_fields}
    assert len(names) > 30
    assert [name for name in names if safe_name(name) != name] == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_the_detectors_find_is_told(kind: str) -> None:
    found = [text for text in generated(kind, KINDS[kind], seed="names") if find_personal(text) is not None]
    assert len(found) > 900
    assert [text for text in found if safe_name(text) != "?"] == []


@pytest.mark.parametrize("name", PERSONAL)
def test_the_rejection_of_an_event_repeats_no_such_name(name: str) -> None:
    event = {"event_type": "xp_earned", "user_id": "learner-7", "properties": {"xp_amount": 1, name: 1}}
    with pytest.raises(ValidationError) as caught:
        EVENT.validate_python(event, strict=False)
    rejection = from_validation(caught.value)
    assert (rejection.code, rejection.pointer) == ("unknown_property", "/properties/?")
    assert name not in rejection.detail


@given(st.text(max_size=80))
def test_a_told_name_is_short_plain_text(name: str) -> None:
    told = safe_name(name)
    assert told in (name, "?")
    assert len(told) <= 64
    assert told.isascii()
