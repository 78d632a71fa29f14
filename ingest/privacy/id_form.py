"""The form in which the ids of materials and the like are stored, and what is no such id. Pure."""

from __future__ import annotations

import hashlib
import string
from typing import Final

from schemas.text.placeholders import is_blank, is_unrendered

LONGEST_STORED: Final = 128
"""Characters of an identifier that is stored as it is."""

PLAIN_STARTS: Final = frozenset(string.ascii_letters + string.digits)
"""First characters of nearly all identifiers. With one, a text is visible and no template."""

_DIGEST: Final = "sha256-"
_DIGEST_LENGTH: Final = len(_DIGEST) + 64
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


def digest_of(text: str) -> str:
    """Return what is stored of an identifier that is too long: `sha256-` and the SHA-256 of its UTF-8, hexadecimal."""
    return _DIGEST + hashlib.sha256(text.encode()).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether the text has the form of `digest_of`: it names nobody, though its digits may look so."""
    return len(text) == _DIGEST_LENGTH and text.startswith(_DIGEST) and _HEXADECIMAL.issuperset(text[len(_DIGEST) :])


def stands_for_nothing(name: str, text: str) -> bool:
    """Return whether the property has no id for its value: nothing that can be seen, or a template nobody filled in.

    A word is never refused: a material may be called "None". A short name, such as a platform, may be any text to see.
    """
    return is_blank(text) or (name.endswith("_id") and is_unrendered(text))
