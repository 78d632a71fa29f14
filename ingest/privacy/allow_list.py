"""Id formats of the operators that look personal but are not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from runtime.errors import ConfigurationError

LONGEST_TEXT: Final = 512
"""Maximum length of an allowed text, in characters."""

_SETTING: Final = "ANALYTICS_PII_ALLOW"
_MAX_ATTEMPTS: Final = 300_000
"""Maximum number of ways in which a pattern may split a text before it fails to match: a few milliseconds."""

_ATOM: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]?")
"""An escape, or a character class."""
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
    """For each property, and for `event_id`, the id formats that the detectors skip."""

    def __init__(self, patterns: Mapping[str, Sequence[str]], known: frozenset[str]) -> None:
        """`patterns` holds regular expressions by field; each must match a whole text.

        Raises ConfigurationError for a field that is not in `known`, and for a pattern that does not compile, matches
        the empty text or nearly every text, or may take long.
        """
        unknown = sorted(set(patterns) - known)
        if unknown:
            raise ConfigurationError(
                f"{_SETTING} names {', '.join(unknown)}; it may name {', '.join(sorted(known))}",
            )
        self._patterns = {field: tuple(map(_compiled, given)) for field, given in patterns.items()}

    def allows(self, field: str, text: str) -> bool:
        """Return whether the whole text matches a pattern of this field."""
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
