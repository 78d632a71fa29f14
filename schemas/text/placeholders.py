"""Texts that programs send in place of a missing id. Accepted as ids, they would merge unrelated learners.

Three checks, each wider than the one before: `is_unrendered` for ids of materials, which may be any word, `is_artefact`
for event ids, and `is_placeholder` for ids of learners and sessions. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape
from typing import Final
from urllib.parse import unquote

from .character_tables import CharacterTable
from .compatibility import nfkc
from .printed_values import is_printed, is_unfilled, is_variable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTEFACTS: Final = _words(
    """
    undefined null nil none nan void missing unset empty infinity inf -infinity -inf
    n/a #n/a #ref! #value! #null! #name? not_set notset not_found object_object
    """
)
"""Texts that programs and spreadsheets print for a missing value."""

_NOBODY: Final = _words(
    """
    true false anonymous anon anonymous_user anonymoususer guest guest_user guestuser nobody unknown unknown_user
    not_authenticated unauthenticated not_logged_in logged_out loggedout anon_user no_user no_id not_available
    nonetype nilclass 0x0 - -- _ ? . * 0 -1
    id user_id userid uid uuid guid email e_mail username user_name login sub subject
    distinct_id distinctid anonymous_id anonymousid learner_id learnerid student_id studentid
    member_id memberid account_id accountid customer_id customerid profile_id profileid
    session_id sessionid your_user_id youruserid current_user currentuser
    """
)
"""Words for an unknown learner, and names of fields in place of their values."""

_OWNERS: Final = r"(?:user|uid|id|user_id|userid|learner|student|member|account|session|anonymous|guest|auth0)"
_NO_VALUES: Final = _words("undefined null nil none nan nonetype nilclass")
_NO_VALUE: Final = re.compile("undefined|null|nil|none|nan")
"""Each of `_NO_VALUES` begins with one of these."""
_OWNER_WORDS: Final = _words("user uid id userid learner student member account")
_OBJECT: Final = re.compile(
    r"(?:[A-Za-z_$][\w$]*\.)+[A-Za-z_$][\w$]*@[0-9a-f]{1,8}|#<[A-Z]\w* .*>|<class '\w+'>|optional\.empty"
    r"|optional\(.*\)",
    re.IGNORECASE,
)
"""Objects as Java, Ruby, Python and Swift print them by default."""
_NO_OWNERS: Final = ("undefined", "null", "nil", "none", "nan", "object_object")
_PREFIXED: Final = re.compile(rf"{_OWNERS}[_:|/#]+(?:{'|'.join(_NO_OWNERS)})")
_NO_UUID: Final = re.compile(r"(?:urn:uuid:)?(?:(?:0{8}_0{4}_0{4}_0{4}_0{12}|0+)|(?:f{8}_f{4}_f{4}_f{4}_f{12}|f{32}))")
_JS_OBJECT: Final = re.compile(r"\[object [A-Za-z]+\]|<[\w.]+ object at 0x[0-9A-Fa-f]+>|#<[A-Z]\w*(?::0x[0-9a-f].*)?>")
_TEMPLATE: Final = re.compile(
    r"[$#@]\{[^{}]*\}|%\([A-Za-z_]\w*\)[a-z]",
)
_BRACKETS: Final = (
    *(("{{", "}}"), ("{%", "%}"), ("[[", "]]"), ("<%", "%>"), ("<?", "?>")),
    *(("<%", "?>"), ("<?", "%>")),
)
"""Start and end of a template variable."""
_VARIABLE: Final = re.compile(
    r"\{[A-Za-z_0-9.]*\}|<[A-Za-z_][\w. -]*(?:id|ID|Id)>|\$[A-Za-z_][\w.]*|%[A-Za-z_]\w*%|%[sdifuv@]"
    r"|:[a-z_]*id|\*\|.*\|\*|\$\([A-Za-z_]\w*\)|%%[A-Za-z_]\w*%%|%\{[A-Za-z_][\w.]*\}|@[a-z]+\.[a-z_]+|\\N"
)
"""A variable of a template, a shell or printf, if it is the whole text."""

_SIGN: Final = re.compile(r"[{\[<%]")
"""Every unrendered text that begins with a letter or a digit contains one of these."""
_OPENED: Final = re.compile(r"\{[{%]|\[\[|<[%?]")
"""The start of each pair of `_BRACKETS`."""

_BRACED_UUID: Final = re.compile(r"\{[0-9A-Fa-f]{32}\}")
"""A real id, although it looks like a variable."""

_MAX_LAYERS: Final = 5
"""Maximum number of decodings: every system on the way of a text may encode it again."""

_SIMPLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
"""Visible characters, without those of any template."""

_SEPARATORS: Final = re.compile(r"[\s._-]+")
_PARTS: Final = re.compile(r"[\W_]+")
_WRAPPERS: Final = dict(zip("\"'`([<{\u201c\u2018", "\"'`)]>}\u201d\u2019", strict=True))
"""Opening quotes and brackets, and their closing ones."""

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Zs", "Zl", "Zp"})
_INVISIBLE_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def is_blank(text: str) -> bool:
    """Return whether the text has no visible character."""
    return text.isspace() or all(map(_is_invisible, text))


def is_unrendered(text: str) -> bool:
    """Return whether the text contains an unrendered template variable, or is an object printed by a program.

    This and the other checks also decode texts that are encoded for URLs or HTML.
    """
    return any(map(_is_unrendered, _forms(text)))


def is_artefact(text: str) -> bool:
    """Return whether the text is blank, unrendered, a printed missing value, or a UUID of only zeros or ones."""
    return any(map(_is_artefact, _forms(text)))


def is_placeholder(text: str) -> bool:
    """Return whether the text is an artefact, a word for an unknown learner, or the name of a field."""
    return any(map(_is_placeholder, _forms(text)))


def _forms(text: str) -> list[str]:
    """Return the text, and each of its decodings."""
    forms = [text]
    while len(forms) <= _MAX_LAYERS and ("%" in text or "&" in text):
        text = unescape(unquote(text))
        if text == forms[-1]:
            break
        forms.append(text)
    return forms


def _has_brackets(text: str) -> bool:
    if not _OPENED.search(text):
        return False
    # not a pattern: it would search for the end again after each start, in quadratic time
    starts = ((text.find(opened), len(opened), closed) for opened, closed in _BRACKETS)
    return any(start >= 0 and text.find(closed, start + length) >= 0 for start, length, closed in starts)


def _is_unrendered(text: str) -> bool:
    if text.isalnum():
        return False
    plain = _visible(text)
    if plain[:1].isalnum() and not _SIGN.search(plain):
        return False
    if _BRACED_UUID.fullmatch(plain):
        return False
    return bool(
        _has_brackets(plain)
        or _TEMPLATE.search(plain)
        or _JS_OBJECT.fullmatch(plain)
        or _VARIABLE.fullmatch(plain)
        or is_variable(plain)
    )


def _is_artefact(text: str) -> bool:
    if text.isascii() and text.isalnum():
        return _is_no_value(text.lower()) or is_printed(text)
    return is_blank(text) or _is_unrendered(text) or _is_no_value(_reduced(text)) or is_printed(_visible(text))


def _is_placeholder(text: str) -> bool:
    if text.isascii() and text.isalnum():
        word = text.lower()
        return word in _NOBODY or _is_no_value(word) or is_printed(text) or is_unfilled(text)
    visible = _visible(text)
    if _SIMPLE.fullmatch(text):
        word = text.lower().replace("-", "_").replace(".", "_").strip("_")
    elif is_blank(text) or _is_unrendered(text):
        return True
    else:
        word = _reduced(text)
    return (
        word in _NOBODY
        or _is_no_value(word)
        or (word.endswith(_NO_OWNERS) and _PREFIXED.fullmatch(word) is not None)
        or _is_made_of_no_values(word)
        or _OBJECT.fullmatch(visible) is not None
        or is_printed(visible)
        or is_unfilled(visible)
    )


def _is_made_of_no_values(word: str) -> bool:
    """Return whether the word consists of missing values only, such as `undefined undefined` for two names."""
    if not _NO_VALUE.search(word):
        return False
    parts = {part for part in _PARTS.split(word) if part}
    return bool(parts & _NO_VALUES) and parts <= _NO_VALUES | _OWNER_WORDS


def _is_no_value(word: str) -> bool:
    return not word or word in _ARTEFACTS or (word[-1] in "0f" and _NO_UUID.fullmatch(word) is not None)


def _is_invisible(character: str) -> bool:
    return (
        unicodedata.category(character) in _INVISIBLE_CATEGORIES
        or character in _INVISIBLE_LETTERS
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _seen(character: str) -> str | None:
    return None if character != " " and _is_invisible(character) else character


_VISIBLE: Final = CharacterTable(_seen)


@lru_cache(maxsize=64)
def _visible(text: str) -> str:
    # cached: each check needs it, for the same text
    return (text if text.isascii() else nfkc(text).translate(_VISIBLE)).strip()


def _reduced(text: str) -> str:
    """Return the word in lower case, without enclosing quotes and brackets, with `_` for other separators."""
    word = _unwrapped(_visible(text).casefold())
    if word in _ARTEFACTS or word in _NOBODY:
        return word
    return _joined(word)


def _unwrapped(word: str) -> str:
    # by index: a new text for each pair of brackets would take quadratic time
    start, end = 0, len(word)
    while end - start > 1 and _WRAPPERS.get(word[start]) == word[end - 1]:
        start, end = start + 1, end - 1
        while start < end and word[start].isspace():
            start += 1
        while start < end and word[end - 1].isspace():
            end -= 1
    return word[start:end]


def _joined(word: str) -> str:
    return _SEPARATORS.sub("_", word).strip("_") or word
