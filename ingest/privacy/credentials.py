"""Finds secrets: tokens of known services, credentials in URLs, and values behind the name of a secret. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from typing import Final

from ingest.privacy.context import words

_ISSUED: Final = re.compile(
    r"""
    (?<![A-Za-z0-9])eyJ[\w-]{8,512}+\.[\w-]{8}                                              # a JSON Web Token
    | -----BEGIN\ [A-Z ]{0,40}(?:KEY|CERTIFICATE)
    | ://[^\s/:@]{0,128}:[^\s/@]{1,256}@                                     # a URL with credentials
    | (?<![A-Za-z0-9])(?:
        (?:gh[opsur]_|github_pat_|npm_|hf_|do[por]_v1_|shp(?:at|ss|ca|pa|tka)_|dckr_[po]at_|whsec_|gsk_|r8_|sbp_|glsa_
           |lin_api_|ntn_|sntry[su]_|rubygems_|pscale_tkn_|ph[cx]_|glc_|pul-|sgp_|nfp_|sb_secret_|duffel_live_|shippo_live_|pplx-|xai-|sq0(?:atp|csp)-|hv[sb]\.|dp\.pt\.|GOCSPX-|PMAK-|NRAK-|rnd_|figd_)
          (?=[a-z]{0,24}[A-Z0-9])(?![A-Z][a-z]{2,12}(?:[A-Z][a-z]{1,12}){1,8}\d{0,4}(?![A-Za-z0-9]))[A-Za-z0-9]{12}
        | [spr]k_(?:live|test|prod)_(?=[A-Za-z0-9]{0,9}[A-Z0-9])[A-Za-z0-9]{10}
        | pypi-(?=[a-z]{0,24}[A-Z0-9])(?!(?:[A-Z][a-z]{2,15}){2,8}\d{0,4}(?![A-Za-z0-9]))[A-Za-z0-9]{15}
        | sk-(?=[A-Za-z0-9]{0,24}[A-Z0-9])[A-Za-z0-9]{20}
        | sia_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}(?!\w)
        | A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}(?![A-Za-z0-9])
        | AIza[\w-]{35}
        | ya29\.[\w-]{20}
        | SG\.[\w-]{16,64}\.[\w-]{12}
        | EAA[A-Z][A-Za-z0-9]{20}
        | secret_(?=[a-z]{0,24}[A-Z0-9])[A-Za-z0-9]{32}
        | SK[0-9a-f]{32}(?![A-Za-z0-9])
        | (?:key-|dapi|xkeysib-)[0-9a-f]{32}
        | [0-9a-f]{32}-us\d{1,2}(?!\w)
        | ATATT3[A-Za-z0-9]{12}
        | (?:bot)?\d{8,10}:AA[\w-]{32}
        | AGE-SECRET-KEY-1[0-9A-Z]{20}
        | hooks\.slack\.com/(?:services|workflows|triggers)/\w+/\w+
        | discord(?:app)?\.com/api/webhooks/\d+/[\w-]{16}
      )
    """,
    re.VERBOSE,
)

_LOOSE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent)-|[sprk]k-(?:proj|ant|svcacct|admin|or|live|test)-|lap[_-](?:live|test|proj|ant)[_-]"
    r"|xox[abeprs]-|xapp-)([\w.-]{8,512})"
)
"""Prefixes behind which words with hyphens are as likely as a token."""

_SCHEME: Final = re.compile(r"(?i)(?<![A-Za-z0-9])(bearer|basic|token)\s{1,3}([\w.~+/-]{12,512}={0,2})")
_CREDENTIALS: Final = re.compile(rb"[^\s:]{1,128}:[\x20-\x7e]+")

_ASSIGNED: Final = re.compile(r"[\"']?\s{0,2}(=(?!=)|:)\s{0,2}[\"']?([^\s&;,\"']{6})")
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
    "secretkeybase",
    "authkey",
    "subscriptionkey",
    "signingkey",
    "encryptionkey",
    "aspxauth",
    "aspnetcorecookies",
    "wordpressloggedin",
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
_SHORT_NAMES: Final = frozenset(
    {"sid", "sig", "connectsid", "koasid", "sailssid", "ltik", "oauthverifier", "d2lsessionval"}
)
_NAMES_OF_MUCH: Final = words(
    "auth code authcode state ticket key hmac nonce otp assertion samlresponse samlrequest session"
)
"""Names that hold a secret only when their value looks like one."""
_NAMES_OF_WORDS: Final = words("pass passcode")
"""Names that hold no secret when their value is a word."""
_NAMES_IN_TITLES: Final = words("secret token credential credentials")
"""Names that titles of badges begin with, as in `Secret: PhD-Level`."""
_LEAST_IN_TITLE: Final = 8
_UNNAMED_SESSION: Final = "session"

_PUNCTUATION: Final = re.compile(r"[\W_]+")
_VERSION: Final = re.compile(r"v?\d+(?:\.[A-Za-z0-9]+)+")
_CONSONANTS: Final = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{5}")
_WORD: Final = re.compile(r"[^\W\d_]?[^\W\dA-Z_]*|(?:[A-Z][a-z]{2,15}){1,4}\d{0,4}|\d{1,4}")
"""Small letters behind any first one, words in camel case, or a short number."""
_LEAST_RANDOM: Final = 6
_LEAST_TOKEN: Final = 12


def has_secret(text: str) -> bool:
    """Return whether the text holds a secret that opens something."""
    return (
        _ISSUED.search(text) is not None
        or any(_is_token(found[1]) for found in _LOOSE.finditer(text))
        or any(_is_authorization(found) for found in _SCHEME.finditer(text))
        or any(_is_named_secret(text, found) for found in _ASSIGNED.finditer(text))
    )


def _is_token(text: str, least: int = _LEAST_RANDOM) -> bool:
    """Return whether a part of the text is neither a word nor a short number."""
    return any(len(part) >= least and not _WORD.fullmatch(part) for part in _PUNCTUATION.split(text))


def _has_long_token(text: str) -> bool:
    return _is_token(text, _LEAST_TOKEN)


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
    name_found = _NAME.search(text[max(0, found.start() - 40) : found.start()])
    if name_found is None:
        return False
    name = _PUNCTUATION.sub("", name_found[0]).lower()
    is_secret = name.endswith(_SECRET_NAMES) or name in _SHORT_NAMES
    value = _VALUE.match(text, found.start(2))
    if value is None:
        return False
    if found[1] == "=":
        if name in _NAMES_OF_MUCH:
            return _has_long_token(value[0])
        if name in _NAMES_OF_WORDS:
            return not _are_words(value[0])
        return is_secret or (name.endswith(_UNNAMED_SESSION) and name != _UNNAMED_SESSION)
    # behind a colon a title or a slug may follow
    is_words = _are_words(value[0]) or _VERSION.fullmatch(value[0]) is not None
    is_title = name in _NAMES_IN_TITLES and text[found.start(2) - 1] == " "
    return is_secret and not is_words and (not is_title or _is_token(value[0], _LEAST_IN_TITLE))


def _are_words(text: str) -> bool:
    """Return whether the text is words and short numbers, as in titles and slugs."""
    return all(_WORD.fullmatch(part) or (part.isupper() and part.isalpha()) for part in _PUNCTUATION.split(text))
