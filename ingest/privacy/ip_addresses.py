"""Finds IP addresses, and distinguishes them from versions and section numbers. Pure."""

from __future__ import annotations

import re
from typing import Final

from ingest.privacy.context import AFTER, BEFORE, words, words_before
from ingest.privacy.number_forms import NumberForm, NumberForms
from ingest.privacy.validators import is_valid

_IPV4: Final = re.compile(rf"{BEFORE}(?<!\d\.)(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?!\.\d){AFTER}")
_FORMS: Final = NumberForms([NumberForm("ipv4", _IPV4, range(1, 4))])
_IPV6: Final = re.compile(
    r"[0-9A-Fa-f](?<![A-Za-z0-9.].)[0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![A-Za-z0-9:])"
)
_NETWORK_PART: Final = re.compile(r":\d{2,5}(?!\d)|/(?:[89]|[12]\d|3[0-2])(?!\d)")
"""A port, or the prefix length of a network."""
_IN_URL: Final = re.compile(r"://(?:[^\s/@]{0,256}@)?$")
_PRIVATE: Final = re.compile(r"192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.")
_GLOBAL_IPV6: Final = re.compile(r"(?i)[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:")
_MIN_GROUPS: Final = 3
_DOTS: Final = 3
_MIN_COLONS: Final = 2
_SMALL: Final = 32
"""Parts of versions and section numbers are mostly below this."""

_ADDRESS_WORDS: Final = words(
    "ip ipv ipaddr ipaddress addr address host hostname from user session visitor learner student dns ping"
)
_JOINED_WORD: Final = re.compile(r"(?i)(?<![A-Za-z])ip(?=\d)")
_PROGRAMS: Final = words("client server remote peer src")
"""Behind a blank, a version may follow these words; behind another separator, an address follows."""
_NUMBER_WORDS: Final = words(
    "v ver version ec oid § sec section chapter theorem lemma corollary proposition definition figure"
    " table equation appendix build release rev firmware driver sdk api view kapitel satz abschnitt"
    " teorema sezione capitolo"
)


def has_ip_address(text: str) -> bool:
    """Return whether the text contains the address of a host, other than a loopback address."""
    text = _JOINED_WORD.sub("ip ", text) if "p" in text.lower() else text
    if text.count(".") >= _DOTS and any(_is_host(text, found) for _, found in _FORMS.matches(text)):
        return True
    return text.count(":") >= _MIN_COLONS and any(_is_ipv6(found[0]) for found in _IPV6.finditer(text))


def _is_ipv6(address: str) -> bool:
    return (
        _GLOBAL_IPV6.match(address) is not None
        and sum(map(bool, address.split(":"))) >= _MIN_GROUPS
        and is_valid("ip_address", address)
    )


def _is_host(text: str, found: re.Match[str]) -> bool:
    parts = [int(part) for part in found[0].split(".")]
    # loopback, unspecified and broadcast addresses and network masks identify nobody
    if parts[0] in (0, 127, 255) or not is_valid("ip_address", found[0]):
        return False
    if _IN_URL.search(text, 0, found.start()):
        return True
    before = words_before(text, found.start())
    if before & _ADDRESS_WORDS or (before & _PROGRAMS and not text[found.start() - 1].isspace()):
        return True
    if before & _NUMBER_WORDS:
        return False
    if _NETWORK_PART.match(text, found.end()) or _PRIVATE.match(found[0]):
        return True
    large = [part >= _SMALL for part in parts]
    # versions end in zero and begin with a small number; few addresses do
    return parts[3] != 0 and ((large[0] and any(large[1:])) or all(large[1:]))
