"""No function that reads a text of senders takes time that grows faster than the text.

As in test_linear_patterns.py, by the ratio of two measurements in the same run, each repeated.
"""

from __future__ import annotations

import ast
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from dashboard.percent_encoding import is_readable
from ingest.parsing.json_elements import read_document
from ingest.privacy import (
    allow_list,
    cards,
    context,
    credentials,
    detectors,
    disguises,
    emails,
    firewall,
    id_form,
    ip_addresses,
    issued_tokens,
    national_ids,
    own_id,
    phones,
    route_words,
    templates,
    validators,
)
from ingest.segment import timestamps, unmapped
from ingest.work import WORK
from schemas import identifiers
from schemas.text import compatibility, joiners, placeholders, printed_values, visible_text
from web.problems import Refusal

BASE: Final = 1_000
TIMES: Final = 16
MAX_GROWTH: Final = 64.0
"""Maximum growth of the time for a text that is TIMES as long: 16 is linear, 256 is quadratic."""
QUICK: Final = 0.002
"""Time in seconds for the long text below which nothing counts as slow."""
MEASUREMENTS: Final = 4

Scan = Callable[[str], object]


def document(text: str) -> object:
    return deque(read_document(text, "events"), maxlen=0)


def in_events(text: str) -> object:
    return document('{"events":[' + text)


def escaped(text: str) -> object:
    return is_readable(text.encode("utf-8", "surrogatepass"))


# a function, and what is repeated: around a unit, or between a beginning and an end of it
SCANS: Final[dict[str, tuple[Scan, tuple[str, ...]]]] = {
    "privacy.allow_list.AllowList.allows": (
        lambda text: allow_list.AllowList({"event_id": ["[a-z]+-[0-9]+"]}, frozenset({"event_id"})).allows(
            "event_id", text
        ),
        ("a", "a-", "-1"),
    ),
    "privacy.cards.has_card": (cards.has_card, ("4", "4242 ", "4242 4242 4242 424 ", "3782-822463-1000x", "1,")),
    "privacy.context.has_nine_digits": (context.has_nine_digits, ("1", "1----", "1-")),
    "privacy.context.without_known_ids": (context.without_known_ids, ("isbn", "isbn 1", "10.1234/", "urn:", "isbn-")),
    "privacy.context.words_before": (lambda text: context.words_before(text, len(text)), ("a", "no ", "1", "Aa", " ")),
    "privacy.context.ending": (lambda text: context.ending(text, len(text), "ab", 64), ("a", "ab-")),
    "privacy.credentials.has_secret": (
        credentials.has_secret,
        (
            "token:",
            "a=",
            ":",
            "=",
            "token:a",
            "'  =",
            " \n=",
            "bearer ",
            "basic a",
            "token aA1",
            "sess",
            "code=aaaaaa1",
        ),
    ),
    "privacy.detectors.find_personal": (
        lambda text: detectors.find_personal(text),
        (
            "a",
            "1",
            "+1415555",
            "(415) ",
            "1.1.",
            "a@",
            "%25",
            "&amp;",
            "\u2167",
            "\ufdfa",
            "\u0661",
            "a at ",
            "\\u0040",
        ),
    ),
    "privacy.disguises.is_uuid": (disguises.is_uuid, ("a", "12345678-")),
    "privacy.disguises.plain": (
        disguises.plain,
        ("%25", "&amp;", "&", "%", "\u2167", "\ufdfa", "\u0345", "\\u0040", "&#"),
    ),
    "privacy.disguises.without_digests": (
        disguises.without_digests,
        ("a", "1", "0123456789abcdef" * 2, "1" * 31 + "-"),
    ),
    "privacy.disguises.without_uuids": (disguises.without_uuids, ("a", "12345678-1234-", "1")),
    "privacy.emails.has_email": (
        emails.has_email,
        (
            "@",
            "a@",
            "a@a.",
            "a at ",
            " at a dot ",
            "[at]",
            "=40",
            "a-v1:@",
            '"',
            '"@',
            "_at_a_dot_",
            "@a dot ",
            "+block@",
        ),
    ),
    "privacy.id_form.digest_of": (id_form.digest_of, ("a", "\u2167")),
    "privacy.id_form.is_digest": (id_form.is_digest, ("a", "sha256-")),
    "privacy.id_form.is_plain_form": (id_form.is_plain_form, ("a", " ", "%")),
    "privacy.id_form.is_placeholder_value": (
        lambda text: id_form.is_placeholder_value("a_id", text),
        (" ", "\u200b", "{{", "<%", "%25", "&lt;"),
    ),
    "privacy.ip_addresses.has_ip_address": (
        ip_addresses.has_ip_address,
        ("1.", "1.1.1.1.", "ip", "1", ":", "fe80:", "ip1", "://a@1.1.1.1 "),
    ),
    "privacy.issued_tokens.has_issued_token": (
        issued_tokens.has_issued_token,
        ("eyJ", "eyJa.", "sk-", "npm_aaaaaaaaaaaa", "xoxb-", "://", "://a:", "-----BEGIN ", "a-", "xoxb-1a-"),
    ),
    "privacy.national_ids.has_national_id": (
        national_ids.has_national_id,
        ("1", "1-", "123-45-", "AA", "AAA", "aaaaaa11", "DE89 ", "AB 12 34 56 ", "X1", "1234 "),
    ),
    "privacy.own_id.is_in": (lambda text: own_id.is_in(text, "anna-maria"), ("a", "anna-maria", "%25", "\u0301")),
    "privacy.own_id.is_whole": (lambda text: own_id.is_whole(text, "-anna-"), ("a", "-", "%25", "\u2167", "\u00ad")),
    "privacy.own_id.mask_segments": (lambda text: own_id.mask_segments(text, "-anna-"), ("a", "/", "/anna", "/\u2167")),
    "privacy.own_id.searchable_text": (
        own_id.searchable_text,
        ("a", "-", "a-", "%25", "&amp;", "\u2167", "\u00ad", "\u0301", "\u4e00-", "1234567890abcdef"),
    ),
    "privacy.phones.has_phone": (
        phones.has_phone,
        ("1", "+", "+1", "(", "(415) ", "00 ", "0049 1", "0 1", "415-", "12 ", "+1 (415)-"),
    ),
    "privacy.route_words.is_word": (route_words.is_word, ("a", "a1", "Aa", "a.", "-", "b")),
    "privacy.templates.template_of": (
        lambda text: templates.template_of(text),
        (
            "/",
            "/a",
            "{",
            "{a",
            "[",
            "(",
            "((",
            "<",
            ":a",
            "/{a}",
            "/1",
            "*",
            "\\d",
            "%25",
            "a.",
            "?",
            "\u2167",
            "/{a}b",
        ),
    ),
    "privacy.validators.is_valid": (lambda text: validators.is_valid("phone", "+" + text), ("1", "1-", "+")),
    "schemas.text.compatibility.nfkc": (compatibility.nfkc, ("a", "\u2167", "\ufdfa", "\u0345", "\u1100\u1161")),
    "schemas.identifiers.session_uuid": (identifiers.session_uuid, ("a", "urn:uuid:", "{", "1234-")),
    "schemas.identifiers.canonical_event_id": (
        lambda text: identifiers.canonical_event_id(text, "tests"),
        ("a", "1234-"),
    ),
    "schemas.text.joiners.joiners_belong": (
        joiners.joiners_belong,
        ("\u0915\u200d", "\u200d", "\u0915\u094d\u200d", "a"),
    ),
    "schemas.text.placeholders.is_artefact": (
        placeholders.is_artefact,
        ("(", "{{", "<?", "<%", "%25", " ", "\u200b", "0", "_"),
    ),
    "schemas.text.placeholders.is_blank": (placeholders.is_blank, (" ", "\u200b", "\u2800")),
    "schemas.text.placeholders.is_placeholder": (
        placeholders.is_placeholder,
        ("(", "null", "null-", "a.", "a.a", "${", "%(", "user_", "[", "&amp;", "#<A", "optional(", "\u2167"),
    ),
    "schemas.text.placeholders.is_unrendered": (
        placeholders.is_unrendered,
        ("{{", "${", "%(a", "<a ", "#<A:0x", "*|", "@a."),
    ),
    "schemas.text.printed_values.is_printed": (
        printed_values.is_printed,
        ("null", "a.", "[", "[,", "a => ", "<a", "function "),
    ),
    "schemas.text.printed_values.is_unfilled": (printed_values.is_unfilled, ("<", "your id ", "enter_", "a")),
    "schemas.text.printed_values.is_variable": (
        printed_values.is_variable,
        ("{a", "$a->", "$a[", "@A", '" + a', "<<a", "{{a"),
    ),
    "schemas.text.visible_text.visible": (visible_text.visible, ("a", "\n", "\u202e", "\U000e0001")),
    "schemas.text.visible_text.visible_json": (visible_text.visible_json, ("a", "\u202e", "\U000e0001")),
    "segment.timestamps.as_rfc_3339": (timestamps.as_rfc_3339, ("1", "2026-01-01T00:00:00.", "-")),
    "segment.unmapped.is_harmless": (unmapped.is_harmless, ("a", " ", "1")),
    "elements.read_document": (document, ("[", '{"a":', '"', "\\", "[1,", " ", '{"a":1,', "9", "-")),
    "elements.read_document, in events": (in_events, ("[", '{"a":', '"', '"\\"', "{},", " ", "[],", "9", '"\\\\')),
    "dashboard.percent_encoding.is_readable": (escaped, ("%", "%25", "%ff", "a", "\u2167")),
}

NOT_OF_STRANGERS: Final = {
    "privacy.context.words": "reads our own lists, at import",
}


def shapes(unit: str) -> list[Callable[[int], str]]:
    closed = {"(": ")", "[": "]", "{": "}", "<": ">", "{{": "}}", "((": "))"}.get(unit, "\0")
    return [
        lambda size: unit * (size // len(unit)),
        lambda size: unit * (size // len(unit)) + "\0",
        lambda size: "a" + unit * (size // len(unit)) + ".",
        lambda size: unit * (size // len(unit) // 2) + "a" + closed * (size // len(unit) // 2),
    ]


def seconds(scan: Scan, text: str, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        WORK.candidates = 0
        forget()
        start = time.thread_time()
        # a refusal ends the measurement; the time until then counts
        with suppress(ValueError, Refusal, validators.TooManyCandidates):
            scan(text)
        best = min(best, time.thread_time() - start)
    return best


def forget() -> None:
    for cached in (
        detectors._find_recent,
        firewall._read_recent_route,
        templates._is_recent_name,
        placeholders._visible,
        context.has_nine_digits,
        own_id._recent_key,
    ):
        cached.cache_clear()


def grows(scan: Scan, shape: Callable[[int], str]) -> bool:
    short, long = shape(BASE), shape(TIMES * BASE)
    if seconds(scan, long, 1) < QUICK:
        return False
    # other work of the machine can distort one measurement, but not all
    return all(seconds(scan, long, 1) > MAX_GROWTH * seconds(scan, short, 3) for _ in range(MEASUREMENTS))


@pytest.mark.parametrize("name", SCANS)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    scan, units = SCANS[name]

    slow = [(unit, kind) for unit in units for kind, shape in enumerate(shapes(unit)) if grows(scan, shape)]

    assert slow == []


def test_what_is_known_to_be_quadratic_is_found() -> None:
    def search_again(text: str) -> object:
        return re.search("a+b", text)

    def distinct(text: str) -> list[int]:
        seen: list[int] = []
        for place in range(len(text) // 4):
            if place not in seen:
                seen.append(place)
        return seen

    assert grows(search_again, lambda size: "a" * (size // 4))
    assert grows(distinct, lambda size: "a" * size)


def test_each_function_of_a_text_is_measured_or_has_a_reason() -> None:
    root = Path(__file__).parents[2]
    found: set[str] = set()
    for package, prefix in ((root / "ingest" / "privacy", "privacy"), (root / "schemas", "schemas")):
        for path in package.rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and takes_text(node):
                    found.add(".".join((prefix, *path.relative_to(package).with_suffix("").parts, node.name)))

    assert found - SCANS.keys() - NOT_OF_STRANGERS.keys() == set()
    assert NOT_OF_STRANGERS.keys() <= found


def takes_text(node: ast.FunctionDef) -> bool:
    arguments: list[Any] = [*node.args.args, *node.args.kwonlyargs]
    return any(
        one.arg == "text" and isinstance(one.annotation, ast.Name) and one.annotation.id == "str" for one in arguments
    )
