"""The target of events: options take precedence, the rest comes from the system in the data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.local import dev_file
from cli.local.dev_file import DevFile
from cli.target import Target, find_target
from runtime.errors import ConfigurationError


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    dev_file.write(tmp_path, DevFile("http://here:1", "", "write", "read", "admin", "", "", ""))
    return tmp_path


def test_it_is_the_running_system_unless_another_is_given(data_dir: Path) -> None:
    assert find_target(None, None, data_dir) == Target("http://here:1", "write")
    assert find_target("https://there/", "mine", data_dir) == Target("https://there", "mine")
    assert find_target("https://there", None, data_dir) == Target("https://there", "write")
    assert find_target(None, "mine", data_dir) == Target("http://here:1", "mine")


def test_with_both_given_no_system_need_run(tmp_path: Path) -> None:
    assert find_target("http://there", "mine", tmp_path) == Target("http://there", "mine")


@pytest.mark.parametrize(
    ("url", "key", "named"),
    [
        (None, "k", "--url"),
        ("u", "k", "http://"),
        ("http://u", "k\n", "--key"),
        ("http://", "k", "no host"),
        ("http://host:port", "k", "not a valid URL"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, url: str | None, key: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        find_target(url, key, tmp_path)


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Target("http://there", "secret"))
