"""What an issued API key looks like: `sia_`, its id, `_`, 190 random bits, a checksum.

The prefix lets scanners find keys that leaked, the id lets people name one, and the checksum tells a mistyped or
invented key without asking anybody. The form follows GitHub's tokens ("Behind GitHub's new authentication token
formats", 2021).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_letters
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 32
_CHECKSUM_LENGTH: Final = 6
_FORM: Final = re.compile(
    rf"sia_([0-9A-Za-z]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}}([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


def mint() -> str:
    """Return a new key."""
    body = f"sia_{_random(_ID_LENGTH)}_{_random(_SECRET_LENGTH)}"
    return body + _checksum(body)


def key_id(presented: str) -> str | None:
    """Return the id in a key of this form, None when it is not one or its checksum is wrong."""
    form = _FORM.fullmatch(presented)
    if form is None or _checksum(presented[:-_CHECKSUM_LENGTH]) != form[2]:
        return None
    return form[1]


def is_id(text: str) -> bool:
    """Whether the text has the form of a key's id."""
    return len(text) == _ID_LENGTH and text.isascii() and text.isalnum()


def digest(key: str, hash_secret: bytes) -> bytes:
    """Return what is stored of a key: HMAC-SHA-256, so that a stolen table opens nothing and cannot be added to."""
    return hmac.digest(hash_secret, key.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    """CRC-32 in base 62, as GitHub's tokens have it: against typing errors, not against attackers."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
