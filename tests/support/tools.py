"""Tests that need a program which is not a Python package: skipped, and reported, if it is missing."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

REQUIRE = "ANALYTICS_REQUIRE_TOOLS"

_MISSED = "missed_tool"


def add_options(parser: pytest.Parser) -> None:
    """Add --require-tools."""
    parser.getgroup("analytics").addoption(
        "--require-tools",
        action="store_true",
        default=os.environ.get(REQUIRE, "") not in ("", "0"),
        help=f"fail a test whose tool is missing, as the variable {REQUIRE}=1 does",
    )


def check(item: pytest.Item) -> None:
    """Skip a test if one of its tools is missing; fail it if tools are required."""
    for mark in item.iter_markers("needs_tool"):
        tool: str = mark.args[0]
        if not shutil.which(tool):
            miss(item, tool, f"{tool} is not on PATH")


def miss(item: pytest.Item, tool: str, why: str) -> NoReturn:
    """Skip a test that cannot have its tool; fail it if tools are required."""
    if item.config.getoption("require_tools"):
        pytest.fail(f"{why}, and {REQUIRE} asks for it", pytrace=False)
    # stored with the report of the test, which may run in another process
    item.user_properties.append((_MISSED, tool))
    pytest.skip(why)


def report(terminal: pytest.TerminalReporter) -> None:
    """List the tests that were skipped because a tool is missing."""
    missed: dict[str, list[str]] = {}
    for skipped in terminal.stats.get("skipped", []):
        for name, tool in getattr(skipped, "user_properties", ()):
            if name == _MISSED:
                missed.setdefault(tool, []).append(skipped.nodeid)
    if not missed:
        return
    terminal.section("NOT TESTED: tools missing on this machine", sep="!", red=True, bold=True)
    for tool, tests in sorted(missed.items()):
        terminal.line(f"{tool}:")
        for test in tests:
            terminal.line(f"    {test}")
    terminal.line(f"Install them, or set {REQUIRE}=1 to make this a failure.")
