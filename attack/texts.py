"""Texts that resemble personal data but are not. Seeded, pure."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import Final
from urllib.parse import quote

_LONGEST: Final = 600

Maker = Callable[[Random], str]


def phone_like(rng: Random) -> str:
    """Return groups of digits between the separators of phone numbers."""
    separators = (" ", "-", ".", "/", "(", ")", "+", " +", "00", "\u00a0", "\u2011")
    return _many(rng, lambda: rng.choice(separators) + _digits(rng, rng.randint(1, 5)))


def card_like(rng: Random) -> str:
    """Return runs of digits around the length of card numbers."""
    separator = rng.choice(("", " ", "-", "\u2009"))
    return _many(rng, lambda: separator.join(_digits(rng, 4) for _ in range(rng.randint(3, 5))) + rng.choice(" ,;x"))


def iban_like(rng: Random) -> str:
    """Return country codes with digits and letters around the length of bank accounts."""
    countries = ("DE", "GB", "FR", "NL", "de", "XX")
    return _many(rng, lambda: rng.choice(countries) + _digits(rng, rng.randint(2, 30)) + rng.choice(("", " ", "A")))


def base64_like(rng: Random) -> str:
    """Return base64 of one of the other texts, one to four times, cut anywhere."""
    content = rng.choice((phone_like, email_like, card_like))(rng).encode()[:200]
    for _ in range(rng.randint(1, 4)):
        content = base64.b64encode(content)
    text = content.decode()
    return _many(rng, lambda: text[rng.randint(0, 5) : rng.randint(20, 200)] + rng.choice(("", "=", ".", " ")))


def percent_encoded(rng: Random) -> str:
    """Return percent-encoding of one of the other texts, several times or malformed."""
    text = rng.choice((phone_like, email_like))(rng)[:40]
    for _ in range(rng.randint(1, 4)):
        text = quote(text, safe="")
    return _many(rng, lambda: text[: rng.randint(1, 200)] + rng.choice(("%", "%%", "%2", "%25", "")))


def email_like(rng: Random) -> str:
    """Return at signs, dots and letters in the wrong order."""
    pieces = ("a@", "@", "a.", ".a", "@a.", "-", "a@a", "(at)", " at ", " dot ", "\uff20", "x" * 20)
    return _many(rng, lambda: rng.choice(pieces))


def address_like(rng: Random) -> str:
    """Return a text that resembles an IP address."""
    pieces = ("1.", "255.", ":", "::", "fe80:", "0x7f.", "1.1.1.", "%eth0", "/64", "ffff:")
    return _many(rng, lambda: rng.choice(pieces))


def secret_like(rng: Random) -> str:
    """Return the beginnings of tokens and keys."""
    pieces = ("eyJ", "sk_live_", "ghp_", "AKIA", "Bearer ", "-----BEGIN ", "password=", "xoxb-", "a" * 32, ".")
    return _many(rng, lambda: rng.choice(pieces))


def route_like(rng: Random) -> str:
    """Return a path of many segments."""
    pieces = ("/", "//", "/a", "/{id}", "/123", "/..", "/%2f", "?a=", "&", ";v=", "/anna@", "/" + "f" * 32, "-", "_")
    return _many(rng, lambda: rng.choice(pieces))


def odd_characters(rng: Random) -> str:
    """Return characters that are invisible, combining, change the direction, or are unassigned."""
    pieces = (
        "\x00",
        "\x1b[2J",
        "\x9b",
        "\u202e",
        "\u200d",
        "\u0301",
        "\ud800",
        "\udfff",
        "\ufeff",
        "\U0001f468",
        "é",
        "ﷺ",
    )
    return _many(rng, lambda: rng.choice(pieces) * rng.choice((1, 1, 1, 40)))


def digits_of_the_world(rng: Random) -> str:
    """Return numbers in the digits of several scripts."""
    zeros = (0x30, 0x660, 0x966, 0xFF10, 0x1D7CE)
    return _many(rng, lambda: "".join(chr(rng.choice(zeros) + rng.randint(0, 9)) for _ in range(8)) + rng.choice(" -"))


MAKERS: Final[tuple[Maker, ...]] = (
    phone_like,
    card_like,
    iban_like,
    base64_like,
    percent_encoded,
    email_like,
    address_like,
    secret_like,
    route_like,
    odd_characters,
    digits_of_the_world,
)


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _many(rng: Random, piece: Callable[[], str]) -> str:
    text = ""
    wanted = rng.choice((20, 100, 200, _LONGEST))
    while len(text) < wanted:
        text += piece()
    return text
