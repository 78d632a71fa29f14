"""Finds the raw id of an event's own learner in the other texts of the event. Pure.

Ids are compared by letters and digits. Case, Unicode form, percent-encoding and HTML entities make no difference, any
run of other characters is one separator, and all spellings of a UUID are equal. Only a whole id between separators is
found. An id of fewer than six characters is not searched for, because it is part of too many words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape
from typing import Final
from urllib.parse import unquote

from ingest.work import LONGEST_CACHED, WORK, is_odd
from schemas.character_tables import CharacterTable
from schemas.compatibility import nfkc
from schemas.identifiers import UUID_FORM, session_uuid

SHORTEST: Final = 6
PLACEHOLDER: Final = "{id}"

_MAX_LAYERS: Final = 16
"""Maximum layers of encoding. Each system that a text passes through may add one."""

_CHARACTERS_OF_A_UNIT: Final = 2
_PLAIN_CHARACTERS_OF_A_UNIT: Final = 8
_UNITS_OF_AN_ID: Final = 12

_WORDS: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_UUID: Final = re.compile(UUID_FORM)
_UUID_DIGITS: Final = 32

_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_BARE_UUID: Final = re.compile(r"(?<=-)([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})(?=-)")


def search_key(user_id: str | None) -> str | None:
    """Return the id as it is searched for in a `searchable_text`; None if it is too short to be searched for."""
    if user_id is None:
        return None
    return _recent_key(user_id) if len(user_id) <= LONGEST_CACHED else _key(user_id)


def searchable_text(text: str) -> str:
    """Return a text in the form in which ids are compared, followed by its decoded form if it is encoded.

    The form is lower case in NFKC, with one hyphen for each run of separators and at both ends.
    """
    WORK.units += _units_of(text)
    written = _canonical(text)
    decoded = _decoded(text)
    return written if decoded == text else f"{written}\n{_canonical(decoded)}"


def is_whole(text: str, own: str) -> bool:
    """Return whether a text is `own` and nothing else, in any of its spellings."""
    return _key(text) == own


def is_in(text: str, user_id: str) -> bool:
    """Return whether a text contains the raw id of a learner."""
    own = search_key(user_id)
    return own is not None and own in searchable_text(text)


def mask_segments(path: str, own: str) -> str:
    """Return a path with each segment that contains `own` replaced by `{id}`."""
    if own not in searchable_text(path):
        return path
    segments = (PLACEHOLDER if own in searchable_text(one) else one for one in path.split("/"))
    kept = "/".join(segments)
    # an id that contains a slash is in no single segment
    return PLACEHOLDER if own in searchable_text(kept) else kept


def _key(user_id: str) -> str | None:
    if len(user_id) < SHORTEST:
        return None
    # most ids already have the form in which they are compared
    if (len(user_id) < _UUID_DIGITS and _WORDS.fullmatch(user_id)) or _UUID.fullmatch(user_id):
        return f"-{user_id}-"
    WORK.units += _UNITS_OF_AN_ID + _units_of(user_id)
    decoded = _decoded(user_id)
    uuid = session_uuid(decoded)
    if uuid is not None:
        return f"-{uuid}-"
    # the id as it was sent is used only if its decoded form is too short
    keys = (_canonical(form) for form in dict.fromkeys((decoded, user_id)))
    return next((key for key in keys if len(key) >= SHORTEST + 2), None)


_recent_key: Final = lru_cache(maxsize=16_384)(_key)


def _units_of(text: str) -> int:
    return len(text) // (_CHARACTERS_OF_A_UNIT if is_odd(text) else _PLAIN_CHARACTERS_OF_A_UNIT) + 3


def _canonical(text: str) -> str:
    if not text.isascii():
        text = nfkc(text)
    if text.isascii():
        separated = _SEPARATORS.sub("-", text.lower())
    else:
        separated = "-".join(part for part in _folded(text).translate(_LETTERS).split("-") if part)
    return _BARE_UUID.sub(r"\1-\2-\3-\4-\5", f"-{separated.strip('-')}-")


def _letter(character: str) -> str:
    # a combining mark belongs to its letter
    return character if character.isalnum() or unicodedata.category(character)[0] == "M" else "-"


def _without_formats(character: str) -> str | None:
    return None if unicodedata.category(character) == "Cf" else character


_LETTERS: Final = CharacterTable(_letter)
_VISIBLE: Final = CharacterTable(_without_formats)


def _folded(composed: str) -> str:
    return unicodedata.normalize("NFKC", composed.translate(_VISIBLE).casefold())


def _decoded(text: str) -> str:
    for _ in range(_MAX_LAYERS):
        if ("%" not in text and "&" not in text) or (once := unescape(unquote(text))) == text:
            break
        text = once
    return text
