"""Ids of senders become keys: purely, once and for all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import (
    RESERVED_FLOOR,
    canonical_event_id,
    counterpart,
    is_reserved,
    milliseconds_of,
    time_of,
    unix_milliseconds,
    uuid8,
)

V7 = "019a1b2c-3d4e-7f60-8abc-0123456789ab"
V4 = V7.replace("-7f60", "-4f60")
SOURCES = st.text(min_size=1, max_size=40)


def key_of_the_release_before(client_id: str) -> UUID:
    return uuid8(b"\xff\xff" + hashlib.sha256(b"studyin/event-id/1\x00" + client_id.encode()).digest())


def test_a_uuid7_is_kept() -> None:
    assert canonical_event_id(V7, "shop") == UUID(V7)
    assert canonical_event_id(V7.upper(), "shop") == UUID(V7)


@pytest.mark.parametrize("client_id", ["order-17", V7.replace("-", ""), V4, f"{{{V7}}}", "ÿ"])
def test_any_other_string_maps_into_the_reserved_range(client_id: str) -> None:
    mapped = canonical_event_id(client_id, "shop")
    assert mapped.version == 8
    assert mapped.variant == "specified in RFC 4122"
    assert is_reserved(mapped)
    assert mapped >= RESERVED_FLOOR


@given(st.text(min_size=1, max_size=128), SOURCES, SOURCES)
def test_a_key_maps_to_itself_whoever_sends_it(client_id: str, source: str, other: str) -> None:
    key = canonical_event_id(client_id, source)
    assert canonical_event_id(client_id, source) == key
    assert canonical_event_id(str(key), source) == canonical_event_id(str(key), other) == key


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_strings_have_different_keys(one: str, other: str) -> None:
    assert (canonical_event_id(one, "shop") == canonical_event_id(other, "shop")) == (one == other)


@given(SOURCES, SOURCES)
def test_one_text_of_two_services_has_two_keys(one: str, other: str) -> None:
    assert (canonical_event_id("order-17", one) == canonical_event_id("order-17", other)) == (one == other)


NO_UUIDS = {
    "an MD5 with hyphens": "5d41402a-bc4b-0a76-b971-9d911017c592",
    "an MD5": "5d41402abc4b2a76b9719d911017c592",
    "a UUID without hyphens": V4.replace("-", ""),
    "a UUID in braces": f"{{{V4}}}",
    "a URN": f"urn:uuid:{V4}",
    "a UUID and more": f"{V4}-1",
    "a variant of no RFC": f"{V4[:19]}c{V4[20:]}",
}


@pytest.mark.parametrize("client_id", NO_UUIDS.values(), ids=NO_UUIDS.keys())
def test_what_only_looks_like_a_uuid_is_a_text_of_its_service(client_id: str) -> None:
    assert canonical_event_id(client_id, "shop") != canonical_event_id(client_id, "school")


@pytest.mark.parametrize("version", "1234568")
def test_a_uuid_has_the_key_it_always_had_whoever_sends_it(version: str) -> None:
    client_id = f"{V7[:14]}{version}{V7[15:]}"
    keys = {canonical_event_id(client_id, source) for source in ("shop", "school")}
    assert keys == {key_of_the_release_before(client_id)}


@given(st.text(min_size=1, max_size=40), SOURCES)
def test_the_key_of_the_release_before_and_the_key_of_today_follow_from_each_other(text: str, source: str) -> None:
    before = key_of_the_release_before(text)
    today = canonical_event_id(text, source)
    assert counterpart(before, source) == today
    assert counterpart(today, source) == before
    assert is_reserved(today)
    assert (today.version, today.variant) == (8, "specified in RFC 4122")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_a_uuid7_tells_its_time(moment: datetime) -> None:
    milliseconds = unix_milliseconds(moment)
    event_id = UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))
    assert milliseconds_of(str(event_id)) == milliseconds
    assert time_of(milliseconds) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
