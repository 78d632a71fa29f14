"""Finds numbers of many forms in one pass: tries a form only where a first group of digits has its length. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ingest.work import WORK

PARENTHESIS: Final = 0
"""Length of the first group, for a number that begins with an area code in parentheses."""

_GROUP: Final = re.compile(r"\d+|\(")


class NumberForm(NamedTuple):
    """A form of numbers. They begin with a digit that no digit precedes, or with a parenthesis."""

    name: str
    pattern: re.Pattern[str]
    first_group: Iterable[int]
    """Possible lengths of the first group of digits."""


class NumberForms:
    """Finds numbers of several forms in one pass over a text."""

    def __init__(self, forms: Iterable[NumberForm]) -> None:
        self._by_length: defaultdict[int, list[tuple[int, NumberForm]]] = defaultdict(list)
        for position, form in enumerate(forms):
            for length in form.first_group:
                self._by_length[length].append((position, form))

    def matches(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield each match with the name of its form. Matches of one form do not overlap."""
        ends: dict[int, int] = {}
        for group in _GROUP.finditer(text):
            start, end = group.span()
            length = PARENTHESIS if text[start] == "(" else end - start
            forms = self._by_length.get(length, ())
            WORK.units += len(forms)
            for position, form in forms:
                if start >= ends.get(position, 0) and (found := form.pattern.match(text, start)) is not None:
                    ends[position] = found.end()
                    yield form.name, found
