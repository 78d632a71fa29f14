"""Finds e-mail addresses, including those in which the @ or a dot is spelt out. Pure."""

from __future__ import annotations

import re
import string
from typing import Final

from ingest.privacy.context import ending, words

_DOMAIN: Final = re.compile(
    r"@{1,4}(?:[^\s@/,;:()<>\[\]{}\"=|\\.&?#_]{1,63}\.{1,2}){1,8}([^\W\d_]{2,24}+(?!\d{1,2}(?!\d))|xn--[A-Za-z0-9-]{2,59})"
)
_QUOTED: Final = re.compile(r"\"[^\"]+\"$")
_NO_PART_OF_LOCAL: Final = re.compile(r"[\s@/,;:()<>\[\]{}\"=|\\]")
_LONGEST_LOCAL: Final = 64
_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_ENDS_OF_LOCAL: Final = ("_", "-", "+")

_OPAQUE_KEY: Final = re.compile(r"(?i)(?<![A-Za-z])(?:[a-z][a-z0-9-]{0,64}-v\d{1,9}|i4x|c4x|lb|lib):")
_KEY_END: Final = re.compile(r"(?:-[Vv]\d{1,9}|[IiCc]4[Xx]|[Ll][Ii][Bb]?):")
_KEY_MARK: Final = re.compile(r"@(?:(?<=\+type@)|(?<=\+block@)|(?<=\+branch@)|(?<=\+version@))")
"""The @ in keys of Open edX: in `asset-v1:Org+Course+Run+type@asset+block@name.jpg` it separates parts."""

_FILE_TYPES: Final = words(
    "jpg jpeg png gif svg webp bmp ico tif tiff pdf csv tsv xls xlsx doc docx ppt pptx odt odp epub txt"
    " rtf xml json yaml yml html htm xhtml css scss less js mjs cjs ts tsx jsx vue mp3 mp4 m4a m4v mkv avi"
    " webm ogg wav flac srt vtt ass gz tar tgz bz rar jar war exe dll apk ipa dmg iso bin tex bib ipynb rb"
    " java cpp hpp swf woff ttf otf map lock log local localhost localdomain internal lan invalid beta"
    " alpha rc next latest"
)
"""Endings of files, private host names and releases that are not top-level domains."""

_MADE_BY_MACHINES: Final = re.compile(
    r"(?:19|20)\d{6}[-_.]\d[\w.\-]*|(?:[\w.\-]{0,64}[-_])?(?:19|20)\d{6}T\d{4,6}Z?[\w.\-]*"
    r"|[0-9a-v]{26}|[0-9a-f]{32}|[0-9A-F]{20,}|\d[\d.$\-]{14,}"
)
"""Local parts of calendar and message ids: a time and a number, or a long random text."""

_CALENDARS: Final = re.compile(r"(?i)@(?:cal|calendar|ical|moodle|lms|events?|timetable|canvas|instructure)\.")
_ITEM: Final = re.compile(r"(?i)(?:uid|id|event|course|assignment|item|quiz|activity|[-_])*+\d+")
"""Calendar items have the number of the item before the host name."""

_VERSION: Final = re.compile(r"@v?\d+\.\d+[.\-+]")
"""The version after the name of a package, as in `lodash@4.17.21-next.0`."""

_BRACKET: Final = re.compile(r"[\[({<]")
_DEFANGED: Final = re.compile(r"\s?[\[({<]\s?([.@])\s?[\])}>]\s?")
"""`ada[@]example[.]com`"""
_SPELT_DOT: Final = re.compile(r"(?i)\s?[\[({<]\s?dot\s?[\])}>]\s?|(?<=@)([A-Za-z0-9-]{1,63})\s{1,3}dot\s{1,3}")
"""`ada@example[dot]com`"""

_QUOTED_DOT: Final = re.compile(r"=(?:25)?2[Ee](?=[A-Za-z])")
_BESIDE_AT: Final = re.compile(
    r"(?<![A-Za-z0-9._+\-])([a-z0-9._+\-]{1,64})\s{1,2}@(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])@\s{1,2}(?=[A-Za-z0-9])"
)
"""`ada @example.com` and `ada@ example.com`."""
_BESIDE_DOT: Final = re.compile(
    r"(?<=@)([A-Za-z0-9-]{1,63})(?:\s{1,2}\.\s?|\.\s{1,2})(?=(?:com|org|net|edu|gov|info|eu|uk|de|fr|es|nl)(?![A-Za-z0-9]))"
)
"""`ada@example .com`. The endings are not English words."""

_COMMON_ENDINGS: Final = (
    "com|org|net|edu|gov|mil|int|info|io|eu|uk|de|fr|it|es|nl|be|ch|at|se|no|dk|fi|pl|pt|ie|cz|gr|ro|hu|ru|ua|tr|us|ca"
    "|mx|br|ar|cl|co|in|cn|jp|kr|au|nz|za|sg|hk|ir|il|ae|eg|ng|ke"
)
_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9\-]{0,62}"
_QUOTED_PRINTABLE: Final = re.compile(
    rf"(?<=[A-Za-z0-9._+\-])=(?:25|3[Dd])?40(?=(?:[A-Za-z0-9][A-Za-z0-9\-]{{0,62}}(?:\.|=(?:25)?2[Ee])){{1,4}}(?:{_COMMON_ENDINGS})(?![A-Za-z0-9]))"
)
"""`ada=40example.com`, the quoted-printable form of mail."""

_OPEN: Final = r"\s?[\[({<*]\s?"
_CLOSE: Final = r"\s?[\])}>*]\s?"
_RULE: Final = r"\s?[|~+#!]\s?"
_AT: Final = (
    rf"(?:{_OPEN}(?i:at|a|ät|@|arroba|arobase|chiocciola|at[ \-]?sign){_CLOSE}|{_RULE}(?i:at){_RULE}|__?(?i:at)__?|-AT-"
    r"|\s{1,4}(?:AT|@(?!\s{1,4}[A-Z][a-z])|-at-|(?i:arroba|arobase|chiocciola))\s{1,4})"
)
_DOT: Final = rf"(?:{_OPEN}(?i:dot){_CLOSE}|{_RULE}(?i:dot){_RULE}|__?(?i:dot)__?|\s{{1,4}}(?i:dot)\s{{1,4}})"
_SPELT: Final = re.compile(
    rf"[A-Za-z0-9]{_AT}{_HOST}(?:(?:\.|{_DOT}){_HOST}){{0,4}}(?:[.,]|{_DOT})(?i:{_COMMON_ENDINGS})(?![A-Za-z0-9])"
)
_SPOKEN: Final = re.compile(
    rf"(?<=[A-Za-z0-9])(?:\s{{1,3}}at(?:\s{{1,3}}{_HOST}\s{{1,3}}[\[({{<]?dot[\])}}>]?){{1,4}}\s{{1,3}}"
    r"|[_-]at(?:[_-][A-Za-z0-9]{1,63}[_-]dot){1,4}[_-])"
    rf"(?:{_COMMON_ENDINGS})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SPELT_AT: Final = re.compile(
    r"[\s\[({<*|~+#!_\-](?i:at|a|ät|@|arroba|arobase|chiocciola|at[ \-]?sign)[\s\])}>*|~+#!_\-]"
)
"""Every address with a spelt-out @ contains this. Without it the longer patterns are not tried."""
_STATED: Final = re.compile(
    rf"([a-z][a-z0-9._+\-]{{1,63}})\s{{1,3}}at\s{{1,3}}(?:[a-z0-9][a-z0-9\-]{{0,62}}\.){{1,4}}(?:{_COMMON_ENDINGS})"
)
"""`ada at example.com`, only as the whole text and in lower case."""
_NO_LOCAL: Final = words(
    "look looking meet learn learning see visit find shop read join work working life live study studying available"
    " sold hosted more only us me we here arrive lesson lessons course courses class classes start starts stay be is"
    " are now hiring jobs teaching training"
)
"""Words that precede `at` in a sentence."""
_COMMA: Final = re.compile(
    rf"[A-Za-z0-9]@{{1,2}}{_HOST}(?:\.{_HOST}){{0,3}}[,;](?:{_COMMON_ENDINGS})(?![A-Za-z0-9])", re.IGNORECASE
)


def has_email(text: str) -> bool:
    """Return whether the text contains an e-mail address."""
    if "=" in text:
        text = _QUOTED_DOT.sub(".", _QUOTED_PRINTABLE.sub("@", text))
    if "@" in text:
        if " " in text:
            text = _BESIDE_DOT.sub(r"\1.", _BESIDE_AT.sub(_closed_up, text))
        if "dot" in text.lower():
            text = _SPELT_DOT.sub(r"\1.", text)
        if _BRACKET.search(text):
            text = _DEFANGED.sub(r"\1", text)
        if _KEY_END.search(text) and _OPAQUE_KEY.search(text):
            text = _KEY_MARK.sub("/", text)
        if any(_is_address(text, found) for found in _DOMAIN.finditer(text)):
            return True
        if ("," in text or ";" in text) and _COMMA.search(text):
            return True
    return _SPELT_AT.search(text) is not None and (
        _SPELT.search(text) is not None or _is_spoken(text) or _is_stated(text)
    )


def _is_spoken(text: str) -> bool:
    end = -1
    for found in _SPOKEN.finditer(text):
        # an address is followed only by its own ending
        if found.start() != end and ending(text, found.start(), _ALPHANUMERIC, _LONGEST_LOCAL).lower() not in _NO_LOCAL:
            return True
        end = found.end()
    return False


def _is_stated(text: str) -> bool:
    stated = _STATED.fullmatch(text)
    return stated is not None and stated[1].lower() not in _NO_LOCAL


def _closed_up(found: re.Match[str]) -> str:
    # in `Meet @school.com` there is no address
    return found[0] if found[1] in _NO_LOCAL else f"{found[1] or ''}@"


def _is_address(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - _LONGEST_LOCAL) : found.start()]
    local = _NO_PART_OF_LOCAL.split(before)[-1]
    if _CALENDARS.match(text, found.start()) and _ITEM.fullmatch(local):
        return False
    if _QUOTED.search(before):
        return True
    if _VERSION.match(text, found.start()):
        return False
    # a package scope may follow a joined word, as in `lesson_@angular.io/core`
    is_local = local[-1:].isalnum() or (local[-1:] in _ENDS_OF_LOCAL and text[found.end() : found.end() + 1] != "/")
    return is_local and found[1].lower() not in _FILE_TYPES and _MADE_BY_MACHINES.fullmatch(local) is None
