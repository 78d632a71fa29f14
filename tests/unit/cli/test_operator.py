"""The operator is named after the operating system account, in characters that cannot control a terminal."""

from __future__ import annotations

import os
import pwd
from types import SimpleNamespace
from typing import Any

import pytest

from cli.operator import current_operator


def named(name: str) -> Any:
    return lambda _uid: SimpleNamespace(pw_name=name)


def test_the_environment_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(variable, "somebody-else")
    assert current_operator() == f"operator:{pwd.getpwuid(os.getuid()).pw_name}"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert current_operator() == "operator:uid:3999999999"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("zoë", "zoë"),
        ("a\x1b[2Jb\r\nc", "a\\x1b[2Jb\\r\\nc"),
        ("a\u202eb\x9bc\udcff", "a\\u202eb\\x9bc\\udcff"),
        ("x" * 500, "x" * 64),
    ],
)
def test_control_characters_in_an_operator_name_are_escaped(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", named(name))
    assert current_operator() == f"operator:{told}"
