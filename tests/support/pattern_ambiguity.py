"""Finds regular expressions that can split a text in many ways, by their syntax tree.

A pattern becomes an automaton without its counts. From the end of an unbounded repeat, every path is followed that
takes only characters which the repeat takes too. If such a path reaches an unbounded repeat that can loop on those
characters, the two can exchange them: n characters are split in n ways, or in 2**n if the repeat reaches itself.
Possessive repeats and atomic groups exchange nothing.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

_parser: Final[Any] = importlib.import_module("re._parser")
_UNLIMITED: Final = importlib.import_module("re._constants").MAXREPEAT
_CHARACTERS: Final = frozenset(map(chr, range(128))) | frozenset("é\u00a0\u0663\u4e2d\u200b\u2028\u202e\ud800")
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


@dataclass
class _Loop:
    entry: int
    body_end: int
    exit: int
    takes: frozenset[str]
    limits: set[int] = field(default_factory=set)
    """States after which the repeat gives back nothing."""


class _Automaton:
    def __init__(self, pattern: re.Pattern[Any]) -> None:
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        self.free: list[list[int]] = []
        self.taking: list[list[tuple[frozenset[str], int]]] = []
        self.loops: list[_Loop] = []
        self.is_ascii = isinstance(pattern.pattern, bytes) or bool(pattern.flags & re.ASCII)
        self.build(
            _parser.parse(text, pattern.flags & ~re.UNICODE if self.is_ascii else pattern.flags),
            self.state(),
            pattern.flags,
        )

    def state(self) -> int:
        self.free.append([])
        self.taking.append([])
        return len(self.free) - 1

    def build(self, nodes: Iterable[tuple[Any, Any]], at: int, flags: int) -> int:
        for operation, argument in nodes:
            at = self.add(str(operation), argument, at, flags)
        return at

    def add(self, operation: str, argument: Any, at: int, flags: int) -> int:
        if operation in _REPEATS:
            least, most, inner = argument
            return self.repeat(operation == "POSSESSIVE_REPEAT", least, most, inner, at, flags)
        match operation:
            case "SUBPATTERN":
                _, added, removed, inner = argument
                return self.build(inner, at, (flags | added) & ~removed)
            case "BRANCH":
                return self.branch(argument[1], at, flags)
            case "GROUPREF_EXISTS":
                return self.branch([one or [] for one in argument[1:]], at, flags)
            case "ATOMIC_GROUP":
                return self.closed(argument, at, flags)
            case "ASSERT" | "ASSERT_NOT":
                self.closed(argument[1], self.state(), flags)
                return at
            case "AT" | "GROUPREF":
                return at
        after = self.state()
        self.taking[at].append((class_of(operation, argument, flags, self.is_ascii), after))
        return after

    def branch(self, branches: Iterable[Any], at: int, flags: int) -> int:
        after = self.state()
        for one in branches:
            start = self.state()
            self.free[at].append(start)
            self.free[self.build(one, start, flags)].append(after)
        return after

    def closed(self, inner: Any, at: int, flags: int) -> int:
        known = len(self.loops)
        end = self.build(inner, at, flags)
        after = self.state()
        self.free[end].append(after)
        for loop in self.loops[known:]:
            loop.limits.add(after)
        return after

    def repeat(self, is_possessive: bool, least: int, most: int, inner: Any, at: int, flags: int) -> int:
        if most != _UNLIMITED:
            after = self.state()
            for count in range(min(most, 2)):
                if count >= least:
                    self.free[at].append(after)
                at = self.closed(inner, at, flags) if is_possessive else self.build(inner, at, flags)
            self.free[at].append(after)
            return after
        entry = self.state()
        self.free[at].append(entry)
        end = self.closed(inner, entry, flags) if is_possessive else self.build(inner, entry, flags)
        after = self.state()
        self.free[end] += (entry, after)
        if least == 0:
            self.free[entry].append(after)
        takes = frozenset[str]().union(*(taken for one in range(entry, after) for taken, _ in self.taking[one]))
        self.loops.append(_Loop(entry, end, after, takes, {after} if is_possessive else set()))
        return after

    def reached(self, start: int, takes: frozenset[str], limits: set[int]) -> set[int]:
        seen, waiting = set[int](), [start]
        while waiting:
            at = waiting.pop()
            if at in seen or at in limits:
                continue
            seen.add(at)
            waiting += self.free[at]
            waiting += [after for taken, after in self.taking[at] if taken & takes]
        return seen

    def ambiguous(self) -> Iterator[tuple[_Loop, _Loop]]:
        for loop in self.loops:
            beyond = self.reached(loop.exit, loop.takes, loop.limits)
            for other in self.loops:
                shared = loop.takes & other.takes
                if other.entry in beyond and self.goes_round(other, shared) and self.goes_round(loop, shared):
                    yield loop, other

    def goes_round(self, loop: _Loop, takes: frozenset[str]) -> bool:
        starts = self.reached(loop.entry, frozenset(), {loop.exit})
        firsts = [after for at in starts for taken, after in self.taking[at] if taken & takes]
        return any(loop.body_end in self.reached(first, takes, {loop.exit}) for first in firsts)


def ambiguities(pattern: re.Pattern[Any]) -> list[str]:
    """Return an example for each two repeats that can exchange characters."""
    found = (loop.takes & other.takes for loop, other in _Automaton(pattern).ambiguous())
    return sorted({"".join(sorted(shared))[-12:] for shared in found})


def class_of(operation: str, argument: Any, flags: int, is_ascii: bool) -> frozenset[str]:
    """Return the characters, of those considered, that a node of the tree matches."""
    match operation:
        case "ANY":
            return _CHARACTERS if flags & re.DOTALL else _CHARACTERS - {"\n"}
        case "NOT_LITERAL":
            return _CHARACTERS - _cased({chr(argument)}, flags)
        case "LITERAL":
            return _cased({chr(argument)}, flags)
        case "IN":
            return _class(argument, flags, is_ascii)
    raise NotImplementedError(operation)


def _class(parts: Iterable[tuple[Any, Any]], flags: int, is_ascii: bool) -> frozenset[str]:
    taken: set[str] = set()
    is_negated = False
    for operation, argument in parts:
        match str(operation):
            case "NEGATE":
                is_negated = True
            case "LITERAL":
                taken.add(chr(argument))
            case "RANGE":
                first, last = argument
                taken |= {one for one in _CHARACTERS if first <= ord(one) <= last} | {chr(first)}
            case "CATEGORY":
                taken |= _category(str(argument), is_ascii)
    return _CHARACTERS - _cased(taken, flags) if is_negated else _cased(taken, flags)


def _cased(characters: Iterable[str], flags: int) -> frozenset[str]:
    given = frozenset(characters)
    return given | {two for one in given for two in (one.lower(), one.upper())} if flags & re.IGNORECASE else given


@cache
def _category(name: str, is_ascii: bool) -> frozenset[str]:
    letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.removeprefix("CATEGORY_").removeprefix("NOT_")]
    form = re.compile("\\" + (letter.upper() if "_NOT_" in name else letter), re.ASCII if is_ascii else 0)
    return frozenset(one for one in _CHARACTERS if form.match(one))
