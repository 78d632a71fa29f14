"""The stored form of identifiers such as material ids, and values that are no identifier. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from ingest.work import WORK, is_odd
from schemas.text.placeholders import is_blank, is_unrendered

LONGEST_STORED: Final = 128
"""Maximum length of an identifier that is stored unchanged, in characters."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9][^{\[<%&]*")
"""Begins with a visible character and has none of a template or an encoding, like nearly all identifiers."""

_CHARACTERS_OF_A_UNIT: Final = 16
_ODD_CHARACTERS_OF_A_UNIT: Final = 2

_DIGEST: Final = "sha256-"
_DIGEST_LENGTH: Final = len(_DIGEST) + 64
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


def digest_of(text: str) -> str:
    """Return the stored form of an identifier that is too long: `sha256-` and the hexadecimal SHA-256 of its UTF-8."""
    return _DIGEST + hashlib.sha256(text.encode()).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether the text has the form of `digest_of`. It is not personal, whatever its digits look like."""
    return len(text) == _DIGEST_LENGTH and text.startswith(_DIGEST) and _HEXADECIMAL.issuperset(text[len(_DIGEST) :])


def is_plain_form(text: str) -> bool:
    """Return whether the text cannot be a placeholder, by its characters. Cheap."""
    return _PLAIN.fullmatch(text) is not None


def is_placeholder_value(name: str, text: str) -> bool:
    """Return whether the value of a property is blank, or an id is an unrendered template.

    A word is never rejected: a material may be called "None". For names, such as a platform, only a blank text is.
    """
    WORK.units += 1 + len(text) // (_ODD_CHARACTERS_OF_A_UNIT if is_odd(text) else _CHARACTERS_OF_A_UNIT)
    return is_blank(text) or (name.endswith("_id") and is_unrendered(text))
