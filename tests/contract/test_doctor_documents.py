"""docs/operations.md describes every finding of `analytics doctor`, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = [
    ROOT / "cli/commands/doctor.py",
    ROOT / "cli/diagnosis.py",
    *(ROOT / "stream/diagnosis").glob("*.py"),
    *(ROOT / "storage/diagnosis").glob("*.py"),
]
NAME = re.compile(r"settings|(stream\.N|[a-z_]+)\.[a-z_]+")


def texts(file: Path) -> Iterator[str]:
    """Yield the texts of a module, with N in place of each value."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "N" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def section() -> str:
    return (ROOT / "docs/operations.md").read_text().split("\n## Doctor\n")[1].split("\n## ")[0]


def rows() -> list[list[str]]:
    return [row.strip("| ").split(" | ") for row in section().splitlines() if row.startswith("| `")]


def test_every_finding_is_described_once() -> None:
    names = sorted({text for file in CHECKS for text in texts(file) if NAME.fullmatch(text)})
    assert sorted(row[0].strip("`") for row in rows()) == names


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_finding_has_its_status_its_meaning_and_its_fix(row: list[str]) -> None:
    _, status, meaning, fix = row
    assert set(status.split(", ")) <= {"warn", "fail"}
    assert meaning
    assert fix
