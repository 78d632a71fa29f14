"""The write key is sent as HTTP Basic with an empty password, and in no other form."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.segment.credentials import write_key


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@given(st.text(min_size=1).filter(lambda key: ":" not in key))
def test_the_key_is_the_name_of_the_user(key: str) -> None:
    assert write_key(basic(f"{key}:")) == key
    assert write_key(basic(f"{key}:").replace("Basic", "basic")) == key


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic ?",
        "Basic YQ",
        basic("key"),
        basic(":"),
        basic("key:password"),
        basic("key::"),
        "Bearer " + basic("key:").removeprefix("Basic "),
        "Basic " + base64.b64encode(b"\xff:").decode(),
    ],
)
def test_anything_else_is_no_key(header: str | None) -> None:
    assert write_key(header) is None


@given(st.text())
def test_no_header_is_a_defect(credentials: str) -> None:
    write_key(f"Basic {credentials}")
