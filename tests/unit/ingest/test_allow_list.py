"""Operators allow the formats of their own ids. Detectors skip such texts, and an unsafe pattern prevents the start."""

from __future__ import annotations

import json

import pytest

from cli.diagnosis import check_allowed_ids
from ingest.privacy.firewall import Firewall, allow_list
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from runtime.settings import Settings
from schemas.catalogue.gamification import AchievementEarnedProperties
from schemas.catalogue.learning import MaterialViewProperties
from tests.support.access import PSEUDONYM_KEYS

CARD = "4242424242424242"


def firewall(**patterns: list[str]) -> Firewall:
    return Firewall({}, Pseudonymizer({1: b"k" * 32}), patterns)


def test_an_id_of_an_allowed_form_is_stored_as_it_is() -> None:
    properties = MaterialViewProperties(material_id=CARD)
    assert isinstance(firewall().inspect(properties), Rejection)
    assert firewall(material_id=["x", r"\d{16}"]).inspect(properties) == (properties, ())


def test_the_whole_text_must_have_the_form() -> None:
    refused = firewall(material_id=[r"\d{16}"]).inspect(MaterialViewProperties(material_id=f"{CARD} ada@example.com"))
    assert isinstance(refused, Rejection)
    assert isinstance(firewall(material_id=["4"]).inspect(MaterialViewProperties(material_id=CARD)), Rejection)


def test_a_form_holds_for_its_field_alone() -> None:
    other = AchievementEarnedProperties(achievement_id=CARD)
    assert isinstance(firewall(material_id=[r"\d{16}"]).inspect(other), Rejection)
    assert firewall(material_id=[r"\d{16}"]).inspect_id(CARD) is not None
    assert firewall(event_id=[r"\d{16}"]).inspect_id(CARD) is None


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ({"user_name": ["x"]}, "names user_name"),
        ({"endpoint": ["x"]}, "names endpoint"),
        ({"material_id": ["("]}, "no regular expression"),
        ({"material_id": [r"\d*"]}, "empty"),
        ({"material_id": [""]}, "empty"),
        ({"material_id": [".+"]}, "nearly every"),
        ({"material_id": [r"[^\n]{3,64}"]}, "nearly every"),
        ({"material_id": [r"[\d .]+"]}, "nearly every"),
        ({"user_name": ["x"], "user_email": ["x"]}, r"names user_email, user_name; it may name ([a-z_]+, )+[a-z_]+$"),
        ({"material_id": ["(a+)+b"]}, r"and `\*` and `\+` twice at most \(`\{2,8\}` instead\)$"),
        ({"material_id": ["a+b+|c"]}, "may take long"),
        ({"material_id": ["a{1,300}b{1,1001}"]}, "may take long"),
        ({"material_id": ["a{,300}b{1,1000}c"]}, "may take long"),
        ({"material_id": ["a?b{1,151}c{1,1000}"]}, "may take long"),
        ({"material_id": ["(a+)+b"]}, "may take long"),
        ({"material_id": ["(?:ab|a){2,}c"]}, "may take long"),
        ({"material_id": ["(?=x)x"]}, "may take long"),
        ({"material_id": [r"(x)\1"]}, "may take long"),
        ({"material_id": ["a+a+a+b"]}, "may take long"),
        ({"material_id": ["a{1,99}a{1,99}a{1,99}b"]}, "may take long"),
    ],
)
def test_a_careless_pattern_is_refused_at_the_start(patterns: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        allow_list(patterns)
    assert "ANALYTICS_PII_ALLOW" in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"LIB-\d{14}",
        r"\d{4} \d{4} \d{4} \d{4}",
        "a{1,300}b{1,1000}",
        "a{,299}b{1,1000}",
        "a?b{1,150}c{1,1000}",
        "a{5}b{1,300}c{1,1000}",
        "[A-Z]{2,4}-[0-9]{4,6}(?:-[a-z]{1,8})?",
        r"\d{16}",
        r"[\w.]+@[a-z]+",
        "a|b",
        r"[*+?)]x\+{2}",
        r"\(?\d\\1",
    ],
)
def test_the_form_of_an_id_is_a_good_pattern(pattern: str) -> None:
    allow_list({"material_id": [pattern]})


def test_a_text_that_is_longer_than_any_id_has_no_allowed_form() -> None:
    list_of_forms = allow_list({"material_id": ["a+a+b"]})
    assert list_of_forms.allows("material_id", "a" * 511 + "b")
    assert not list_of_forms.allows("material_id", "a" * 512)
    assert not list_of_forms.allows("material_id", "a" * 512 + "b")


def test_the_setting_reaches_ingest_and_doctor_lists_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_PSEUDONYM_KEYS", PSEUDONYM_KEYS)
    monkeypatch.setenv("ANALYTICS_PII_ALLOW", json.dumps({"event_id": [r"\d{16}", "x-[0-9]{9}"]}))
    settings = load_settings()
    assert acceptance_policy(settings).firewall.inspect_id(CARD) is None
    finding = check_allowed_ids(settings)
    assert (finding.status, finding.detail) == ("ok", r"event_id: \d{16} x-[0-9]{9}")


def test_doctor_says_why_ingest_would_not_start() -> None:
    bad = Settings.model_validate({"pii_allow": {"material_id": [".*"]}, "pseudonym_keys": PSEUDONYM_KEYS})
    assert check_allowed_ids(bad).status == "fail"
    assert check_allowed_ids(Settings.model_validate({})).detail == "none"
    with pytest.raises(ConfigurationError):
        acceptance_policy(bad)
