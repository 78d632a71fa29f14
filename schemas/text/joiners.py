"""Zero-width joiners in ids: part of the spelling in some scripts; in others they make two ids look the same.

U+200C and U+200D control how letters join in Arabic, Syriac, Mongolian and the Indic scripts, where they are accepted.
The rule is wider than CONTEXTJ of RFC 5892, which refuses common spellings of Persian.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from .character_tables import CharacterTable

_JOINERS: Final = "\u200c\u200d"
_VIRAMA: Final = 9
"""Canonical combining class of the signs that remove the vowel of a letter."""

_NEEDED_IN: Final = (
    # Arabic, Syriac, Thaana, NKo, Mandaic, and their supplements
    ("\u0600", "\u08ff"),
    # Devanagari to Sinhala
    ("\u0900", "\u0dff"),
    # Tibetan, Myanmar
    ("\u0f00", "\u109f"),
    # Philippine scripts, Khmer, Mongolian
    ("\u1700", "\u18af"),
    # Limbu to Balinese, Sundanese, Batak, Lepcha
    ("\u1900", "\u1c4f"),
    # Vedic signs
    ("\u1cd0", "\u1cff"),
    # Phags-pa, Saurashtra, Javanese, Cham, Meetei
    ("\ua840", "\uaaff"),
    ("\uabc0", "\uabff"),
    # presentation forms of Arabic
    ("\ufb50", "\ufdff"),
    ("\ufe70", "\ufeff"),
    # historic and minority Indic scripts, Adlam
    ("\U00010a00", "\U00011fff"),
    ("\U0001e900", "\U0001e95f"),
)
_IS_NEEDED_IN: Final = re.compile("[" + "".join(f"{first}-{last}" for first, last in _NEEDED_IN) + "]")


def joiners_belong(text: str) -> bool:
    """Return whether each joiner is between letters, marks or digits of a script that uses it.

    After a virama it may also end a word, as in final consonants of Malayalam.
    """
    return _MISPLACED.search(text.translate(_CLASSES)) is None


def _class_of(character: str) -> str:
    if character in _JOINERS:
        return "j"
    if not _IS_NEEDED_IN.fullmatch(character) or unicodedata.category(character)[0] not in "LMN":
        return "x"
    return "v" if unicodedata.combining(character) == _VIRAMA else "l"


_CLASSES: Final = CharacterTable(_class_of)
"""Joiners, viramas and letters of the scripts, and all other characters, a letter for each class."""

_MISPLACED: Final = re.compile("(?<![lv])j|(?<!v)j(?![lv])")
