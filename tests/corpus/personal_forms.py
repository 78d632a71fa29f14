"""Generates personal data of each kind in the forms that people and systems write. All of it is invented."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from random import Random
from typing import Final
from urllib.parse import quote

import phonenumbers
from stdnum import luhn
from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.iso7064 import mod_97_10
from stdnum.it import codicefiscale
from stdnum.verhoeff import calc_check_digit


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NAMES: Final = _listed("ada grace alan emmy maria omar sofia wei lise niels rosa ivan aiko jose chloe lars nina paolo")
_HOSTS: Final = _listed("example.com school.example.edu mail.example.org uni-bologna.it example.co.uk bücher.example")
_LABELS: Final = ("user", "session", "lesson", "quiz", "order", "attempt", "submission", "profile")
_ALPHANUMERIC: Final = string.ascii_letters + string.digits


def joined(rng: Random, text: str) -> str:
    """Return the text alone, or next to or joined to a word, as an id may contain it."""
    label = rng.choice(_LABELS)
    return rng.choice(
        (text, text, f"{label} {text}", f"{label}_{text}", f"{label}-{text}", f"{label}:{text}", f"{text}_{label}")
    )


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def email(rng: Random) -> str:
    """Return an e-mail address, perhaps disguised."""
    local = rng.choice(
        (rng.choice(_NAMES), f"{rng.choice(_NAMES)}.{rng.choice(_NAMES)}", f"{rng.choice(_NAMES)}{rng.randint(1, 99)}")
    )
    plain_host = rng.choice(_HOSTS[:5])
    plain = f"{local}@{rng.choice(_HOSTS)}"
    spelt = plain_host.replace(".", "[dot]")
    once = quote(plain, safe="")
    return rng.choice(
        (
            *[joined(rng, plain)] * 5,
            plain.upper(),
            f"mailto:{plain}",
            once,
            quote(once, safe=""),
            quote(quote(once, safe=""), safe=""),
            plain.replace("@", "&commat;"),
            plain.replace("@", "&#64;"),
            f"{local}[at]{spelt}",
            f"{local}(at){plain_host}",
            f"{local} AT {plain_host}",
            f"{local}__AT__{plain_host}",
            f"{local} at {plain_host.replace('.', ' dot ')}",
            f"{local}@@{plain_host}",
            f"{local}@example,com",
            "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isalnum() else one for one in plain),
        )
    )


_PHONE_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "US": (
        "({0}) {1}-{2}",
        "({0}){1}-{2}",
        "{0}-{1}-{2}",
        "{0}.{1}.{2}",
        "{0} {1} {2}",
        "1-{0}-{1}-{2}",
        "1.{0}.{1}.{2}",
        "{0}/{1}/{2}",
    ),
    "GB": ("{national}", "{national}", "({first}) {rest}", "{dashed}", "{dotted}"),
    "IT": ("{national}", "{dashed}", "{dotted}", "{slashed}"),
    "DE": ("{national}", "{dashed}", "{slashed}", "({first}) {rest}"),
    "FR": ("{national}", "{dashed}", "{dotted}", "{slashed}"),
    "ES": ("{national}", "{dashed}", "{dotted}"),
}


def phone(rng: Random) -> str:
    """Return a valid phone number of one of the regions, in a usual form."""
    region = rng.choice(list(_PHONE_FORMS))
    example = phonenumbers.example_number_for_type(
        region, rng.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
    )
    assert example is not None
    number = example
    for _ in range(200):
        changed = str(example.national_number)
        changed = changed[:-5] + _digits(rng, 5)
        candidate = phonenumbers.PhoneNumber(
            example.country_code, int(changed), italian_leading_zero=example.italian_leading_zero
        )
        if phonenumbers.is_valid_number(candidate):
            number = candidate
            break
    international = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    if rng.random() < 0.35:
        return joined(
            rng,
            rng.choice(
                (
                    international,
                    international.replace(" ", "-"),
                    international.replace(" ", ""),
                    international.replace("+", "00"),
                    f"tel:{international.replace(' ', '')}",
                )
            ),
        )
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    groups = national.replace("(", "").replace(")", "").replace("-", " ").split()
    if len(groups) == 1:
        groups = [groups[0][:3], groups[0][3:6], groups[0][6:]]
    return joined(
        rng,
        rng.choice(_PHONE_FORMS[region]).format(
            *groups,
            national=" ".join(groups),
            dashed="-".join(groups),
            dotted=".".join(groups),
            slashed=f"{groups[0]}/{' '.join(groups[1:])}",
            first=groups[0],
            rest=" ".join(groups[1:]),
        ),
    )


_CARDS: Final = (
    ("4", 16, (4, 4, 4, 4)),
    ("53", 16, (4, 4, 4, 4)),
    ("2230", 16, (4, 4, 4, 4)),
    ("6011", 16, (4, 4, 4, 4)),
    ("3530", 16, (4, 4, 4, 4)),
    ("37", 15, (4, 6, 5)),
    ("36", 14, (4, 6, 4)),
)


def card(rng: Random) -> str:
    """Return a card number with its checksum."""
    prefix, length, groups = rng.choice(_CARDS)
    body = prefix + _digits(rng, length - len(prefix) - 1)
    number = body + luhn.calc_check_digit(body)
    joint = rng.choice(("", "", " ", "-", ".", "/", "_"))
    parts, start = [], 0
    for size in groups:
        parts.append(number[start : start + size])
        start += size
    return joined(rng, joint.join(parts) + rng.choice(("", "", "", "-2026")))


def _ssn(rng: Random) -> str:
    area, group, serial = (
        rng.choice((rng.randint(1, 665), rng.randint(667, 899))),
        rng.randint(1, 99),
        rng.randint(1, 9999),
    )
    joint = rng.choice(("-", "-", " ", ".", "_"))
    text = f"{area:03}{joint}{group:02}{joint}{serial:04}"
    return rng.choice((joined(rng, text), f"ssn_{text}", f"ssn-{text}", f"SSN {area:03}{group:02}{serial:04}"))


def _codice_fiscale(rng: Random) -> str:
    letters = "".join(rng.choices("BCDFGLMNPRSTV", k=6))
    birth = f"{_digits(rng, 2)}{rng.choice('ABCDEHLMPRST')}{rng.randint(1, 28):02}"
    body = f"{letters}{birth}{rng.choice('ABCDEFGHIL')}{rng.randint(100, 999)}"
    text = body + codicefiscale.calc_check_digit(body)
    return joined(rng, rng.choice((text, text, text.lower(), f"cf_{text}")))


def _nino(rng: Random) -> str:
    prefix, pairs, end = (
        rng.choice(("AB", "CE", "JG", "SK", "WM")),
        [f"{rng.randint(0, 99):02}" for _ in range(3)],
        rng.choice("ABCD"),
    )
    return rng.choice(
        (
            f"{prefix} {' '.join(pairs)} {end}",
            f"nino_{prefix}{''.join(pairs)}{end}",
            f"NI {prefix} {' '.join(pairs)} {end}",
        )
    )


def _nir(rng: Random) -> str:
    birth = f"{rng.randint(1, 2)}{rng.randint(0, 99):02}{rng.randint(1, 12):02}"
    body = f"{birth}{rng.randint(1, 19):02}{rng.randint(1, 300):03}{rng.randint(1, 400):03}"
    number = body + nir.calc_check_digits(body)
    return joined(rng, rng.choice((number, nir.format(number))))


def _spanish(rng: Random) -> str:
    number = f"{rng.randint(21_000_000, 79_999_999)}"
    foreign = rng.choice("XYZ") + _digits(rng, 7)
    check = dni.calc_check_digit(number)
    return joined(rng, rng.choice((number + check, f"{number}-{check}", foreign + nie.calc_check_digit(foreign))))


def _cpf(rng: Random) -> str:
    body = _digits(rng, 9)
    number = body + cpf._calc_check_digits(body)
    return rng.choice((joined(rng, cpf.format(number)), f"cpf_{number}", f"cpf {cpf.format(number)}"))


def _aadhaar(rng: Random) -> str:
    body = str(rng.randint(2, 9)) + _digits(rng, 10)
    number = body + calc_check_digit(body)
    grouped = f"{number[:4]} {number[4:8]} {number[8:]}"
    return rng.choice((joined(rng, grouped), f"aadhaar_{number}", f"aadhaar-{grouped.replace(' ', '-')}"))


def _ric(rng: Random) -> str:
    place = rng.choice(("110105", "310101", "440524", "330102"))
    body = f"{place}{rng.randint(1950, 2009)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(1, 999):03}"
    return joined(rng, body + ric.calc_check_digit(body + "0"))


def _iban(rng: Random) -> str:
    country = rng.choice(("GB", "NL", "DE", "AT"))
    bank = {"GB": "WEST123456", "NL": "ABNA04", "DE": "37040044", "AT": "19043"}[country]
    length = {"GB": 22, "NL": 18, "DE": 22, "AT": 20}[country]
    body = bank + _digits(rng, length - 4 - len(bank))
    number = country + mod_97_10.calc_check_digits(body + country) + body
    spaced = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    return rng.choice((joined(rng, number), spaced, f"iban_{number}", f"iban: {spaced}", spaced.replace(" ", "-")))


def national_id(rng: Random) -> str:
    """Return a national id or IBAN with its checksum."""
    make = rng.choice((_ssn, _ssn, _codice_fiscale, _nino, _nir, _spanish, _cpf, _aadhaar, _ric, _iban))
    return make(rng)


def ip_address(rng: Random) -> str:
    """Return the address of a host."""
    first = rng.choice((23, 52, 77, 84, 93, 109, 151, 185, 203, 212))
    public = f"{first}.{rng.randint(0, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"
    private = f"{rng.choice(('192.168', '172.16', '172.31'))}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"
    inner = f"10.{rng.randint(0, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"
    long = f"2001:db8:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}::{rng.getrandbits(16):x}"
    return rng.choice(
        (
            joined(rng, public),
            joined(rng, private),
            f"ip={inner}",
            f"session_{inner}",
            f"{inner}:8080",
            f"http://{rng.choice((public, private, inner))}/lesson",
            f"{public}:{rng.randint(80, 9999)}",
            joined(rng, long),
            f"[{long}]:8080",
        )
    )


def _random_text(rng: Random, count: int, alphabet: str = _ALPHANUMERIC) -> str:
    return "".join(rng.choices(alphabet, k=count))


def secret(rng: Random) -> str:
    """Return a secret in the form that its service issues. None is valid."""
    hexadecimal = "0123456789abcdef"
    token = rng.choice(
        (
            f"AKIA{_random_text(rng, 16, string.ascii_uppercase + string.digits)}",
            f"gh{rng.choice('opsur')}_{_random_text(rng, 36)}",
            f"glpat-{_random_text(rng, 20)}",
            f"xoxb-{_digits(rng, 11)}-{_digits(rng, 11)}-{_random_text(rng, 24)}",
            f"xapp-1-A{_digits(rng, 10)}-{_digits(rng, 13)}-{_random_text(rng, 64, hexadecimal)}",
            f"https://hooks.slack.com/services/T{_random_text(rng, 8)}/B{_random_text(rng, 8)}/{_random_text(rng, 24)}",
            f"sk_live_{_random_text(rng, 24)}",
            f"sk-{_random_text(rng, 48)}",
            f"sk-ant-api03-{_random_text(rng, 40, _ALPHANUMERIC + '-_')}",
            f"npm_{_random_text(rng, 36)}",
            f"pypi-AgEIcHlwaS5vcmc{_random_text(rng, 40, _ALPHANUMERIC + '-_')}",
            f"hf_{_random_text(rng, 34, string.ascii_letters)}",
            f"dckr_pat_{_random_text(rng, 27)}",
            f"shpss_{_random_text(rng, 32, hexadecimal)}",
            f"SG.{_random_text(rng, 22)}.{_random_text(rng, 43)}",
            f"SK{_random_text(rng, 32, hexadecimal)}",
            f"dop_v1_{_random_text(rng, 64, hexadecimal)}",
            f"eyJ{_random_text(rng, 20)}.{_random_text(rng, 40)}.{_random_text(rng, 43)}",
        )
    )
    name = rng.choice(
        [
            "PHPSESSID",
            "JSESSIONID",
            "MoodleSession",
            "csrftoken",
            "sessionToken",
            "wstoken",
            "sig",
            "X-Amz-Signature",
            "token",
            "password",
            "api_key",
            "access_token",
            "sesskey",
            "client_secret",
            "sid",
        ]
    )
    return rng.choice(
        (
            token,
            token,
            f"token_{token}",
            f"key-{token}",
            f"{name}={_random_text(rng, 20)}",
            f"/reset?{name}={_random_text(rng, 12)}",
            f"Bearer {_random_text(rng, 30)}",
            f"postgres://app:{_random_text(rng, 10)}@db/learn",
            "-----BEGIN RSA PRIVATE KEY-----",
        )
    )


KINDS: Final[Mapping[str, Callable[[Random], str]]] = {
    "email": email,
    "phone": phone,
    "card": card,
    "national_id": national_id,
    "ip_address": ip_address,
    "secret": secret,
}
"""Functions that return one text of their kind."""
