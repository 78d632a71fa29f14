"""Documents of the questions match their table."""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.openapi import openapi
from dashboard.questions.live import SOCKET_PATH
from dashboard.questions.table import QUESTIONS

ROOT = Path(__file__).parents[2]


def test_every_question_is_documented_with_its_method_and_no_other() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("## Asking questions")[2]
    rows = set(re.findall(r"^\| `([A-Z]+ /api/analytics/\S+)` \|", text, flags=re.MULTILINE))

    assert rows == {question.action for question in QUESTIONS} | {f"GET {SOCKET_PATH}"}


def test_every_question_is_an_operation_of_the_openapi_document() -> None:
    operations = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in openapi()["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/")
    }

    assert operations == {question.operation: question.action for question in QUESTIONS}


def test_no_two_questions_share_a_name_or_a_place() -> None:
    assert len({question.operation for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.action for question in QUESTIONS}) == len(QUESTIONS)
