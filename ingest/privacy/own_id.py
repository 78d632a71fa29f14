"""Finds the raw id of an event's own learner in the other texts of the event. Pure.

Found is the whole id, between characters that are no letters and no digits, whatever the case, the Unicode form or the
percent-encoding. An id of fewer than six characters is not looked for: it is part of too many words.
"""

from __future__ import annotations

import unicodedata
from typing import Final
from urllib.parse import unquote

SHORTEST: Final = 6
PLACEHOLDER: Final = "{id}"

OTHER_UUIDS: Final = frozenset({32, 34, 38, 41, 45})
"""Lengths of a UUID without hyphens, with braces, or as a URN."""


def search_key(user_id: str | None) -> str | None:
    """Return the id as it is looked for in `searchable_text`; None when it is not looked for."""
    if user_id is None or len(user_id) < SHORTEST:
        return None
    if user_id.isascii():
        return user_id.lower()
    own = _folded(user_id)
    return own if len(own) >= SHORTEST else None


def searchable_text(text: str) -> str:
    """Return a text in the form in which ids are compared, and again without percent-encoding where it has any.

    The form is NFKC, without case and without invisible characters.
    """
    written = text.lower() if text.isascii() else _folded(text)
    if written == text:
        # the same object: a cache that holds both forms of it touches one place in memory
        written = text
    return f"{written}\n{_folded(_decoded(text))}" if "%" in text else written


def contains_whole(text: str, own: str) -> bool:
    """Return whether a `searchable_text` holds `own` between characters that are no letters and no digits."""
    start = text.find(own)
    while start >= 0:
        end = start + len(own)
        if not text[max(start - 1, 0) : start].isalnum() and not text[end : end + 1].isalnum():
            return True
        start = text.find(own, start + 1)
    return False


def is_in(text: str, user_id: str) -> bool:
    """Return whether a text holds the id of a learner as it was sent."""
    own = search_key(user_id)
    return own is not None and contains_whole(searchable_text(text), own)


def mask_segments(path: str, own: str) -> str:
    """Return a path whose segments that hold `own` are `{id}`."""
    if not contains_whole(searchable_text(path), own):
        return path
    segments = (PLACEHOLDER if contains_whole(searchable_text(one), own) else one for one in path.split("/"))
    kept = "/".join(segments)
    # an id with a slash is in no segment
    return PLACEHOLDER if contains_whole(searchable_text(kept), own) else kept


def is_uuid(own: str, uuid: str) -> bool:
    """Return whether `own` is this UUID, in any of its forms; `uuid` is in lower case with hyphens."""
    return own.removeprefix("urn:uuid:").strip("{}").replace("-", "") == uuid.replace("-", "")


def _folded(text: str) -> str:
    composed = unicodedata.normalize("NFKC", text)
    visible = "".join(one for one in composed if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", visible.casefold())


def _decoded(text: str) -> str:
    # however often it was encoded
    while (once := unquote(text)) != text:
        text = once
    return text
