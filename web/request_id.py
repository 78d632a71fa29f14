"""The id of a request: the value of X-Request-Id if it has the format of an id, else a new one.

The id is logged and returned. Free text is not accepted: it could hold a name, a card number or a secret.
"""

from __future__ import annotations

import random
import re
from typing import Final

_ID: Final = re.compile(
    r"(?=.*[A-Fa-f])[0-9A-Fa-f]{16,31}"
    r"|[0-9A-Fa-f]{32,64}"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"
    r"|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{32}-[0-9A-Fa-f]{16}-[0-9A-Fa-f]{2}"
)
"""16 to 64 hex digits, a UUID, a ULID, or a `traceparent`. Fewer than 32 decimal digits may be a card number."""


def request_id_of(given: str | None) -> str:
    """Return the value of X-Request-Id if it is an id, else a new id."""
    return given if given is not None and _ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """Return a random id of 16 hex digits."""
    # not a secret; the kernel's random numbers would cost as much as hashing the API key
    return f"{random.getrandbits(64):016x}"
