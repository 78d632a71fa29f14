"""Turns the path of a request into the template of its route: for privacy, and so that there are few of them. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from ingest.privacy.detectors import find_personal

PLACEHOLDER: Final = "{id}"
MOST_SEGMENTS: Final = 12

_ORIGIN: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_QUERY: Final = re.compile(r"[?#;].*", re.DOTALL)
_IS_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}|<[^<>]*>|\[[^\[\]]*\]|:[A-Za-z_]\w*|\*+")
_IS_NAME: Final = re.compile(r"(?:v\d{1,3}(?:\.\d{1,3})?)|[A-Za-z]+\d{1,2}|[^\d]*")
_LONGEST_NAME: Final = 32


@lru_cache(maxsize=65_536)
def template_of(endpoint: str) -> str:
    """Return the endpoint without host, query and whatever looks like an id; a template stays as it is.

    `/courses/42/lessons/6ba7b810-9dad-11d1-80b4-00c04fd430c8?page=2` is `/courses/{id}/lessons/{id}`. A segment with
    digits is an id unless it is a version (`v1`) or a word with a number (`oauth2`); so is a very long one.
    """
    path = _QUERY.sub("", _ORIGIN.sub("", endpoint))
    segments = path.split("/")
    named = [_named(segment) for segment in segments[:MOST_SEGMENTS]]
    if len(segments) > MOST_SEGMENTS:
        named.append("{rest}")
    return "/".join(named) or "/"


def _named(segment: str) -> str:
    if _IS_PLACEHOLDER.fullmatch(segment):
        return segment
    plain = unquote(segment)
    is_name = len(plain) <= _LONGEST_NAME and _IS_NAME.fullmatch(plain) and find_personal(plain) is None
    return segment if is_name else PLACEHOLDER
