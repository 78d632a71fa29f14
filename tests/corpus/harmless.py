"""Families of ids, titles, routes and model names as real systems create them. None identifies a person."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from random import Random
from typing import Final
from uuid import UUID


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WORDS: Final = _listed(
    "algebra geometry calculus thermodynamics pharmacology epidemiology linguistics trigonometry"
    " phonetics genetics introduction practice review workshop laboratory seminar exam quiz lesson module"
    " chapter lecture overview project spanish italian mandarin history ethics logic networks databases"
    " compilers security photography nutrition algorithms statistics probability mechanics optics ecology"
    " anatomy poetry rhetoric economics accounting"
)
_PACKAGES: Final = ("npm", "hf", "pypi", "sk-test", "sk-proj", "glpat", "ghp", "xoxo", "pk", "rk-live", "key", "token")
_DEPARTMENTS: Final = _listed(
    "CS MATH BIO CHEM PHYS ENGL HIST ECON PSYC EECS COMPSCI INF STAT MA PH EN GE LAW NURS COMP INFO TDT DD FIT ESP"
)
_SUBJECTS: Final = ("Math", "Bio", "Biology", "Chemistry", "Physics", "Spanish", "English", "History", "Nursing", "Law")
_ORGANISATIONS: Final = ("edX", "MITx", "HarvardX", "DelftX", "TsinghuaX", "UC3Mx", "IITBombayX", "W3Cx", "OpenedX")
_FILES: Final = ("jpg", "png", "pdf", "csv", "css", "js", "srt", "mp4", "svg", "html", "ipynb", "txt", "zip", "docx")
_BLOCKS: Final = ("html", "video", "problem", "sequential", "vertical", "asset", "chapter", "discussion")
_NUMBERED: Final = (
    "Section",
    "Theorem",
    "Lemma",
    "Chapter",
    "Figure",
    "Exercise",
    "Definition",
    "Satz",
    "§",
    "EC",
    "OID",
)
_VERSIONED: Final = ("firmware", "WebView", "AssemblyVersion", "Version", "version", "Build", "driver", "API", "SDK")
_TITLES: Final = ("Basic", "Secret:", "Token:", "Bearer of", "Password:", "Session:", "Signature:", "Secret", "Hidden:")
_LOWER: Final = string.ascii_lowercase + string.digits


def _word(rng: Random) -> str:
    return rng.choice(WORDS)


def _slug(rng: Random, words: int) -> str:
    return "-".join(_word(rng) for _ in range(words))


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _hexadecimal(rng: Random, count: int) -> str:
    return f"{rng.getrandbits(4 * count):0{count}x}"


def _run(rng: Random) -> str:
    return rng.choice(
        (f"{rng.randint(1, 3)}T{_year(rng)}", f"{_year(rng)}_T{rng.randint(1, 3)}", "Demo_Course", "2T2019")
    )


def _year(rng: Random) -> int:
    return rng.randint(2018, 2027)


def _course(rng: Random) -> str:
    return (
        f"{rng.choice(_ORGANISATIONS)}+{rng.choice(_DEPARTMENTS)}{rng.randint(1, 999)}.{rng.randint(1, 9)}x+{_run(rng)}"
    )


def _asset_key(rng: Random) -> str:
    name = rng.choice((_word(rng), f"{_word(rng)}_{_word(rng)}", f"{_hexadecimal(rng, 32)}-en", _word(rng).title()))
    return f"asset-v1:{_course(rng)}+type@asset+block@{name}.{rng.choice(_FILES)}"


def _usage_key(rng: Random) -> str:
    return f"block-v1:{_course(rng)}+type@{rng.choice(_BLOCKS)}+block@{_hexadecimal(rng, 32)}"


def _course_code(rng: Random) -> str:
    department, number, section = rng.choice(_DEPARTMENTS), rng.randint(100, 699), rng.randint(1, 40)
    return rng.choice(
        (
            f"{department} {number}",
            f"{department}-{number}-{section:03}",
            f"{department} {number}-{section:02}-{_year(rng)}",
            f"{department} {number} {section:02} {_year(rng)}",
            f"{number}-{section:03}-{_year(rng)}",
            f"{rng.choice(_SUBJECTS)} {number}-{section:02}-{_digits(rng, 4)}",
            f"{number}-{section:02}-{_digits(rng, 4)} {department}",
            f"{rng.choice(('CS', 'MA', 'EN'))} {section:02} {section + 1:02} {section + 2:02} {rng.choice('ABCD')}",
            f"{department}{_year(rng)}{section:02}A",
            f"{department[:2]}{rng.randint(10, 12)}{rng.randint(10, 12)}{rng.randint(10, 28)}B",
            f"{department}{rng.randint(1000, 9999)}_{_year(rng)}_SM{rng.randint(1, 2)}",
            f"{rng.randint(1, 24)}.{section:02}{rng.choice('ABCJSX')}",
            f"{_year(rng)}{rng.choice(('SP', 'FA', '10', '30'))}-{department}-{number}-{section:03}",
        )
    )


def _catalogue_number(rng: Random) -> str:
    return rng.choice(
        (
            f"978{_digits(rng, 10)}",
            f"978-{rng.randint(0, 9)}-{_digits(rng, 3)}-{_digits(rng, 5)}-{rng.randint(0, 9)}",
            f"ISBN {rng.randint(0, 9)}-{_digits(rng, 3)}-{_digits(rng, 5)}-{rng.randint(0, 9)}",
            f"ISSN {_digits(rng, 4)}-{_digits(rng, 4)}",
            f"EAN {_digits(rng, 13)}",
            _digits(rng, 12),
            _digits(rng, 13),
            f"1{_digits(rng, 13)}",
            f"doi:10.{rng.randint(1000, 9999)}/{_digits(rng, 8)}.{_year(rng)}.{_digits(rng, 7)}",
            f"ark:/{_digits(rng, 5)}/tf{_digits(rng, 8)}k",
            f"PMID: {_digits(rng, 8)}",
            f"NM_{_digits(rng, 9)}.{rng.randint(1, 9)}",
            f"arXiv:{rng.randint(10, 26)}{rng.randint(1, 12):02}.{_digits(rng, 5)}",
            f"CAS {rng.randint(50, 99999)}-{_digits(rng, 2)}-{rng.randint(0, 9)}",
            f"urn:isbn:978{_digits(rng, 10)}",
            f"SNOMED {_digits(rng, 8)}",
        )
    )


def _machine_id(rng: Random) -> str:
    return rng.choice(
        (
            str(rng.randrange(10**17, 2 * 10**18)),
            str(1_420_070_400_000 + rng.randrange(10**11) << 22),
            str(UUID(int=rng.getrandbits(128), version=4)),
            _hexadecimal(rng, rng.choice((7, 8, 16, 24, 32, 40, 64))),
            "".join(rng.choices(string.ascii_letters + string.digits + "_-", k=21)),
            "".join(rng.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=26)),
            f"c{''.join(rng.choices(_LOWER, k=24))}",
            f"do_3{_digits(rng, 22)}",
            f"node-next-{rng.randrange(16 * 10**11, 19 * 10**11)}-{UUID(int=rng.getrandbits(128), version=4)}",
        )
    )


def _bare_number(rng: Random) -> str:
    return str(rng.randrange(10 ** rng.randrange(1, 20)))


def _zero_padded(rng: Random) -> str:
    return f"{rng.randrange(10 ** rng.randrange(2, 12)):0{rng.randrange(6, 15)}}"


def _dated_number(rng: Random) -> str:
    date = f"{_year(rng)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    time = f"{rng.randint(0, 23):02}{rng.randint(0, 59):02}{rng.randint(0, 59):02}"
    return rng.choice(
        (
            date,
            f"{date}{time}",
            f"{date}T{time}Z",
            f"{date}-{_digits(rng, 4)}",
            f"{_digits(rng, 6)}{date}{_digits(rng, 4)}",
            f"ORD-{date[:4]}-{_digits(rng, 7)}",
            f"INV-{date[:4]}/{date[4:6]}/{_digits(rng, 4)}",
            f"PROJ-{rng.randint(1, 99999)}",
            f"{rng.randrange(16 * 10**11, 19 * 10**11)}",
            f"{rng.randrange(16 * 10**14, 19 * 10**14)}",
            f"{date[:4]}-{date[4:6]}-{date[6:]}-{_digits(rng, 3)}",
            f"{date}T{time}Z-{rng.randint(1, 9999)}@calendar.example.edu",
        )
    )


def _version(rng: Random) -> str:
    small = ".".join(str(rng.randint(0 if place else 1, 31)) for place in range(4))
    return rng.choice(
        (
            small,
            f"{rng.choice(_NUMBERED)} {small}",
            f"{small} {_word(rng).title()}",
            f"{rng.choice(_VERSIONED)} {rng.randint(1, 30)}.{rng.randint(0, 20)}.{rng.randint(0, 255)}.1",
            f"v{small}",
            f"{small}-beta",
            f"Chrome/{rng.randint(60, 150)}.0.0.0",
            f"Chrome/{rng.randint(60, 150)}.0.{rng.randint(3000, 7000)}.{rng.randint(1, 255)}",
            f"Safari/{rng.randint(500, 700)}.{rng.randint(1, 40)}.{rng.randint(1, 40)}",
            f"iOS {rng.randint(9, 18)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
            f"python-3.{rng.randint(8, 14)}.{rng.randint(0, 20)}",
            f"Windows 10.0.{rng.randint(10000, 26000)}",
            f"{rng.randint(1, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 255)}.{rng.randint(0, 31)}",
        )
    )


def _slug_like_a_token(rng: Random) -> str:
    prefix, joint = rng.choice(_PACKAGES), rng.choice("-_")
    rest = _slug(rng, rng.randint(2, 4)).replace("-", joint)
    return f"{prefix}{joint}{rest}{rng.choice(('', f'{joint}{rng.randint(1, 20):02}'))}"


def _title(rng: Random) -> str:
    return rng.choice(
        (
            f"{rng.choice(_TITLES)} {_word(rng).title()}",
            f"{rng.choice(_TITLES)} {_word(rng).title()} {_word(rng)}",
            f"{_word(rng).title()} For Beginners: A Basic {_word(rng).title()}",
            f"{rng.randint(1, 9)},000 XP in {_word(rng)}",
            f"{rng.randint(1, 30)}-day {_word(rng)} streak",
            f"{_word(rng).title()} ({_year(rng)}) {_year(rng)}",
            f"sid:{_word(rng)}-badge",
            f"{_word(rng).title()} @ {_word(rng)}",
            f"{rng.randint(1, 9)}00-{rng.randint(1, 9)}00-{rng.randint(1, 9)}00 {_word(rng).title()}",
            f"Score: {rng.randint(1, 1)}{_digits(rng, 3)}-{_digits(rng, 4)}-{_digits(rng, 4)}",
            f"{_word(rng).title()} at {_word(rng).title()}",
            f"Урок {rng.randint(1, 30)}-{rng.randint(1, 30)}-{rng.randint(1, 30)}",
        )
    )


def _place(rng: Random) -> str:
    joint = rng.choice("-._/ ")
    numbers = joint.join(str(rng.randint(1, 31)) for _ in range(rng.randint(2, 6)))
    padded = joint.join(f"{rng.randint(1, 31):02}" for _ in range(rng.randint(2, 6)))
    return rng.choice(
        (numbers, padded, f"unit {numbers}", f"lesson{joint}{padded}", f"course/{_digits(rng, 5)}/mod/{numbers}")
    )


def _route(rng: Random) -> str:
    return rng.choice(
        (
            f"/{_word(rng)}/{{id}}/{_word(rng)}",
            f"/api/v{rng.randint(1, 3)}/{_word(rng)}/:id",
            f"GET /{_word(rng)}/<int:pk>/",
            f"^{_word(rng)}/(?P<id>[^/]+)/{_word(rng)}$",
            f"/{_word(rng)}/[slug]/*",
            f"/oauth2/{_word(rng)}",
        )
    )


def _list(rng: Random) -> str:
    first, step = rng.randint(1000, 6000), rng.randint(1, 40)
    numbers = [first + step * place for place in range(rng.randint(3, 6))]
    return rng.choice((", ", ",", ";", "|", "+")).join(map(str, numbers))


def _escape(rng: Random) -> str:
    return rng.choice(
        (
            f"{_word(rng)}=40",
            f"?page=40&sort={_word(rng)}",
            f"width=40em.{_word(rng)}",
            f"{_word(rng)}\\u00e9{_word(rng)}",
            f"U+00{rng.randint(41, 79)} {_word(rng).title()}",
            f"C:\\{_word(rng)}\\x{rng.randint(20, 79)}",
            f"{_word(rng).title()} (a) {_word(rng)}.{rng.randint(1, 9)}",
            f"{_word(rng)} available at {_word(rng)}.org",
            f"{_word(rng).title()} | At a glance | {_word(rng).title()}",
            f"{_word(rng)}&amp;{_word(rng)}",
        )
    )


def _model(rng: Random) -> str:
    date = f"{_year(rng)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    return rng.choice(
        (
            f"gpt-{rng.randint(3, 6)}o-{date[:4]}-{date[4:6]}-{date[6:]}",
            f"vertex_ai/claude-{rng.randint(3, 5)}-5-sonnet@{date}",
            f"anthropic.claude-3-{rng.randint(1, 9)}-haiku-{date}-v1:0",
            f"hf-internal-testing/tiny-random-{_word(rng)}",
            f"{_word(rng)}ai/{_word(rng).title()}-{rng.randint(1, 400)}B-Instruct-v0.{rng.randint(1, 9)}",
            f"llama3.{rng.randint(1, 3)}:{rng.randint(1, 90)}b-instruct-q4_K_M",
            f"models/embedding-{rng.randint(1, 9):03}",
            f"@cf/meta/llama-{rng.randint(2, 4)}-8b-instruct",
            f"ft:gpt-4o-mini-{date[:4]}-{date[4:6]}-{date[6:]}:acme::{''.join(rng.choices(string.ascii_letters, k=8))}",
            f"azure/gpt-4o-{date[:4]}-{date[4:6]}-{date[6:]}",
        )
    )


def _package(rng: Random) -> str:
    version = f"{rng.randint(0, 30)}.{rng.randint(0, 30)}.{rng.randint(0, 30)}"
    return rng.choice(
        (
            f"@{_word(rng)}/{_word(rng)}@{version}",
            f"{_word(rng)}@{version}",
            f"{_word(rng)}-{_word(rng)}@{version}.{rng.choice(('post', 'dev', 'rc'))}{rng.randint(0, 99)}",
            f"{_word(rng)}:{_word(rng)}-api@{version}.Final",
            f"lesson_@{_word(rng)}.io/{_word(rng)}_{version}",
            f"{rng.choice(('access-token', 'jwt', 'session', 'csrf'))}{rng.choice(('==', ':'))}{version}.dev1",
            f"{_word(rng)}-gateway-{version}.{rng.randint(0, 31)}",
            f"icon-{_word(rng)}@2x.png",
            f"actions/{_word(rng)}@v{rng.randint(1, 9)}",
            f"ghcr.io/{_word(rng)}/{_word(rng)}@sha256:{_hexadecimal(rng, 64)}",
            f"std::{_word(rng)}::{_word(rng)}",
            f"{_hexadecimal(rng, 2)}:{_hexadecimal(rng, 2)}:{_hexadecimal(rng, 2)}",
        )
    )


FAMILIES: Final[Mapping[str, Callable[[Random], str]]] = {
    "Open edX asset keys": _asset_key,
    "Open edX usage keys": _usage_key,
    "course codes": _course_code,
    "numbers of catalogues": _catalogue_number,
    "ids made by machines": _machine_id,
    "bare numbers": _bare_number,
    "zero-padded numbers": _zero_padded,
    "dates and order numbers": _dated_number,
    "versions and sections": _version,
    "slugs": _slug_like_a_token,
    "titles": _title,
    "places in a course": _place,
    "routes": _route,
    "lists of numbers": _list,
    "escapes and lists of words": _escape,
    "model names": _model,
    "packages and files": _package,
}
"""Functions that return one text of their family."""
