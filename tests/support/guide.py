"""The blocks and the commands of docs/operations.md."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"

COMMANDS = "sh"
"""Language of a block of commands. Blocks of other languages are output or configuration."""

RUN_UNTIL_STOPPED = {
    r".* haproxy -f deploy/haproxy/haproxy.cfg": "tests/faults/test_rolling_restart.py",
    r"analytics top": "tests/integration/cli/test_top.py",
    r"analytics up": "tests/acceptance/test_up.py",
    r"analytics worker --group live": "tests/faults/test_runbook_commands.py",
}
"""Pattern of each command that does not end by itself, and the test that runs it."""

NAMES = {"analytics dlq", "analytics dlq retry", "analytics keys create", "analytics privacy", "analytics worker"}
"""Mentions that name a command without its arguments."""

NOT_RUN = "docker compose ps"

_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MARKED = re.compile(r"\s# not run by tests: \w.*$")


class Block(NamedTuple):
    """A fenced block, without its indentation."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks."""
    return [Block(language, dedent(content)) for language, content in _FENCED.findall(text)]


def sections(level: int) -> dict[str, str]:
    """Return the text below each title of this level, up to the next title of this or a higher level."""
    found = re.split(rf"^(#{{1,{level}}} .+)\n", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    marks = "#" * level + " "
    pairs = zip(found[1::2], found[2::2], strict=True)
    return {title.removeprefix(marks): text for title, text in pairs if title.startswith(marks)}


def scripts(section: str, language: str = COMMANDS) -> list[str]:
    """Return the blocks of a section of the second level."""
    return [block.text for block in blocks(sections(2)[section]) if block.language == language]


def command_lines(script: str) -> list[str]:
    """Return the commands of a block, without continuations and comments."""
    lines = script.replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line.strip() and not is_marked(line)]


def is_marked(line: str) -> bool:
    """Return whether a line says that tests do not run it, and why."""
    return _MARKED.search(line) is not None


def mentioned_commands() -> list[str]:
    """Return the `analytics ...` commands in the prose, also those that are only named."""
    prose = _FENCED.sub("", GUIDE.read_text(encoding="utf-8"))
    return sorted({" ".join(words.split()) for words in re.findall(r"`(analytics\s[^`]+)`", prose)})


def commands(elsewhere: Collection[str] = ()) -> list[str]:
    """Return each command that a test can run to its end, once, in the order of the guide; then those of the prose.

    Leaves out the blocks that other tests run.
    """
    scripts = [block.text for block in blocks(GUIDE.read_text(encoding="utf-8")) if block.language == COMMANDS]
    lines = [line for script in scripts if script not in elsewhere for line in command_lines(script)]
    once = dict.fromkeys([*lines, *(line for line in mentioned_commands() if line not in NAMES)])
    return [line for line in once if not line.startswith(NOT_RUN) and not runs_until_stopped(line)]


def runs_until_stopped(line: str) -> bool:
    """Return whether a command does not end by itself."""
    return any(re.fullmatch(pattern, line) for pattern in RUN_UNTIL_STOPPED)
