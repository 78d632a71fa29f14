"""The operators' own forms of ids, which look personal and are not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from runtime.errors import ConfigurationError

LONGEST_TEXT: Final = 512
"""Characters; a longer text is never allowed."""

_SETTING: Final = "ANALYTICS_PII_ALLOW"
_MAX_ATTEMPTS: Final = 300_000
"""Ways in which a pattern may divide a text before it gives up: a few milliseconds."""

_ATOM: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]?")
"""An escape, or a class of characters."""
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")
_BACK_REFERENCE: Final = re.compile(r"\\[1-9]")
_EXTENSION: Final = re.compile(r"\(\?(?!:)")
_QUANTIFIER: Final = re.compile(r"([*+])|\{(\d{0,10})(,?)(\d{0,10})\}|\?")

_OF_DIFFERENT_KINDS: Final = (
    "ada@example.com",
    "+14155552671",
    "4242 4242 4242 4242",
    "93.184.216.34",
    "token=Ab3dE5fG7h",
)


class AllowList:
    """For each property, and for `event_id`, the forms of ids that the detectors need not judge."""

    def __init__(self, patterns: Mapping[str, Sequence[str]], known: frozenset[str]) -> None:
        """Take regular expressions by field; each must match a whole text.

        Raises ConfigurationError for a field that is not among `known`, and for a pattern that does not compile, takes
        the empty text or texts of unlike kinds, or may take long.
        """
        unknown = sorted(set(patterns) - known)
        if unknown:
            raise ConfigurationError(
                f"{_SETTING} names {', '.join(unknown)}; it may name {', '.join(sorted(known))}",
            )
        self._patterns = {field: tuple(map(_compiled, given)) for field, given in patterns.items()}

    def allows(self, field: str, text: str) -> bool:
        """Return whether the whole text has one of the forms of this field."""
        return len(text) <= LONGEST_TEXT and any(
            pattern.fullmatch(text) is not None for pattern in self._patterns.get(field, ())
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"{_SETTING}: {pattern!r} is no regular expression: {error}") from None
    if compiled.fullmatch("") is not None:
        raise ConfigurationError(f"{_SETTING}: {pattern!r} takes the empty text; write the form of an id")
    if sum(compiled.fullmatch(text) is not None for text in _OF_DIFFERENT_KINDS) > 1:
        raise ConfigurationError(f"{_SETTING}: {pattern!r} takes nearly every text; write the form of an id")
    if _may_take_long(pattern):
        raise ConfigurationError(
            f"{_SETTING}: {pattern!r} may take long; repeat no group, refer to no group, use no `(?...)` but `(?:...)`,"
            " and `*` and `+` twice at most (`{2,8}` instead)"
        )
    return compiled


def _may_take_long(pattern: str) -> bool:
    skeleton = _ATOM.sub("x", pattern)
    return (
        any(map(_BACK_REFERENCE.match, _ATOM.findall(pattern)))
        or _EXTENSION.search(skeleton) is not None
        or _REPEATED_GROUP.search(skeleton) is not None
        or _attempts(skeleton) > _MAX_ATTEMPTS
    )


def _attempts(skeleton: str) -> int:
    return (skeleton.count("|") + 1) * prod(_choices(found) for found in _QUANTIFIER.finditer(skeleton))


def _choices(quantifier: re.Match[str]) -> int:
    unbounded, least, is_range, most = quantifier.groups()
    if unbounded or (is_range and not most):
        return LONGEST_TEXT
    if is_range:
        return int(most) - int(least or 0) + 1
    return 1 if least else 2
