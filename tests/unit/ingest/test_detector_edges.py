"""The edges of the detectors: the last text that is found, beside the first that is not."""

from __future__ import annotations

import pytest

from ingest.privacy.context import words_before
from ingest.privacy.credentials import _name_before, has_secret
from ingest.privacy.disguises import _ascii_form
from ingest.privacy.emails import has_email
from ingest.privacy.ip_addresses import has_ip_address
from ingest.privacy.issued_tokens import _is_random
from ingest.privacy.national_ids import _is_checked, has_national_id
from ingest.privacy.route_words import is_word
from ingest.privacy.templates import _is_recent_name, template_of
from ingest.work import LONGEST_CACHED


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("password=", "password"),
        ("password =", "password"),
        ("password  =", "password"),
        ("password   =", ""),
        ('"password":', "password"),
        ("'password':", "password"),
        ('"password" :', "password"),
        ('password\n":', "password"),
        ('"password""=', ""),
        ("a password=", "password"),
        ("=", ""),
        (" =", ""),
        ('"=', ""),
        ('\n"=', ""),
    ],
)
def test_the_name_before_a_separator_may_be_quoted_and_followed_by_blanks(text: str, name: str) -> None:
    # what follows the separator does not matter
    for rest in ("", "x", '"', "\n", " "):
        assert _name_before(text + rest, len(text) - 1) == name


@pytest.mark.parametrize(
    ("harmless", "secret"),
    [
        ("Basic course", "Basic YWRhOmxvdmVsYWNl"),
        ("Basic YWRhbG92ZWxhY2U=", "Basic YWRhOmxvdmVsYWNlMQ"),
        ("Basic YWRhOmxv!mVsYWNl", "Basic YWRhOmxvdmVsYQ=="),
        ("Token economy", "Token 9944b09199c62bcf9418ad846dd0e4bb"),
        ("token ab12cd34ef", "token ab12cd34ef5g"),
        ("Bearer instruments", "Bearer xkcdqwrtplmnbvcz"),
        ("pass=winter", "pass=w1nt3r9"),
        ("passcode=garden", "passcode=x9y8z7w6"),
        ("Secret: McGreg7", "secret:McGreg7x"),
        ("token ab12cd-34ef56", "token ab12cd34ef56"),
        ("Basic YWRh.OmxvdmVsYWNl", "Basic YWRhOmxvdmVsYWNl"),
        ("Basic YWRhLWxvdmVsYWNlMTI", "Basic YWRhOmxvdmVsYWNlMTI"),
        ("Token: w1nt3r9", "password: w1nt3r9"),
    ],
)
def test_a_secret_is_told_from_words_beside_its_name(harmless: str, secret: str) -> None:
    assert (has_secret(harmless), has_secret(secret)) == (False, True)


@pytest.mark.parametrize(
    ("harmless", "address"),
    [
        ("ada[at]example", "ada[@]example[.]com"),
        ("ada{@}example", "ada@example{.}com"),
        ("Meet @school.com", "ada @example.com"),
        ("ada@example, com", "ada@example,com"),
        ("a@b;c", "ada@example;com"),
        ("ada@example dot", "ada@example dot com"),
        ("x=40y", "ada=40example=2Ecom"),
        ("ada@example .txt", "ada@example .com"),
        ("item 17@moodle.example.org"[5:], "ada@moodle.example.org"),
        ("asset-v1:X+type@asset+block@name.com", "asset-v:X+type@asset+block@name.com"),
        # the ending of a file
        ("icon@school=2Epng", "ada@school=2Ecom"),
        ("icon@school[dot]png", "ada@school[dot]com"),
        ("icon[@]school[.]png", "ada[@]school[.]com"),
        # a calendar item
        ("event-17=40moodle.example.org", "ada=40moodle.example.org"),
        ("event-17@moodle .org", "ada@moodle .org"),
        ("event-17@ moodle.example.org", "ada@ moodle.example.org"),
        ("meet @17@moodle.example.org", "meet @ada@moodle.example.org"),
        ("lib:X+type@17@moodle.example.org", "lib:X+type@ada@moodle.example.org"),
        ("lib:X+type@name.com", "zlib:X+type@name.com"),
        # a spoken address
        ("look at example dot com", "a at example dot com"),
        ("look at example dot com at school dot com", "look at example dot com or ada at school dot com"),
    ],
)
def test_an_address_is_told_from_what_resembles_one(harmless: str, address: str) -> None:
    assert (has_email(harmless), has_email(address)) == (False, True)


@pytest.mark.parametrize(
    ("harmless", "address"),
    [
        ("128.1.1.0", "128.40.1.1"),
        ("127.40.50.60", "126.40.50.60"),
        ("step 1.2.3.4", "ip1.2.3.4"),
        ("93.184.216.0", "93.184.216.1"),
        ("2.1.40.50", "2.33.40.50"),
        ("2001::1", "2001:db8::1"),
        ("256.40.50.60", "254.40.50.60"),
        ("/9.0.4.2", "://9.0.4.2"),
        ("2.31.32.32", "2.32.32.32"),
        ("2.40.1.1", "128.1.40.1"),
    ],
)
def test_an_address_of_a_host_is_told_from_a_version(harmless: str, address: str) -> None:
    assert (has_ip_address(harmless), has_ip_address(address)) == (False, True)


@pytest.mark.parametrize(
    ("harmless", "personal"),
    [
        ("X1234567A", "X1234567L"),
        ("x1234567a", "x1234567l"),
        ("user BG101112B", "user EN101112B"),
        ("DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532 0130 00"),
        ("de89370400440532013001", "de89370400440532013000"),
        ("SECTIONS 205-12-4410"[:8] + " 205-12-4410", "ADMISSION 205-12-4410"),
        ("order 078051120", "ssn 078051120"),
        ("CS 24 65 26 D", "JG 24 65 26 D"),
    ],
)
def test_a_national_id_is_told_by_its_checksum_and_the_word_before_it(harmless: str, personal: str) -> None:
    assert (has_national_id(harmless), has_national_id(personal)) == (False, True)


def test_a_date_is_no_spanish_id() -> None:
    assert _is_checked("dni", "12345678Z")
    assert not _is_checked("dni", "20260115J")


@pytest.mark.parametrize(
    ("character", "form"),
    [
        ("\u200d", ""),
        ("\u2014", "-"),
        ("\u0663", "3"),
        ("\u3002", "."),
        ("\u00fc", "\u00fc"),
        ("\u00b2", "\u00b2"),
    ],
)
def test_a_character_has_its_ascii_form(character: str, form: str) -> None:
    assert _ascii_form(character) == form


@pytest.mark.parametrize(
    ("text", "is_random"),
    [
        ("lessons2dguides3dmodels", True),
        ("lessons2dguides", False),
        ("HTTPSAguide", False),
        ("HTTPSABguide", True),
        ("lesson20245", True),
        ("lesson2024", False),
        ("abcd1234", False),
        ("abc1234", True),
    ],
)
def test_letters_and_digits_that_alternate_are_random(text: str, is_random: bool) -> None:
    assert _is_random(text) is is_random


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phone number: ", {"phone"}),
        ("userPhone: ", {"userphone", "phone"}),
        ("PHONE ", {"phone"}),
        ("", set()),
    ],
)
def test_the_word_before_a_number_is_told_with_its_last_hump(text: str, words: set[str]) -> None:
    assert words_before(text + "415", len(text)) == words


@pytest.mark.parametrize(
    ("endpoint", "template"),
    [
        ("", "/"),
        ("?a=b", "/"),
        ("/" + "/".join("abcdefghijklmn"), "/a/b/c/d/e/f/g/h/i/j/k/{rest}"),
        ("/" + "/".join("abcdefghijk"), "/a/b/c/d/e/f/g/h/i/j/k"),
        ("/a{id}/b{id}@example.com", "/a{id}/{id}"),
        ("/courses/3", "/courses/{id}"),
        ("/api/3", "/api/3"),
        ("/{id}-ada@example.com", "/{id}"),
        ("/^users$", "/^users$"),
        ("/^v2.1$", "/^v2.1$"),
        ("/X17", "/X17"),
        ("/users/{id=ada@example.com}", "/users/{id}"),
    ],
)
def test_a_template_has_words_and_placeholders(endpoint: str, template: str) -> None:
    assert template_of(endpoint) == template


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_CACHED, 2), (LONGEST_CACHED + 1, 1)])
def test_long_segments_are_read_and_not_kept(length: int, kept: int) -> None:
    _is_recent_name.cache_clear()
    assert template_of("/" + "x" * length) == "/{id}"
    assert _is_recent_name.cache_info().currsize == kept


@pytest.mark.parametrize(
    ("segment", "before", "expected"),
    [
        ("3", "", False),
        ("3", "api", True),
        ("o" * 32, "", True),
        ("o" * 33, "", False),
        ("a." + "o" * 126, "", True),
        ("a." + "o" * 127, "", False),
        ("sha256", "", True),
        ("utf-8", "", True),
        ("course42", "", False),
        ("getOauth2Token", "", True),
        ("login-sha256", "", True),
        # letters that look random
        ("bcdfgh", "", True),
        ("bcdfghj", "", False),
        ("aBcDeFg", "", False),
        ("BaDeFoGu", "", False),
        ("GetSetRunMap", "", True),
        ("GoToLessons", "", True),
    ],
)
def test_a_word_of_a_route_is_told_from_an_id(segment: str, before: str, expected: bool) -> None:
    assert is_word(segment, before) is expected
