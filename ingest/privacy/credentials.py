"""Finds secrets: tokens of known services, credentials in URLs, and values behind the name of a secret. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from typing import Final

_ISSUED: Final = re.compile(
    r"""
    eyJ[\w-]{8,}\.[\w-]{8,}                                              # a JSON Web Token
    | -----BEGIN\ [A-Z ]{0,40}(?:KEY|CERTIFICATE)
    | ://[^\s/:@]{0,128}:[^\s/@]{1,256}@                                     # a URL with credentials
    | (?<![A-Za-z0-9])(?:
        (?:gh[opsur]_|github_pat_|npm_|hf_|do[por]_v1_|shp(?:at|ss|ca|pa|tka)_|dckr_[po]at_|whsec_|gsk_|r8_|sbp_|glsa_
           |lin_api_|ntn_|sntrys_|pplx-|xai-|sq0(?:atp|csp)-|hv[sb]\.|dp\.pt\.|GOCSPX-|PMAK-|NRAK-|rnd_|figd_)
          (?=[A-Za-z0-9]{0,24}[A-Z0-9])[A-Za-z0-9]{12}
        | [spr]k_(?:live|test|prod)_(?=[A-Za-z0-9]{0,9}[A-Z0-9])[A-Za-z0-9]{10}
        | sk-(?=[A-Za-z0-9]{0,24}[A-Z0-9])[A-Za-z0-9]{20}
        | sia_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}(?!\w)
        | A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}(?![A-Za-z0-9])
        | AIza[\w-]{35}
        | ya29\.[\w-]{20}
        | SG\.[\w-]{16,64}\.[\w-]{16}
        | SK[0-9a-f]{32}(?![A-Za-z0-9])
        | (?:key-|dapi|xkeysib-)[0-9a-f]{32}
        | [0-9a-f]{32}-us\d{1,2}(?!\w)
        | \d{8,10}:AA[\w-]{33}
        | AGE-SECRET-KEY-1[0-9A-Z]{20}
        | hooks\.slack\.com/(?:services|workflows|triggers)/\w+/\w+
        | discord(?:app)?\.com/api/webhooks/\d+/[\w-]{16}
      )
    """,
    re.VERBOSE,
)

_LOOSE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent)-|[sprk]k-(?:proj|ant|svcacct|admin|or|live|test)-|lap[_-]"
    r"|xox[abeoprs]-|xapp-|pypi-)([\w.-]{10,512})"
)
"""Prefixes behind which words with hyphens are as likely as a token."""

_SCHEME: Final = re.compile(r"(?i)(?<![A-Za-z0-9])(?:(bearer)|basic)\s{1,3}([\w.~+/-]{12,512}={0,2})")
_CREDENTIALS: Final = re.compile(rb"[^\s:]{1,128}:[\x20-\x7e]+")

_ASSIGNED: Final = re.compile(r"[\"']?\s{0,2}([=:])\s{0,2}[\"']?([^\s&;,\"']{6})")
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-\[\]]{1,40}$")
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
"""How the names of secrets end, in lower case without punctuation."""
_SHORT_NAMES: Final = frozenset({"sid", "sig", "connectsid", "auth", "pass", "passcode"})
_UNNAMED_SESSION: Final = "session"

_PUNCTUATION: Final = re.compile(r"[\W_]+")
_CONSONANTS: Final = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{5}")
_LONGEST_NUMBER: Final = 4
_LEAST_RANDOM: Final = 6


def has_secret(text: str) -> bool:
    """Return whether the text holds a secret that opens something."""
    return (
        _ISSUED.search(text) is not None
        or any(_is_token(found[1]) for found in _LOOSE.finditer(text))
        or any(_is_authorization(found) for found in _SCHEME.finditer(text))
        or any(_is_named_secret(text, found) for found in _ASSIGNED.finditer(text))
    )


def _is_token(text: str) -> bool:
    return any(len(part) >= _LEAST_RANDOM and not _is_word(part) for part in _PUNCTUATION.split(text))


def _is_authorization(found: re.Match[str]) -> bool:
    is_bearer, token = found[1] is not None, found[2]
    if is_bearer:
        return not _are_words(token) or _CONSONANTS.search(token) is not None
    try:
        return _CREDENTIALS.fullmatch(b64decode(token + "=" * (-len(token) % 4), validate=True)) is not None
    except (Error, ValueError):
        return False


def _is_named_secret(text: str, found: re.Match[str]) -> bool:
    name_found = _NAME.search(text[max(0, found.start() - 40) : found.start()])
    if name_found is None:
        return False
    name = _PUNCTUATION.sub("", name_found[0]).lower()
    is_secret = name.endswith(_SECRET_NAMES) or name in _SHORT_NAMES
    if found[1] == "=":
        return is_secret or (name.endswith(_UNNAMED_SESSION) and name != _UNNAMED_SESSION)
    value = _VALUE.match(text, found.start(2))
    # behind a colon a title or a slug may follow
    return is_secret and value is not None and not _are_words(value[0])


def _are_words(text: str) -> bool:
    """Return whether the text is words and short numbers, as in titles and slugs."""
    return all(map(_is_word, filter(None, _PUNCTUATION.split(text))))


def _is_word(part: str) -> bool:
    if part.isdigit():
        return len(part) <= _LONGEST_NUMBER
    return part.isalpha() and part[1:] == part[1:].lower()
