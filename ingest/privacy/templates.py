"""Turns the path of a request into the template of its route, for privacy and to bound their number. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from ingest.privacy.detectors import find_personal
from ingest.privacy.route_words import VERSIONED, is_word
from ingest.work import LONGEST_CACHED, WORK

PLACEHOLDER: Final = "{id}"
MAX_SEGMENTS: Final = 12

_ORIGIN: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_MARK: Final = re.compile(r"[{<\[(:*\\^$]")
"""Every placeholder contains one of these."""
_QUERY: Final = re.compile(r"[?#;].*", re.DOTALL)

_TOKEN: Final = re.compile(
    r"""
    (?P<placeholder>
        # {id} {id?} {id:path} {id:int:min(1)} {id=5} {*rest} {**rest} {id...} {/:id} {}
        \{ [*+?/#&.$]{0,3} [A-Za-z_]?[\w.,-]{0,64}
           (?:[:=] (?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\}){0,128} )? (?:\.\.\.|[?*])? \}
        # {{id}}
      | \{\{ \s? [A-Za-z_][\w.]{0,64} \s? \}\}
        # <id> <int:id> <any(a,b):id> <id:re:[a-z]+> <id..>
      | < (?:[A-Za-z_]\w{0,64})? (?:\([^()]{0,128}\))? (?::[^<>]{0,128})? (?:\.\.)? >
        # [id] [...id] [[...id]] [[id]] [id=kind]
      | \[{1,2} (?:\.{3})? (?:[A-Za-z_][\w-]{0,64})? (?:=\w{1,64})? \]{1,2} (?![*+{])
        # :id :id? :id* :id(\d+) and :from-:to, but not course-v1:edX
      | (?<![\w\]})>]) : [A-Za-z_]\w{0,64} (?:\((?:[^()]|\([^()]*+\)){0,128}\))? [*+]? (?:\?(?=[/.()\-{]|$))?
        # (.:format) (/:page) (\d+) (?P<id>[^/]+) (?:page)? (.*)
      | \( (?= [^()]* (?: / | \\[dwsDWS] | \[ | \.[*+] | :[A-Za-z_] | [{<] ) | \?[P:<!=] )
           (?:\\.|[^()\\]|\((?:\\.|[^()\\]|\((?:\\.|[^()\\])*+\))*+\)){0,256} \)
           (?:[*+]|\{[\d,]++\})? (?:\?(?![\w.\-]*=))?
        # [^/]+ [0-9]{4} [\w-]*
      | \[ (?=\^|[^\[\]]*(?:\w-\w|\\)) (?:\\.|[^\[\]\\]){0,200}+ \] (?:[*+]\??|\{[\d,]++\})?
        # \d+ \w{3} \. \Z, and .* .+
      | \\[dwsDWSbBAZ.\-/] (?:[*+]\??|\{[\d,]++\})?
      | \. [*+] \??
        # * ** *path
      | (?<!\w) \*{1,3} (?:[A-Za-z_]\w{0,64})?
        # the slash that may be left out: /?$ and /?(?P<page>...)
      | (?<=/) \? (?=\$$|\(\?[P:<])
    )
    | (?P<slash>/)
    | (?P<end>[?\#;])
      # ab(cd)?e of Express
    | (?P<text>\w+|\([a-z]{1,16}\)\?(?=[a-z]{0,4}(?:[/?]|$))|.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""A part of a path or a template. Covers the placeholders of Django, Flask, FastAPI, Rails, Express, ASP.NET, Spring,
Laravel, Go, Next.js and OpenAPI. A slash or a question mark inside a placeholder belongs to it."""


def template_of(endpoint: str) -> str:
    """Return the endpoint without host and query, with ids replaced by `{id}`. A template is returned unchanged.

    `/courses/42/lessons/6ba7b810-9dad-11d1-80b4-00c04fd430c8?page=2` becomes `/courses/{id}/lessons/{id}`. Segments
    that `is_word` does not accept count as ids.
    """
    WORK.units += len(endpoint) // 4 + 5
    path = _ORIGIN.sub("", endpoint)
    if _MARK.search(path):
        segments = _segments(path)
    else:
        segments = [([segment], segment) for segment in _QUERY.sub("", path).split("/", MAX_SEGMENTS)]
    named = []
    before = ""
    for texts, segment in segments[:MAX_SEGMENTS]:
        named.append(segment if _is_named(texts, segment, before) else PLACEHOLDER)
        before = segment if segment in VERSIONED else ""
    if len(segments) > MAX_SEGMENTS:
        named.append("{rest}")
    return "/".join(named) or "/"


def _segments(path: str) -> list[tuple[list[str], str]]:
    """Return each segment before the query, and the texts between its placeholders."""
    segments: list[tuple[list[str], str]] = []
    texts: list[list[str]] = [[]]
    segment: list[str] = []
    for token in _TOKEN.finditer(path):
        kind, content = token.lastgroup, token[0]
        if kind == "end":
            break
        if kind == "slash":
            segments.append((list(map("".join, texts)), "".join(segment)))
            texts, segment = [[]], []
            continue
        segment.append(content)
        if kind == "placeholder":
            texts.append([])
        else:
            texts[-1].append(content)
    return [*segments, (list(map("".join, texts)), "".join(segment))]


def _is_named(texts: list[str], segment: str, before: str) -> bool:
    """Return whether a segment is a name or a placeholder, and none of its texts could be an id or personal."""
    for text in texts:
        is_name = _is_recent_name if len(text) <= LONGEST_CACHED else _is_name
        if not is_name(text, before):
            return False
    return len(texts) == 1 or find_personal(unquote(segment)) is None


def _is_name(text: str, before: str) -> bool:
    # regular expression anchors are not part of a word
    plain = unquote(text).strip("^$")
    return is_word(plain, before) and find_personal(plain) is None


_is_recent_name: Final = lru_cache(maxsize=16_384)(_is_name)
