"""Distinguishes the fixed words of a route from the ids in a path. Pure.

A word may contain a number (`oauth2`, `i18n`, `sha256`, `v1beta1`). An id is recognized by its digits: a separate
number, three or more digits in a row, or several numbers between letters. An ambiguous segment counts as an id: an
unnecessary placeholder does less harm than a stored id of a learner.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_WORD: Final = 32
_LONGEST_QUALIFIED_NAME: Final = 128

_DIGIT: Final = re.compile(r"\d")
_PART: Final = re.compile(r"[^\W_]+")

_QUALIFIED_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""A qualified name, such as that of a gRPC service."""

_VERSION: Final = re.compile(
    r"(?:v|lti)\d{1,3}(?:[.p]\d{1,3}){0,2}(?:[-.]?(?:p\d{1,2})?(?:alpha|beta|rc|preview)\d{0,2})?|v(?:19|20)\d\d-\d\d(?:-\d\d)?",
    re.IGNORECASE,
)
_BARE_VERSION: Final = re.compile(r"\d|\d{1,2}(?:\.\d{1,3}){1,2}|(?:19|20)\d\d-\d\d(?:-\d\d)?")
"""A version only after a segment such as `api`."""
_API: Final = frozenset({"api", "apis", "rest"})

_DOTTED_VERSION: Final = re.compile(r"\d{1,2}(?:\.\d{1,3}){1,2}")
"""A version only after a protocol: elsewhere it may be a section number."""
_PROTOCOLS: Final = frozenset(
    {"lti", "ltiadvantage", "oauth", "openid", "oidc", "saml", "scorm", "xapi", "tincan", "qti", "cmi5", "caliper"}
    | {"soap", "odata", "fhir", "hl7", "scim", "wms", "wfs", "rss", "http", "tls", "openapi", "swagger", "graphql"}
)

VERSIONED: Final = _API | _PROTOCOLS
"""Segments after which a bare number may be a version."""

_WORD_WITH_NUMBER: Final = re.compile(r"[A-Za-z]+\d{1,2}")
_CAMEL_CASE: Final = re.compile(r"[A-Z]{0,5}[a-z]+(?:[A-Z][a-z]+)*\d{1,2}(?:[A-Z][a-z]{2,})+")
"""`GetOauth2Token`."""
_NUMERONYM: Final = re.compile(r"[a-z]\d{1,2}[a-z]|[A-Z]\d{1,2}[A-Z]")
_ORDINAL: Final = re.compile(r"\d?1st|\d?2nd|\d?3rd|\d{1,2}th", re.IGNORECASE)
_STANDARD: Final = re.compile(
    r"(?:sha|hs|rs|es|ps|aes|hmac)(?:128|192|224|256|384|512)|rsa(?:1024|2048|3072|4096)|p(?:256|384|521)"
    r"|x(?:264|265|400|500|509|25519)|ed25519|secp256[kr]1|h(?:26[1-6]|32\d)|av1|rfc\d{3,4}|iso\d{3,5}|ieee\d{3,4}"
    r"|cp\d{3,4}|ecma\d{3}|es20[12]\d|(?:office|m|d|o)365|scorm2004|iso88591",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"[1-5]xx|argon2(?:id|i|d|ds)|blake2(?:b|s|bp|sp|xb|xs)|oauth1a|oauth10a|p2s?h|p2wsh|web3js|md[45]sum|sha\d{1,3}sum"
    r"|(?:2160|1440|1080|720|480|360|240)[pi]|(?:8|16|24|32|64|128|256)bits?|24[x/]7|\d{1,2}x\d{1,2}|\d(?:on|to)\d|i18next"
    r"|\d{1,3}(?:min|sec|hrs?|hours?|days?|weeks?|months?|years?|px|fps)|3gpp?2?|500px|9gag|1password|7digital|23andme|2captcha"
    r"|hl7v[23]|id3v[12]|mpeg[124]ts|koi8[ru]|gb2312|gb18030|windows125\d|utf(?:16|32)[bl]e|iban2?|e164|g7(?:11|22|26|28|29)"
    r"|i[3-6]86|avx512|ripemd(?:128|160|256|320)|aes(?:128|192|256)(?:gcm|cbc|ctr|ecb)|x?chacha20(?:poly1305)?|poly1305|ed448|x448"
    r"|curve(?:25519|448)|mp2t|ac3|bz2|sql2o|d3v\d|o2o|m2m|802\.1[1x]?|11ax"
    r"|[23]fa|[1-4]d|[48]k|[2-6]g|3ds|2step|(?:2|12)factor|7z(?:ip)?|b2b2c|l2cap|a2dp|r2dbc|i386|rs(?:232|485)|jpeg2000"
    r"|mp4a|m3u8|utf(?:8|16|32)|base64|utf8mb4|neo4j|(?:log|slf)4j|web2py|gpt\d?4o|[dp]\d?js|covid19|(?:word|node|wav)2vec2?|peer2peer"
    r"|(?:html|csv|json|xml|pdf|text|txt|speech|image|md)2(?:html|csv|json|xml|pdf|text|txt|speech|image|md)",
    re.IGNORECASE,
)
"""Words that no rule below covers."""

_LED: Final = re.compile(
    r"(?:oauth\d|openid\d|saml\d|https?\d|html\d|css\d|web\d|ipv[46]|mp[34]|ec2|s3|log4)[a-z]{2,12}", re.IGNORECASE
)
"""`oauth2callback`: the name of a technology and a word."""

_KIND_OF_THING: Final = re.compile(
    r"(?:user|usr|uid|id|student|pupil|learner|teacher|member|customer|client|account|acct|person|profile|org|tenant"
    r"|school|class|classroom|team|group|course|lesson|module|unit|chapter|section|topic|material|quiz|exam|question"
    r"|answer|assignment|submission|attempt|session|item|order|invoice|product|sku|post|comment|thread|ticket|task"
    r"|issue|project|doc|document|file|image|img|photo|video|upload|badge|room|event|job|run|build|device|row"
    r"|guest|anon|visitor|object|entity|record|entry|resource|asset|block|page|test)\d+",
    re.IGNORECASE,
)
"""Nouns of courses and the like: `course42` is an id."""

_HEX: Final = re.compile(r"(?=.*\d)[0-9a-f]{6,}|(?=.*\d)[0-9A-F]{6,}")
_HEX_LETTERS: Final = re.compile(r"(?<![A-Za-z])(?:[a-f]{12}|[A-F]{12})")
"""No word consists only of these letters."""
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.+\-][@|][A-Za-z0-9]|^[@~](?!me$)[A-Za-z]")
"""`ada@school`, `auth0|ada`, `@ada` and `~ada` are accounts."""
_HUMP: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_VOWEL: Final = re.compile(r"[aeiouy]", re.IGNORECASE)
_NO_LETTERS: Final = re.compile(r"[^A-Za-z]+")
_UNSPEAKABLE: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{7}")
_SHORTEST_RANDOM: Final = 7
_MAX_ODD_HUMPS: Final = 2


def is_word(segment: str, before: str = "") -> bool:
    """Return whether a decoded path segment is part of the route, and not an id.

    `before` is the segment before it, if that is in VERSIONED. A bare number after it may be a version.
    """
    if len(segment) > LONGEST_WORD and not (
        len(segment) <= _LONGEST_QUALIFIED_NAME and _QUALIFIED_NAME.fullmatch(segment)
    ):
        return False
    if segment.isdecimal():
        # most ids are a number, and most of them are new
        return before in _API and _BARE_VERSION.fullmatch(segment) is not None
    if _is_random(segment) or _ACCOUNT.search(segment) or _HEX_LETTERS.search(segment):
        return False
    if not _DIGIT.search(segment):
        return True
    if _VERSION.fullmatch(segment) or _is_version(segment, before):
        return True
    joined = segment.replace("-", "")
    if _NAMES.fullmatch(joined) or _STANDARD.fullmatch(joined):
        return True
    return all(_is_word_part(part) for part in _PART.findall(segment))


def _is_version(segment: str, before: str) -> bool:
    if before in _API:
        return _BARE_VERSION.fullmatch(segment) is not None
    return before in _PROTOCOLS and _DOTTED_VERSION.fullmatch(segment) is not None


def _is_word_part(part: str) -> bool:
    if not _DIGIT.search(part) or _NAMES.fullmatch(part) or _STANDARD.fullmatch(part):
        return True
    if _KIND_OF_THING.fullmatch(part) or _HEX.fullmatch(part):
        return False
    return any(form.fullmatch(part) for form in (_WORD_WITH_NUMBER, _VERSION, _NUMERONYM, _ORDINAL, _LED, _CAMEL_CASE))


def _is_random(segment: str) -> bool:
    """Return whether the letters look random: words have vowels, and camel-case names have few short parts."""
    if len(segment) < _SHORTEST_RANDOM:
        return False
    if _UNSPEAKABLE.search(segment):
        return True
    if segment.islower() or segment.isupper():
        return False
    letters = _NO_LETTERS.sub("", segment)
    if len(letters) < _SHORTEST_RANDOM:
        return False
    odd = sum(len(hump) <= 2 or not _VOWEL.search(hump) for hump in _HUMP.findall(letters))
    return odd > _MAX_ODD_HUMPS
