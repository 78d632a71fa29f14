"""The detection rates for personal data and harmless text, and the role of joints, context and checksums."""

from __future__ import annotations

import pytest

from ingest.privacy.detectors import Personal, find_personal
from tests.corpus.evaluation import CHOSEN, HARMLESS, by_family, by_kind, harmless_chosen, labelled

MIN_FOUND = 0.9
MAX_FALSE = 0.01

JOINED = {
    Personal.EMAIL: "ada@example.com",
    Personal.PHONE: "415-555-2671",
    Personal.CARD: "4242424242424242",
    Personal.NATIONAL_ID: "RSSMRA85T10A562S",
    Personal.IP_ADDRESS: "93.184.216.34",
    Personal.SECRET: "ghp_EXAMPLEEXAMPLEEXAMPLEEXAMPLE0000",
}


# text: what it is taken for
MISJUDGED = {
    "4155552671": None,
    "07400123456": None,
    "912-345-678": None,
    "user4155552671": None,
    "4222222222222": None,
    "AB123456C": None,
    "457555462": None,
    "078051120_ssn": None,
    "user_078051120": None,
    "93-184-216-34": None,
    "8.8.8.8": None,
    "correct horse battery staple": None,
    "ada.at.example.org": None,
    "ada @ example . org": None,
    "SC 99 88 77 A": Personal.NATIONAL_ID,
    "4000-1000-2000-3000": Personal.CARD,
    "800-555-0199": Personal.PHONE,
    "Password: 1234567": Personal.SECRET,
}
"""The chosen texts that the detectors get wrong."""


def test_every_chosen_text_is_judged_right_except_the_known_ones() -> None:
    kinds = {text: kind for kind, texts in labelled(CHOSEN).items() for text in texts}
    found = {text: find_personal(text) for text in kinds}
    assert {text: one for text, one in found.items() if (one or HARMLESS) != kinds[text]} == MISJUDGED


def test_of_each_kind_enough_is_found() -> None:
    few = {kind: shares for kind, shares in by_kind().items() if min(share.ratio for share in shares) < MIN_FOUND}
    assert few == {}


def test_of_harmless_texts_hardly_any_is_refused() -> None:
    many = {family: share for family, share in by_family().items() if share.ratio > MAX_FALSE}
    assert many == {}
    assert max(share.ratio for share in harmless_chosen()) <= MAX_FALSE


@pytest.mark.parametrize("kind", JOINED)
@pytest.mark.parametrize(
    "shape",
    ["{}", "lesson_{}", "user-{}", "quiz:{}", "attempt {}", "{}_quiz", "{}-paid", "{} 2026", "http://x.example/{}"],
)
def test_an_adjacent_word_does_not_hide_personal_text(kind: Personal, shape: str) -> None:
    assert find_personal(shape.format(JOINED[kind])) is kind


@pytest.mark.parametrize(
    ("harmless", "personal"),
    [
        # the checksum decides
        ("4242424242424241", "4242424242424242"),
        ("12345678A", "12345678Z"),
        ("2341 2341 2345", "2341 2341 2346"),
        ("GB83WEST12345698765432", "GB82WEST12345698765432"),
        # whether its groups are a list of ascending numbers
        ("3714, 496353, 98431", "3714 496353 98431"),
        ("4101, 4102, 4107, 4110", "4000,4500,4200,4803"),
        # whether its pairs of digits are dates or places
        ("01 31 10 11 12", "612 10 11 12"),
        ("0171 23 10 11 12", "tel 0171 23 10 11 12"),
        ("46 8 123 456 78", "+46 8 123 456 78"),
        ("nino BG123456C", "nino AB123456C"),
        # a length that the network issues
        ("43430121938268", "36006666333344"),
        ("437777309364467", "378282246310005"),
        # the word before it
        ("AB123456C", "nino_AB123456C"),
        ("EN101112B", "user EN101112B"),
        ("MA 10 12 24 B", "insurance MA 10 12 24 B"),
        ("BIO 101-01-2026", "ssn 101-01-2026"),
        ("356-03-2026", "356-03-2126"),
        ("CHEM 205-12-4410", "user 205-12-4410"),
        ("078051120", "ssn_078051120"),
        ("39053344705", "cpf 39053344705"),
        ("4155552671", "tel:4155552671"),
        ("00442079460958", "phone_00442079460958"),
        ("12345678z", "dni 12345678z"),
        # a year in it
        ("201-555-2026", "201-555-0126"),
        ("20260115A", "12345678Z"),
        # the size of the parts, and the word before them
        ("3.4.21.4", "93.184.216.34"),
        ("10.2.0.4", "10.2.0.4:8080"),
        ("EC 1.1.1.1", "dns 1.1.1.1"),
        ("firmware 93.184.216.34", "session 93.184.216.34"),
        ("1.2.3.4 Limits", "http://1.2.3.4/limits"),
        ("255.255.255.128", "192.168.255.128"),
        ("Chrome/126.0.0.0", "ip 126.0.0.9"),
        ("abcd::ef01:2345", "2001:db8::ef01:2345"),
        # whether the value is a word
        ("Secret: Gardener", "secret: gArd3ner"),
        ("sid:vicious-badge", "sid=vicious-badge"),
        ("Token: GRANDMASTER", "token: GRANDMASTER7"),
        ("Bearer of responsibilities", "Bearer 8f3kQ92xLm0Z"),
        ("Basic Thermodynamics", "Basic dXNlcjpwYXNzd29yZA=="),
        ("session=morning", "MoodleSession=morning"),
        ("code=introduction-2026", "code=4f8Kq29ZxLm0"),
        ("npm-scripts-and-workspaces", "npm_EXAMPLEEXAMPLEEXAMPLE"),
        ("hf_JavaScriptTransformers", "hf_EXAMPLEEXAMPLEEXAMPLEEXAMPLE"),
        # what the @ separates
        ("asset-v1:a+b+c+type@asset+block@d.com", "asset-v1:a+b+c+type@asset+block@ada@d.com"),
        ("icon@2x.png", "icon@mail.example.org"),
        ("20260312T101500Z-1234@calendar.example.edu", "ada-1234@calendar.example.edu"),
        ("20260312-0042@host.example.edu", "ada-20260312-0042@host.example.edu"),
        ('"@angular.io/core"', '"ada"@angular.io'),
        ("look_at_this.pdf", "look_at_this.com"),
        ("meet at school", "mia at school dot com"),
        ("core-api@7.0.1.Final", "core-api@7.example.com"),
        ("lesson_@angular.io/core_1.0.9", "lesson_x@angular.io"),
        ("server@10.0.0.1", "ssh://server@10.0.0.1"),
        # whether it is an assignment
        ("id-token==1.0.0.7", "id-token=1.0.0.7"),
        ("access-token:0.2.210201.1", "access-token:0x2b210201f1"),
        ("Secret: PhD-Level", "secret: 9dK2pL4vEl"),
        ("SOC 210-01-1234", "social 210-01-1234"),
        # a course section has a number from 100 on, and the adjacent word is a department
        ("Math 101-01-1234", "Ada 101-51-1234"),
        ("Biology 101-01-2345", "ID 101-01-2345"),
        ("ID 101-10-2026", "ID 078-05-1120"),
        ("TAX 450-10-2026", "TAX 450-10-4410"),
        ("101-01-1001 CHEM", "101-01-1001 paid"),
        ("Learn Python @ Google.com", "ada @ google.com"),
        ("CHEM 205-12-4410", "CHEM 078-05-1120"),
        ("CS 24 25 26 D", "nino CS 24 25 26 D"),
        ("JG 54 55 56 D", "JG 54 65 76 D"),
        # an ascending list of numbers
        ("4242,4343,4444,5559", "4242,4242,4242,4242"),
        ("2026-2341-2344", "2341-2341-2346"),
        # a verb before a place, and a name in an address
        ("look at example dot com", "ada at example dot com"),
        ("available at example.com", "ada at example.com"),
        ("lesson_@angular.io/core", "ada_@angular.io"),
        ("Meet @school.com", "mia @school.com"),
        ("meet @school.com", "mia@ school.com"),
        ("us@school. It is late", "ada@school. com"),
        ("SQL Server 9.0.4.2", "server_9.0.4.2"),
        ("number 4155552671", "phone number 4155552671"),
        ("móvil 612", "móvil 612345678"),
        ("look at example dot 7", "ada@example[dot]com"),
        # the name of a catalogue before it
        ("ISBN 4242424242424242", "item 4242424242424242"),
        ("doi:10.1000/415-555-2671", "call:415-555-2671"),
        # a word, and an id or a UUID between it and the number
        ("order urn:isbn:1 4155552671", "tel urn:isbn:1 4155552671"),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8 4155552671", "tel 6ba7b810-9dad-11d1-80b4-00c04fd430c8 4155552671"),
        # the number of its digits
        ("02 123 456, 789", "02 123 4567, 789"),
        # small numbers are places; round ones are not
        ("01-02-03-04-05", "01-42-68-53-00"),
        ("612 000 000", "612 345 678"),
    ],
)
def test_similar_harmless_and_personal_texts_are_distinguished(harmless: str, personal: str) -> None:
    assert (find_personal(harmless), find_personal(personal) is not None) == (None, True)


@pytest.mark.parametrize(
    "text",
    [
        "ada%2525252540example.com",
        "ada&commat;example.com",
        "ada&#x40;example.com",
        "ada@@example.com",
        "ada@example,com",
        "ada[at]example[dot]com",
        "ada (at) example.com",
        "ada AT example.com",
        "ada__AT__example.com",
        "ada @ example.com",
        "ada-at-example-dot-com",
        '"ada lovelace"@example.com',
        "ada@example\u3002com",
        "\uff41\uff44\uff41\uff20example.com",
        "a\u200bda@exa\u00admple.com",
        "ada @example.org",
        "ada@ example.org",
        "ada@example .com",
        "ada|at|example.org",
        "ada+at+example.org",
        "ada *at* example.org",
        "ada -at- example.org",
        "ada [\u00e4t] example.de",
        "ada(a)example.com",
        "ada arroba example.es",
        "ada#at#example#dot#org",
        "ada=40example=2Eorg",
        "ada=2540example.org",
        "ada\\u0040example.org",
        "ada\\u{40}example.org",
        "ada\\x40example.org",
        "ada%u0040example.org",
        "ada U+0040 example.org",
        "ada@example;com",
    ],
)
def test_an_obfuscated_email_address_is_detected(text: str) -> None:
    assert find_personal(text) is Personal.EMAIL


@pytest.mark.parametrize("joint", [" ", "-", ".", "/", "_"])
def test_groups_may_be_separated_by_anything_usual(joint: str) -> None:
    for groups, kind in (
        (("4242",) * 4, Personal.CARD),
        (("078", "05", "1120"), Personal.NATIONAL_ID),
        (("1", "415", "555", "2671"), Personal.PHONE),
        (("06", "12", "34", "56", "78"), Personal.PHONE),
    ):
        assert find_personal(joint.join(groups)) is kind, groups


@pytest.mark.parametrize("joint", [" - ", ":", ",", ", ", "|", " | ", ";", "+", "~", "\t", "--"])
def test_groups_of_a_card_may_be_separated_by_more(joint: str) -> None:
    for groups in (("4242",) * 4, ("3782", "822463", "10005"), ("42424242", "42424242"), ("424242", "4242424242")):
        assert find_personal(f"card {joint.join(groups)}") is Personal.CARD, groups


@pytest.mark.parametrize(
    "text",
    [
        "2341.2341.2346",
        "aadhaar 2341:2341:2346",
        "RSSMRA-85T10-A562S",
        "DE89.3704.0044.0532.0130.00",
        "AB 98 76 54C",
        "SSN 078-05-1120",
        "TAX 078-05-1120",
        "EMP 078-05-1120",
    ],
)
def test_a_national_id_may_be_written_otherwise(text: str) -> None:
    assert find_personal(text) is Personal.NATIONAL_ID


def test_digits_of_other_scripts_are_digits() -> None:
    arabic = str.maketrans("0123456789", "".join(map(chr, range(0x0660, 0x066A))))
    assert find_personal("4242 4242 4242 4242".translate(arabic)) is Personal.CARD
