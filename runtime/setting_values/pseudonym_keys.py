"""ANALYTICS_PSEUDONYM_KEYS: `2:<hex>,1:<hex>`, keys of at least 32 bytes by version. The highest is current."""

from __future__ import annotations

import re
import secrets
from typing import Final

from runtime.errors import ConfigurationError

_KEY: Final = re.compile(r"(\d{1,9}):((?:[0-9a-fA-F]{2}){32,})")
_BYTES: Final = 32


def parse_keys(text: str) -> dict[int, bytes]:
    """Return the keys by version. Raises ConfigurationError, which repeats no key."""
    keys: dict[int, bytes] = {}
    for part in text.split(","):
        match = _KEY.fullmatch(part.strip())
        if match is None:
            raise ConfigurationError(
                "ANALYTICS_PSEUDONYM_KEYS must be version:hex with at least 32 bytes of hex each, comma separated"
            )
        if int(match[1]) in keys:
            raise ConfigurationError(f"ANALYTICS_PSEUDONYM_KEYS has version {int(match[1])} twice")
        keys[int(match[1])] = bytes.fromhex(match[2])
    return keys


def with_new_key(text: str) -> str:
    """Return the text with a new key of the next version in front. Raises ConfigurationError."""
    version = max(parse_keys(text)) + 1
    return f"{version}:{secrets.token_hex(_BYTES)},{text}"
