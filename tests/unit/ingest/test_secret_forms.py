"""Secrets of known services are found. The services and forms are those of the public gitleaks rules."""

from __future__ import annotations

from random import Random

import pytest

from ingest.privacy.detectors import Personal, find_personal
from tests.corpus.secret_forms import NAMED, NOT_AIMED_AT, PREFIXED, example, named_example

EXAMPLES = 20
RULES = 222
"""Number of rules in the list of July 2026."""


@pytest.mark.parametrize("rule", PREFIXED)
def test_a_secret_with_a_form_of_its_own_is_found(rule: str) -> None:
    rng = Random(rule)
    made = [example(PREFIXED[rule], rng) for _ in range(EXAMPLES)]
    assert [text for text in made if find_personal(text) is not Personal.SECRET] == []


@pytest.mark.parametrize("rule", NAMED)
def test_a_secret_behind_its_name_is_found(rule: str) -> None:
    rng = Random(rule)
    made = [named_example(NAMED[rule], rng) for _ in range(EXAMPLES)]
    assert [text for text in made if find_personal(text) is not Personal.SECRET] == []


def test_each_rule_is_aimed_at_or_has_a_reason() -> None:
    assert len(PREFIXED) + len(NAMED) + len(NOT_AIMED_AT) == len({*PREFIXED, *NAMED, *NOT_AIMED_AT}) == RULES


@pytest.mark.parametrize(
    ("harmless", "secret"),
    [
        ("npm_configuration2024Guide", "npm_c0nf1gur4ti0n2024Guid3"),
        ("xai-SHAP2024tutorial", "xai-SHa3P2k024tUt0rial"),
        ("sk-ant-colony-optimization2", "sk-ant-api03-x7Kq92LmZ0pT"),
        ("r8_Lesson2024Review", "r8_L3ss0n2o24R3v1ew"),
        ("hvs.Introduction2024Course", "hvs.Intr0Duct10n2024Cou"),
        ("API-01ARZ3NDEKTSV4RRFFQ69G5FAV", "API-7ARZ3NDEKTSV4RRFFQ69G5FAVX"),
        ("ico-0123456789abcdef0123456789abcdef", "ico-0123456789abcDef0123456789abCdef"),
        ("LTAImathematicsLesson", "LTAI5tExampleAbCdEfGh1234"),
        ("sk-proj-a1b2c-lesson", "sk-proj-a1b2c3-lesson"),
        ("Secret: McGregor", "secret: Mc7Gregor9x"),
        ("wordpress_logged_in_plugin", "wordpress_logged_in_0123456789abcdef=ada%7C17"),
    ],
)
def test_a_name_behind_a_prefix_is_no_secret(harmless: str, secret: str) -> None:
    assert (find_personal(harmless), find_personal(secret)) == (None, Personal.SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "https://outlook.office.com/webhook/0123/IncomingWebhook/EXAMPLE0123456789/x",
        "SESS49960de5880e8c68=EXAMPLE1234567",
        "wordpress_sec_0123456789abcdef0123456789abcdef=ada",
        "api_key=6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "aio_Ab3dE5fG7hJ9kL1mN3pQ5rS7tU9v",
    ],
)
def test_other_kinds_of_secrets_are_found(text: str) -> None:
    assert find_personal(text) is Personal.SECRET
