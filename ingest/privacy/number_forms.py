"""Looks for forms of numbers where a number begins, and there only for those whose first group is so long. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ingest.work import WORK

PARENTHESIS: Final = 0
"""Stands for the length of the first group where a number begins with an area code in parentheses."""

_GROUP: Final = re.compile(r"\d+|\(")


class NumberForm(NamedTuple):
    """A form of numbers that begin with a digit, with no digit before it, or with a parenthesis."""

    name: str
    pattern: re.Pattern[str]
    first_group: Iterable[int]
    """Lengths the first group of digits may have."""


class NumberForms:
    """Finds numbers of many forms in one pass over a text."""

    def __init__(self, forms: Iterable[NumberForm]) -> None:
        self._by_length: defaultdict[int, list[tuple[int, NumberForm]]] = defaultdict(list)
        for position, form in enumerate(forms):
            for length in form.first_group:
                self._by_length[length].append((position, form))

    def matches(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Give each match and the name of its form; matches of one form do not overlap."""
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
