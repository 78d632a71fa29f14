"""Rules that no linter checks. The allowed imports are in pyproject.toml, checked by `make check`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
SDK = "studyin_analytics"
REQUIREMENTS = ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
"""Runtime, embedded servers, tools. Each file is installed together with those before it."""


def files_of(*folders: str) -> Iterator[Path]:
    for folder in folders:
        place = ROOT / "sdk" / folder if folder == SDK else ROOT / folder
        yield from (path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def sources(*folders: str) -> list[Path]:
    found = [path for path in files_of(*folders) if path.suffix == ".py"]
    assert found
    return found


def names(paths: list[Path]) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_no_file_is_longer_than_a_person_reads() -> None:
    long = [path for path in sources(*PACKAGES, "tests") if len(path.read_text().splitlines()) > 400]

    assert names(long) == []


def test_a_file_is_named_for_its_idea() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|$)")

    assert names([path for path in sources(*PACKAGES, "tests") if vague.search(path.stem)]) == []


def test_every_folder_of_tests_is_run_by_one_command() -> None:
    [drills] = re.findall(r"^DRILLS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    run = [*PROJECT["tool"]["pytest"]["ini_options"]["testpaths"], *drills.split()]

    assert sorted(run) == sorted(
        {f"tests/{path.relative_to(ROOT).parts[1]}" for path in ROOT.glob("tests/*/**/test_*.py")}
    )


def test_make_help_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [targets] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert sorted(targets.split()) == sorted(re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE))


def test_every_test_that_a_command_names_is_there() -> None:
    named = re.findall(r"\btests/[\w/.]*\w", (ROOT / "Makefile").read_text())

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_pure_core_that_is_mutated_is_there() -> None:
    modules = names(sources(*PACKAGES))
    patterns = PROJECT["tool"]["mutmut"]["only_mutate"]

    assert [pattern for pattern in patterns if not any(fnmatch(module, pattern) for module in modules)] == []


def test_types_hold_without_exceptions() -> None:
    assert names([path for path in sources(*PACKAGES) if "type: ignore" in path.read_text()]) == []


def test_keys_of_redis_have_one_home() -> None:
    literal = re.compile(r"[\"']analytics:\w")
    users = [
        path for path in files_of(*PACKAGES) if path.suffix in (".py", ".lua") and literal.search(path.read_text())
    ]

    # The SDK is separate; tests/sdk compares its names with those of the pipeline
    assert names(users) == ["sdk/studyin_analytics/redis_names.py", "stream/keys.py"]


def test_words_of_a_redis_reply_are_read_in_one_place() -> None:
    reading = re.compile(r"\bin str\(|str\(\w+\)\.startswith\(")
    readers = [path for path in sources("stream") if reading.search(path.read_text())]

    assert names(readers) == ["stream/server/failures.py"]


def test_scripts_of_redis_are_files_of_their_own() -> None:
    script = re.compile(r"#!lua|redis\.call\(")
    holders = [path for path in files_of(*PACKAGES) if script.search(path.read_text(errors="replace"))]

    assert holders
    assert [path.suffix for path in holders] == [".lua"] * len(holders)


def test_what_a_command_writes_goes_through_one_place() -> None:
    writing = re.compile(
        r"\bprint\(|typer\.(echo|secho|confirm|prompt|style)|^(from|import) rich|sys\.(__)?std(out|err)", re.MULTILINE
    )
    writers = [path for path in sources("cli") if writing.search(path.read_text())]

    # the first escapes text of others, the second handles the encoding of each stream
    assert names(writers) == ["cli/output.py", "cli/output_streams.py"]


def test_every_file_of_a_package_is_installed_with_it() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    data = [path for path in files_of(*PACKAGES) if path.suffix != ".py"]

    assert data
    assert names([path for path in data if not any(fnmatch(path.name, pattern) for pattern in patterns)]) == []


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_is_pinned_with_hashes_and_no_address(file: str) -> None:
    text = (ROOT / file).read_text()
    entries = re.split(r"\n(?=\S)", text)
    pins = [entry for entry in entries if not entry.startswith("#")]

    assert pins
    assert [entry for entry in pins if not re.match(r"[a-z0-9.-]+==\S+ ", entry) or "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def locked(*files: str) -> list[str]:
    return [name for file in files for name in re.findall(r"^([a-z0-9.-]+)==", (ROOT / file).read_text(), re.MULTILINE)]


@pytest.mark.parametrize(
    ("files", "declared"),
    [
        (REQUIREMENTS[:1], [PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["build"]]),
        (REQUIREMENTS[:2], PROJECT["project"]["optional-dependencies"].values()),
        (REQUIREMENTS, PROJECT["dependency-groups"].values()),
    ],
)
def test_every_declared_dependency_is_locked(files: tuple[str, ...], declared: Iterable[list[str]]) -> None:
    wanted = {re.split(r"[\[><=; ]", requirement)[0] for group in declared for requirement in group}

    assert wanted - set(locked(*files)) == set()


def test_no_dependency_is_locked_twice() -> None:
    names = locked(*REQUIREMENTS)

    assert sorted(names) == sorted(set(names))


def test_what_runs_brings_no_tools() -> None:
    tools = {re.split(r"[\[><=; ]", tool)[0] for tool in PROJECT["dependency-groups"]["dev"]}

    assert tools & set(locked(*REQUIREMENTS[:2])) == set()
