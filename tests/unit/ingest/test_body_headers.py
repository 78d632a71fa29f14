"""Accepted media types and content encodings: JSON in UTF-8, plain or gzipped, in any spelling of the headers."""

from __future__ import annotations

import pytest

from ingest.body import check_headers
from web.problems import Refusal

READ = [
    "application/json",
    "Application/JSON",
    " application/json ;",
    "application/json;charset=utf-8",
    "application/json; charset=UTF-8",
    "application/json; charset=utf8",
    "application/json; charset=UTF8",
    'application/json; charset="utf-8"',
    "application/json; charset='utf-8'",
    "application/json ; CHARSET = utf-8 ; odata.metadata=minimal",
    "application/json; v=1; charset=utf-8",
]
NOT_READ = [
    "",
    "text/plain",
    "text/json",
    "application/json5",
    "application/vnd.api+json",
    "application/json, text/plain",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/json; charset=utf8mb4",
    "application/json; charset=",
    "application/json; charset",
    "application/json; charset=\"utf-8'",
    "application/json; v=1; charset=latin-1",
    "application/json; charset=utf-8; charset=latin-1",
    "application/json; charset=utf-8, text/plain",
]


@pytest.mark.parametrize("content_type", READ)
def test_json_in_utf_8_is_read(content_type: str) -> None:
    assert check_headers({"content-type": content_type}) == ""


@pytest.mark.parametrize("content_type", NOT_READ)
def test_anything_else_is_a_415(content_type: str) -> None:
    with pytest.raises(Refusal, match="unsupported_media_type") as refusal:
        check_headers({"content-type": content_type})
    assert refusal.value.status == 415


@pytest.mark.parametrize(("coding", "read"), [("gzip", "gzip"), (" GZIP ", "gzip"), ("identity", "identity"), ("", "")])
def test_a_body_may_be_gzipped(coding: str, read: str) -> None:
    assert check_headers({"content-type": "application/json", "content-encoding": coding}) == read


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "gzip,identity", "identity, gzip", "br", "gzip;q=1", "gzip gzip", ","]
)
def test_other_codings_and_several_are_a_415(coding: str) -> None:
    with pytest.raises(Refusal, match="unsupported_media_type"):
        check_headers({"content-type": "application/json", "content-encoding": coding})
