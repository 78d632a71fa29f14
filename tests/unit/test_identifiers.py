"""Ids of senders become keys: purely, once and for all."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import (
    RESERVED_FLOOR,
    canonical_event_id,
    is_reserved,
    milliseconds_of,
    time_of,
    unix_milliseconds,
)

V7 = "019a1b2c-3d4e-7f60-8abc-0123456789ab"


def test_a_uuid7_is_kept() -> None:
    assert canonical_event_id(V7) == UUID(V7)
    assert canonical_event_id(V7.upper()) == UUID(V7)


@pytest.mark.parametrize("client_id", ["order-17", V7.replace("-", ""), V7.replace("-7f60", "-4f60"), f"{{{V7}}}", "ÿ"])
def test_any_other_string_maps_into_the_reserved_range(client_id: str) -> None:
    mapped = canonical_event_id(client_id)
    assert mapped.version == 8
    assert mapped.variant == "specified in RFC 4122"
    assert is_reserved(mapped)
    assert mapped >= RESERVED_FLOOR


@given(st.text(min_size=1, max_size=128))
def test_a_key_maps_to_itself(client_id: str) -> None:
    key = canonical_event_id(client_id)
    assert canonical_event_id(client_id) == key
    assert canonical_event_id(str(key)) == key


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_strings_have_different_keys(one: str, other: str) -> None:
    assert (canonical_event_id(one) == canonical_event_id(other)) == (one == other)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_a_uuid7_tells_its_time(moment: datetime) -> None:
    milliseconds = unix_milliseconds(moment)
    event_id = UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))
    assert milliseconds_of(str(event_id)) == milliseconds
    assert time_of(milliseconds) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
