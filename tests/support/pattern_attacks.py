"""Generates long texts for which a regular expression may be slow, by its syntax tree, and times it on them."""

from __future__ import annotations

import importlib
import re
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any, Final

from tests.support.pattern_ambiguity import class_of

_parser: Final[Any] = importlib.import_module("re._parser")
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_LONG: Final = 8
"""Repeats with a higher maximum are pumped."""

BASE: Final = 1_024
"""Length of the shortest text, above any bounded repeat."""
_QUICK: Final = 0.002
"""Time in seconds for the long text below which nothing counts as slow."""
_TIMES: Final = 8
"""Length of the long text, as a multiple of the short one."""
_MAX_GROWTH: Final = 24.0
"""Maximum growth of the time for a text that is _TIMES as long: 8 is linear, 64 is quadratic."""
_MEASUREMENTS: Final = 4
_GIVE_UP: Final = 0.5
"""Maximum processor time for one text, in seconds."""


class _TooLong(Exception):
    pass


class _Weakness:
    """Collects pairs of a prefix and of what is repeated n times after it."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.is_text = isinstance(pattern.pattern, str)
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        is_ascii = not self.is_text or bool(pattern.flags & re.ASCII)
        self.is_ascii, self.flags = is_ascii, pattern.flags
        tree = _parser.parse(text, pattern.flags & ~re.UNICODE if is_ascii else pattern.flags)
        self.rank: Counter[str] = Counter()
        self.count(tree)
        self.pumped: dict[tuple[str, str], None] = {}
        self.walk(list(tree), "")
        common = [one for one, _ in self.rank.most_common(8)]
        for one in common:
            self.pumped["", one] = None
        for first, second in combinations(common, 2):
            self.pumped["", first + second] = None

    def takes(self, operation: str, argument: Any) -> list[str]:
        allowed = class_of(operation, argument, self.flags, self.is_ascii)
        return sorted(one for one in allowed if self.is_text or one.isascii())

    def count(self, nodes: Iterable[tuple[Any, Any]]) -> None:
        for operation, argument in nodes:
            inner = _inside(str(operation), argument)
            if inner is not None:
                for one in inner:
                    self.count(one)
            elif str(operation) in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
                # of large classes, only characters that are matched elsewhere too matter
                self.rank.update(self.takes(str(operation), argument))
                if str(operation) == "LITERAL":
                    self.rank[chr(argument)] += 3

    def sample(self, nodes: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self.sample_of(str(operation), argument) for operation, argument in nodes)

    def sample_of(self, operation: str, argument: Any) -> str:
        if operation in _REPEATS:
            least: int = argument[0]
            return self.sample(argument[2]) * least
        inner = _inside(operation, argument)
        if operation.startswith("ASSERT"):
            return ""
        if inner is not None:
            return self.sample(inner[0]) if inner else ""
        if operation in ("AT", "GROUPREF"):
            return ""
        taken: list[str] = self.takes(operation, argument)
        return max(taken, key=lambda one: (self.rank[one], one), default="")

    def walk(self, nodes: list[tuple[Any, Any]], before: str) -> None:
        for operation, argument in nodes:
            name = str(operation)
            inner = _inside(name, argument)
            for one in inner or ():
                self.walk(list(one), before)
            if name in _REPEATS and argument[1] > _LONG:
                pump = self.sample(argument[2])
                self.pumped[before, pump] = None
                self.pumped["", before + pump * max(1, argument[0])] = None
            before += self.sample_of(name, argument)
            self.pumped["", before] = None


def _inside(operation: str, argument: Any) -> list[Any] | None:
    match operation:
        case "SUBPATTERN":
            return [argument[3]]
        case "BRANCH":
            return list(argument[1])
        case "GROUPREF_EXISTS":
            return [one for one in argument[1:] if one]
        case "ATOMIC_GROUP":
            return [argument]
        case "ASSERT" | "ASSERT_NOT":
            return [argument[1]]
        case _ if operation in _REPEATS:
            return [argument[2]]
    return None


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str]]:
    """Yield each prefix with what is repeated after it."""
    yield from ((before, pump) for before, pump in _Weakness(pattern).pumped if pump)


def slowness(pattern: re.Pattern[Any], method: str) -> str | None:
    """Return a text whose time grows faster than its length; None if none was found."""
    with _limited():
        for before, pump in attacks(pattern):
            for behind in ("", "\0"):
                if _grows(pattern, method, before, pump, behind):
                    return f"{method}: {before!r} + {pump!r} * n + {behind!r}"
    return None


def _grows(pattern: re.Pattern[Any], method: str, before: str, pump: str, behind: str) -> bool:
    def seconds(size: int, rounds: int) -> float:
        written = before + pump * (size // len(pump)) + behind
        text = written if isinstance(pattern.pattern, str) else written.encode("latin-1")
        return min(_timed(pattern, method, text) for _ in range(rounds))

    try:
        # a pattern that takes exponential time must not be given a long text first
        if max(seconds(size, 1) for size in (32, 256, _TIMES * BASE)) < _QUICK:
            return False
        # other work of the machine can distort one measurement, but not all
        return all(seconds(_TIMES * BASE, 1) > _MAX_GROWTH * seconds(BASE, 3) for _ in range(_MEASUREMENTS))
    except _TooLong:
        return True


def _timed(pattern: re.Pattern[Any], method: str, text: Any) -> float:
    signal.setitimer(signal.ITIMER_VIRTUAL, _GIVE_UP)
    start = time.thread_time()
    found = getattr(pattern, method)(text)
    if method == "finditer":
        deque(found, maxlen=0)
    spent = time.thread_time() - start
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return spent


@contextmanager
def _limited() -> Iterator[None]:
    """Interrupt a search that takes too long. The engine checks signals, and nothing else can stop it."""

    def stop(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
