"""docs/operations.md fits the code: its contents, and the words of its commands. A drill runs them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer import Context, TyperException
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import application
from runtime.settings import Settings
from tests.faults import test_restore
from tests.support.guide import (
    COMMANDS,
    GUIDE,
    NAMES,
    RUN_UNTIL_STOPPED,
    blocks,
    command_lines,
    commands,
    is_marked,
    mentioned_commands,
    sections,
)
from tests.support.guide_answers import ANSWERS, answer_to

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
METRICS = ROOT / "docs" / "metrics.md"
PAGE = GUIDE.read_text(encoding="utf-8")
LINES = [line for block in blocks(PAGE) if block.language == COMMANDS for line in command_lines(block.text)]
WITHOUT_COMMANDS = {"Watchdog", "Platform slow"}
"""Runbooks that need none, or refer to those of another."""


def alerts() -> list[dict[str, Any]]:
    files = (yaml.safe_load(file.read_text()) for file in (DEPLOY / "prometheus" / "alerts").glob("*.yml"))
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]


def anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_the_contents_list_every_alert_of_a_severity_from_a_to_z(severity: str) -> None:
    [paragraph] = re.findall(rf"^\*\*.+\*\* \(`{severity}`\):\n((?:.+\n)+)", PAGE, re.MULTILINE)
    rules = {
        rule["alert"].removeprefix("Analytics"): rule["annotations"]["runbook"].partition("#")[2]
        for rule in alerts()
        if rule["labels"]["severity"] == severity
    }

    assert re.findall(r"\[(\w+)\]\(#([\w-]+)\)", paragraph) == sorted(rules.items(), key=lambda one: one[0].lower())


def test_every_alert_has_three_commands() -> None:
    runbooks = {rule["annotations"]["runbook"].partition("#")[2] for rule in alerts()}
    commands = {
        title: [line for block in blocks(text) if block.language == COMMANDS for line in block.text.splitlines()]
        for title, text in sections(3).items()
        if anchor(title) in runbooks
    }

    assert {title for title, lines in commands.items() if len(lines) < 3} == WITHOUT_COMMANDS


def test_every_block_says_whether_it_holds_commands() -> None:
    assert {block.language for block in blocks(PAGE)} == {COMMANDS, "ini", "json", "sql", "text"}


def test_prose_wraps_at_100() -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)

    assert [line for line in prose.splitlines() if len(line) > 100 and not line.startswith("|")] == []


def test_every_setting_is_one_of_ours() -> None:
    of_commands = {"ANALYTICS_INGEST_URL", "ANALYTICS_WRITE_KEY"}
    named = set(re.findall(r"\bANALYTICS_[A-Z_]+", PAGE))

    assert len(named) > 30
    assert named - of_commands - {f"ANALYTICS_{name.upper()}" for name in Settings.model_fields} == set()


def test_every_metric_to_watch_is_exported() -> None:
    named = set(re.findall(r"`(analytics_\w+)(?:`|\{)", sections(2)["Watch"]))

    assert len(named) > 40
    assert named - set(re.findall(r"`(analytics_\w+)`", METRICS.read_text(encoding="utf-8"))) == set()


def test_every_drill_is_described() -> None:
    described = set(re.findall(r"`(tests/\w+/\w+\.py)`", sections(2)["Drills"]))
    drills = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py")}

    assert drills - described == set()


def analytics_lines() -> Iterator[list[str]]:
    """Return the arguments of each command of ours, also at the end of a pipe."""
    for line in [*LINES, *mentioned_commands()]:
        for words in re.findall(r"(?:^|\| |=\w+ )analytics (.*)$", line):
            yield shlex.split(words)


def parse(words: list[str]) -> None:
    """Parse a command line without running it; of a name, find the command. Raises TyperException."""
    is_name = " ".join(["analytics", *words]) in NAMES
    command, context = get_command(application()), None
    while isinstance(command, TyperGroup) and words:
        context = Context(command, parent=context)
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    if not isinstance(command, TyperGroup) and not is_name:
        command.make_context(command.name, words, parent=context)


def test_every_command_of_ours_exists_with_its_options() -> None:
    assert len(list(analytics_lines())) > 40
    for words in analytics_lines():
        parse(words)


@pytest.mark.parametrize("wrong", ["dlq list --sinse 24h", "keys create --scope events:write", "dlq show"])
def test_a_command_that_does_not_exist_would_be_found(wrong: str) -> None:
    with pytest.raises(TyperException):
        parse(wrong.split())


def test_every_command_is_run_by_a_drill_and_answers_as_stated() -> None:
    answers = [answer_to(command) for command in commands(elsewhere=test_restore.RUN)]

    assert [answer.command for answer in ANSWERS if answer not in answers] == []


def test_a_command_that_does_not_end_by_itself_has_its_test() -> None:
    assert [test for test in RUN_UNTIL_STOPPED.values() if not (ROOT / test).exists()] == []


def test_every_service_is_one_of_the_compose_file() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    named = [
        word
        for line in LINES
        for call in re.findall(r"docker compose (?:exec|ps|logs(?: --tail \d+)?)((?: \w+)*)", line)
        for word in (call.split()[:1] if " exec " in line else call.split())
    ]

    assert len(named) > 40
    assert set(named) - services.keys() == set()


def test_every_word_that_is_searched_in_a_log_is_logged() -> None:
    searched = [
        word
        for line in LINES
        for words in re.findall(r"docker compose logs .*\| grep (?:-E )?'?([\w|]+)'?$", line)
        for word in words.split("|")
    ]
    folders = ("dashboard", "ingest", "processors", "storage", "stream", "telemetry", "web")
    code = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))

    assert len(searched) > 15
    # a word that ends with an underscore is the begin of several
    assert [word for word in searched if f'"{word}' + '"' * (word[-1] != "_") not in code] == []


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("timedatectl    # not run by tests: needs systemd", True),
        ("timedatectl    # not run by tests:", False),
        ("analytics dlq show ID    # one", False),
    ],
)
def test_a_line_that_is_not_run_says_why(line: str, marked: bool) -> None:
    assert is_marked(line) == marked
