"""Finds every compiled regular expression of the product, and the methods it is called with."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

PACKAGES: Final = (
    *(
        "cli",
        "dashboard",
        "ingest",
        "processors",
        "runtime",
        "schemas",
        "studyin_analytics",
        "storage",
        "stream",
        "web",
    ),
    "telemetry",
)
METHODS: Final = ("search", "match", "fullmatch", "finditer")
"""Methods for which a pattern is timed. The other methods scan as `finditer` does."""

_SCANNING: Final = {"findall": "finditer", "sub": "finditer", "subn": "finditer", "split": "finditer"}
_CALL: Final = r"\b{}\.(search|match|fullmatch|finditer|findall|subn?|split)\b"


class Found(NamedTuple):
    """A pattern in use."""

    place: str
    """Module and name."""
    pattern: re.Pattern[Any]
    methods: tuple[str, ...]


def modules() -> Iterator[ModuleType]:
    """Import and return every module of the product packages."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        yield root
        for info in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not info.name.endswith("__main__"):
                yield importlib.import_module(info.name)


def all_patterns() -> list[Found]:
    """Return each pattern once, from the modules, classes, functions and containers of the product."""
    found: dict[int, Found] = {}
    for module in modules():
        source = Path(module.__file__ or "").read_text(encoding="utf-8")
        for name, value in vars(module).items():
            for pattern, used in _inside(value, depth=5):
                methods = (used,) if used else _methods(source, name)
                before = found.get(id(pattern))
                together = tuple(sorted({*methods, *(before.methods if before else ())}))
                place = before.place if before else f"{module.__name__}.{name}"
                found[id(pattern)] = Found(place, pattern, together)
    return list(found.values())


def inline_calls() -> list[str]:
    """Return the calls of `re.search` and similar functions that compile their pattern at each call."""
    # of a pattern that consists of our own names
    call = re.compile(r"(?<!compile\()\bre\.(?:search|match|fullmatch|finditer|findall|subn?|split)\(\s*(.{0,60})")
    return [
        f"{module.__name__}: {found[1]}"
        for module in modules()
        for found in call.finditer(Path(module.__file__ or "").read_text(encoding="utf-8"))
    ]


def compiled_in_functions() -> set[str]:
    """Return each function that compiles a pattern when called, by module and name."""
    return {
        f"{module.__name__}.{function.name}"
        for module in modules()
        for function in ast.walk(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_compiles, ast.walk(function)))
    }


def _compiles(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
            return True
        case ast.Call(args=arguments, func=ast.Name(id="map")):
            # as in `map(re.compile, patterns)`
            return any(ast.unparse(one) == "re.compile" for one in arguments)
    return False


def _inside(value: Any, depth: int) -> Iterator[tuple[re.Pattern[Any], str | None]]:
    """Yield each pattern in a value, with the method if it is a bound method."""
    if isinstance(value, re.Pattern):
        yield value, None
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__, _SCANNING.get(value.__name__, value.__name__)
    elif depth:
        for part in _parts(value):
            # most parts are words of lists
            if not isinstance(part, str):
                yield from _inside(part, depth - 1)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, tuple | list | set | frozenset):
        yield from value
    elif isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, type) and value.__module__.split(".")[0] in PACKAGES:
        yield from vars(value).values()
    elif isinstance(value, FunctionType) and value.__module__.split(".")[0] in PACKAGES:
        yield from (cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell))
        yield from value.__defaults__ or ()
    elif type(value).__module__.split(".")[0] in PACKAGES and hasattr(value, "__dict__"):
        yield from vars(value).values()


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _methods(source: str, name: str) -> tuple[str, ...]:
    """Return how a module uses the pattern with this name; if it does not name it, every way it uses patterns."""
    for form in (re.escape(name), r"[a-z]\w*"):
        used = {_SCANNING.get(one, one) for one in re.findall(_CALL.format(form), source)}
        if used:
            return tuple(used)
    return METHODS
