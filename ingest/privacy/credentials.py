"""Finds secrets: tokens of known services, credentials in URLs, and values after the name of a secret. Pure."""

from __future__ import annotations

import re
import string
from base64 import b64decode
from binascii import Error
from typing import Final

from ingest.privacy.context import ending, words
from ingest.privacy.issued_tokens import has_issued_token
from ingest.work import WORK

_SCHEME: Final = re.compile(r"(?i)(?<![A-Za-z0-9])(bearer|basic|token)\s{1,3}([\w.~+/-]{12,512}={0,2})")
_CREDENTIALS: Final = re.compile(rb"[^\s:]{1,128}:[\x20-\x7e]+")

_NAMED_BY_HASH: Final = re.compile(r"(?i)(?:wordpress_(?:logged_in|sec)_|(?<![a-z0-9])s?sess)[0-9a-f]{3,64}=[^\s;]")
"""Cookies of WordPress and Drupal, whose names end in a hash."""

_ASSIGNED: Final = re.compile(r"(=(?!=)|:)\s{0,2}[\"']?([^\s&;,\"']{6})")
_UNITS_OF_A_NAME: Final = 5
_CHARACTERS_OF_A_UNIT: Final = 8
_OF_NAMES: Final = string.ascii_letters + string.digits + "_.-[]"
_LONGEST_NAME: Final = 40
_VALUE: Final = re.compile(r"[^\s&;,\"']{1,512}")
_SECRET_NAMES: Final = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "secretkeybase",
    "authkey",
    "subscriptionkey",
    "signingkey",
    "encryptionkey",
    "aspxauth",
    "aspnetcorecookies",
    "privatekey",
    "accountkey",
    "signature",
    "sessionid",
    "sessid",
    "sesskey",
    "csrf",
    "xsrf",
    "jwt",
    "authorization",
    "credential",
    "credentials",
)
"""Endings of the names of secrets, in lower case without punctuation."""
_SHORT_NAMES: Final = frozenset(
    {"sid", "sig", "connectsid", "koasid", "sailssid", "ltik", "oauthverifier", "d2lsessionval"}
)
_NAMES_OF_MUCH: Final = words(
    "auth code authcode state ticket key hmac nonce otp assertion samlresponse samlrequest session"
)
"""Names that denote a secret only if the value looks like one."""
_NAMES_OF_WORDS: Final = words("pass passcode")
"""Names that denote no secret if the value is a word."""
_NAMES_IN_TITLES: Final = words("secret token credential credentials")
"""Names with which titles of badges begin, as in `Secret: PhD-Level`."""
_MIN_IN_TITLE: Final = 8
_UNNAMED_SESSION: Final = "session"

_PUNCTUATION: Final = re.compile(r"[\W_]+")
_VERSION: Final = re.compile(r"v?\d+(?:\.[A-Za-z0-9]+)+")
_CONSONANTS: Final = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{5}")
_WORD: Final = re.compile(r"[^\W\d_]?[^\W\dA-Z_]*|(?:[A-Z][a-z]{1,15}){1,4}\d{0,4}|\d{1,4}")
"""A lower-case word with any first letter, a camel-case word, or a short number."""
_MIN_RANDOM: Final = 6
_MIN_TOKEN: Final = 12


def has_secret(text: str) -> bool:
    """Return whether the text contains a secret that grants access."""
    return (
        has_issued_token(text)
        or ("=" in text and _NAMED_BY_HASH.search(text) is not None)
        or (len(text.split(None, 1)) > 1 and any(map(_is_authorization, _SCHEME.finditer(text))))
        or any(_is_named_secret(text, found) for found in _ASSIGNED.finditer(text))
    )


def _is_token(text: str, least: int = _MIN_RANDOM) -> bool:
    """Return whether some part of the text is neither a word nor a short number."""
    return any(len(part) >= least and not _WORD.fullmatch(part) for part in _PUNCTUATION.split(text))


def _has_long_token(text: str) -> bool:
    return _is_token(text, _MIN_TOKEN)


def _is_authorization(found: re.Match[str]) -> bool:
    scheme, token = found[1].lower(), found[2]
    if scheme == "token":
        return _has_long_token(token)
    if scheme == "bearer":
        return _is_token(token) or _CONSONANTS.search(token) is not None
    try:
        return _CREDENTIALS.fullmatch(b64decode(token + "=" * (-len(token) % 4), validate=True)) is not None
    except (Error, ValueError):
        return False


def _is_named_secret(text: str, found: re.Match[str]) -> bool:
    WORK.units += _UNITS_OF_A_NAME
    name = _name_before(text, found.start())
    if not name:
        return False
    name = _PUNCTUATION.sub("", name).lower()
    is_secret = name.endswith(_SECRET_NAMES) or name in _SHORT_NAMES
    value = _VALUE.match(text, found.start(2)) if is_secret or found[1] == "=" else None
    if value is None:
        return False
    WORK.units += len(value[0]) // _CHARACTERS_OF_A_UNIT
    if found[1] == "=":
        if name in _NAMES_OF_MUCH:
            return _has_long_token(value[0])
        if name in _NAMES_OF_WORDS:
            return not _are_words(value[0])
        return is_secret or (name.endswith(_UNNAMED_SESSION) and name != _UNNAMED_SESSION)
    # after a colon there may be a title or a slug
    is_words = _are_words(value[0]) or _VERSION.fullmatch(value[0]) is not None
    is_title = name in _NAMES_IN_TITLES and text[found.start(2) - 1] == " "
    return is_secret and not is_words and (not is_title or _is_token(value[0], _MIN_IN_TITLE))


def _name_before(text: str, end: int) -> str:
    """Return the name before a separator. Up to two blanks, a quote and a line end may be between them."""
    for _ in range(2):
        end -= text[max(0, end - 1) : end].isspace()
    end -= text.endswith(("'", '"'), 0, end)
    end -= text.endswith("\n", 0, end)
    return ending(text, end, _OF_NAMES, _LONGEST_NAME)


def _are_words(text: str) -> bool:
    """Return whether the text consists of words and short numbers, as titles and slugs do."""
    return all(_WORD.fullmatch(part) or (part.isupper() and part.isalpha()) for part in _PUNCTUATION.split(text))
