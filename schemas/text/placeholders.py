"""Texts that programs send where an id was missing. Events under them would merge everybody who has the same fault.

Three questions, each wider than the one before: `is_unrendered` for ids of materials, which may be any word,
`is_artefact` for the id of an event, and `is_placeholder` for ids of learners and sessions. Pure.
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
"""What programs and spreadsheets print for no value."""

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
"""What stands for a learner who is not known, and names of fields in place of their values."""

_OWNERS: Final = r"(?:user|uid|id|user_id|userid|learner|student|member|account|session|anonymous|guest|auth0)"
_NO_VALUES: Final = _words("undefined null nil none nan nonetype nilclass")
_NO_VALUE: Final = re.compile("undefined|null|nil|none|nan")
"""What each of `_NO_VALUES` begins with."""
_OWNER_WORDS: Final = _words("user uid id userid learner student member account")
_OBJECT: Final = re.compile(
    r"(?:[A-Za-z_$][\w$]*\.)+[A-Za-z_$][\w$]*@[0-9a-f]{1,8}|#<[A-Z]\w* .*>|<class '\w+'>|optional\.empty"
    r"|optional\(.*\)",
    re.IGNORECASE,
)
"""How Java, Ruby, Python and Swift print an object without a form of its own."""
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
"""What begins a variable of a template, and what ends it, whatever is between."""
_VARIABLE: Final = re.compile(
    r"\{[A-Za-z_0-9.]*\}|<[A-Za-z_][\w. -]*(?:id|ID|Id)>|\$[A-Za-z_][\w.]*|%[A-Za-z_]\w*%|%[sdifuv@]"
    r"|:[a-z_]*id|\*\|.*\|\*|\$\([A-Za-z_]\w*\)|%%[A-Za-z_]\w*%%|%\{[A-Za-z_][\w.]*\}|@[a-z]+\.[a-z_]+|\\N"
)
"""A variable of a template, of a shell or of printf, when it is the whole text."""

_SIGN: Final = re.compile(r"[{\[<%]")
"""What every unrendered text has one of that begins with a letter or a digit."""
_OPENED: Final = re.compile(r"\{[{%]|\[\[|<[%?]")
"""The beginning of each pair of `_BRACKETS`."""

_BRACED_UUID: Final = re.compile(r"\{[0-9A-Fa-f]{32}\}")
"""Somebody's, though it begins like a variable."""

_MAX_LAYERS: Final = 5
"""Percent signs are encoded again by every system a text passes through."""

_SIMPLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
"""Visible, and without the signs of any template."""

_SEPARATORS: Final = re.compile(r"[\s._-]+")
_PARTS: Final = re.compile(r"[\W_]+")
_WRAPPERS: Final = dict(zip("\"'`([<{\u201c\u2018", "\"'`)]>}\u201d\u2019", strict=True))
"""Quotes and brackets, and what closes them."""

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Zs", "Zl", "Zp"})
_INVISIBLE_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def is_blank(text: str) -> bool:
    """Return whether nothing of the text can be seen: only white space and characters without a form."""
    return text.isspace() or all(map(_is_invisible, text))


def is_unrendered(text: str) -> bool:
    """Return whether the text has the variable of a template nobody filled in, or is how a program prints an object.

    A text that is encoded, as in a URL or in HTML, is one too when it is one decoded; so for the other questions.
    """
    return any(map(_is_unrendered, _forms(text)))


def is_artefact(text: str) -> bool:
    """Return whether the text is blank, unrendered, what programs print for no value, or a UUID of zeros or of ones."""
    return any(map(_is_artefact, _forms(text)))


def is_placeholder(text: str) -> bool:
    """Return whether the text is the id of nobody: an artefact, a word for who is not known, the name of a field."""
    return any(map(_is_placeholder, _forms(text)))


def _forms(text: str) -> list[str]:
    """Return the text as it is, and decoded as often as it is encoded."""
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
    # a pattern would look for the end again behind each beginning
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
    """Return whether the word repeats `null` or its like, as `undefined undefined` does for two names."""
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
    # asked several times of one text in a row
    return (text if text.isascii() else nfkc(text).translate(_VISIBLE)).strip()


def _reduced(text: str) -> str:
    """Return the word inside: in lower case, without quotes and brackets around it, with `_` for other separators."""
    word = _unwrapped(_visible(text).casefold())
    if word in _ARTEFACTS or word in _NOBODY:
        return word
    return _joined(word)


def _unwrapped(word: str) -> str:
    # a text for each pair of brackets would cost the square of their number
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
