"""Format of issued API keys: `sia_`, the id, `_`, 190 random bits, a checksum.

The prefix lets scanners find leaked keys. The id names a key. The checksum detects a mistyped key without a look-up.
The format follows GitHub's tokens ("Behind GitHub's new authentication token
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
    """Return the id of a key; None for another format or a wrong checksum."""
    form = _FORM.fullmatch(presented)
    if form is None or _checksum(presented[:-_CHECKSUM_LENGTH]) != form[2]:
        return None
    return form[1]


def is_id(text: str) -> bool:
    """Whether the text has the format of a key id."""
    return len(text) == _ID_LENGTH and text.isascii() and text.isalnum()


def digest(key: str, hash_secret: bytes) -> bytes:
    """Return the HMAC-SHA-256 that is stored for a key. A stolen or altered table gives no access."""
    return hmac.digest(hash_secret, key.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    """Return the CRC-32 in base 62, as in GitHub's tokens. It detects typing errors, not attacks."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
