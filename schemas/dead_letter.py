"""Payload of a dead letter: the parts of an entry that ingest would have accepted.

A malformed entry may hold anything, including personal data. A field is kept when it has the form of that field, a
property when the event type has it and its value is valid. Everything else is replaced by its length, `{"bytes": n}`.
So an event that ingest wrote is kept whole and can be decoded from its letter. The values of a row are kept by name; a
row that cannot be split is replaced by its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from .access import SOURCE_NAME
from .catalogue import CATALOGUE
from .entry import FIELDS, ROW, by_name
from .limits import MAX_EVENT_BYTES

OTHERS: Final = "(others)"
"""Key for all fields, or properties, with unknown names: their count and size in bytes."""

_PROPERTIES: Final = b"properties"
_UUID: Final = rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DATE: Final = rb"\d{4}-\d{2}-\d{2}"
_TIME: Final = _DATE + rb"T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[+-]\d{2}:\d{2})?"

_FORMS: Final[Mapping[bytes, re.Pattern[bytes]]] = {
    name: re.compile(form)
    for name, form in {
        b"event_id": _UUID,
        # any well-formed name: a newer release may have written it
        b"event_type": rb"[a-z][a-z0-9_]{0,63}",
        b"user_hash": rb"(?:[0-9a-f]{64})?",
        b"session_id": rb"(?:%b)?" % _UUID,
        b"occurred_at": _TIME,
        b"received_at": _TIME,
        b"activity_date": _DATE,
        b"schema_version": rb"\d{1,5}",
        b"source": SOURCE_NAME.encode(),
    }.items()
}


class NotKept(ValueError):
    """A letter lacks fields that its entry needs; the message names them."""


def scrub(fields: Mapping[bytes, bytes]) -> str:
    """Return the payload of an entry as an ASCII JSON object, which every text column can hold."""
    values = by_name(fields)
    kept: dict[str, Any] = {}
    for name in FIELDS:
        if name not in values:
            continue
        value = values[name]
        if name == _PROPERTIES:
            kept[name.decode()] = _scrub_properties(values.get(b"event_type", b""), value)
        else:
            kept[name.decode()] = value.decode() if _FORMS[name].fullmatch(value) else _gap(len(value))
    if ROW in values:
        kept[ROW.decode()] = _gap(len(values[ROW]))
    others = [len(name) + len(value) for name, value in values.items() if name not in FIELDS and name != ROW]
    if others:
        kept[OTHERS] = {"count": len(others), **_gap(sum(others))}
    return json.dumps(kept, ensure_ascii=True, allow_nan=False)


def restore(payload: str) -> dict[bytes, bytes]:
    """Return the fields of the entry. Raises NotKept when `scrub` replaced the value of one of them, or knew none."""
    kept: dict[str, Any] = json.loads(payload)
    others = kept.pop(OTHERS, None)
    if others and not kept:
        # a row, to a release that did not know this form
        raise NotKept("not kept: every field")
    properties = kept.get("properties")
    gaps = [name for name, value in kept.items() if isinstance(value, dict) and name != "properties"]
    # no property is an object: an object is the length of one value, or of all properties
    if isinstance(properties, dict) and (
        properties.keys() == {"bytes"} or any(isinstance(value, dict) for value in properties.values())
    ):
        gaps.append("properties")
    if gaps:
        raise NotKept(f"not kept: {', '.join(gaps)}")
    return {
        name.encode(): value.encode() if isinstance(value, str) else _compact(value).encode()
        for name, value in kept.items()
    }


def learner_of(payload: str) -> bytes | None:
    """Return the pseudonym in a payload; None when it has none."""
    name = json.loads(payload).get("user_hash")
    return bytes.fromhex(name) if isinstance(name, str) and name else None


def _scrub_properties(event_type: bytes, text: bytes) -> dict[str, Any]:
    kind = CATALOGUE.get(event_type.decode(errors="replace"))
    if kind is None or len(text) > MAX_EVENT_BYTES:
        return _gap(len(text))
    model = kind.properties
    try:
        allowed: dict[str, Any] = model.model_validate_json(text).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        return _scrub_refused(model, text, {fault["loc"][0] for fault in faults if fault["loc"]})
    return allowed


def _scrub_refused(model: type[BaseModel], text: bytes, faulty: set[int | str]) -> dict[str, Any]:
    try:
        content = from_json(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return _gap(len(text))
    kept = {
        name: _gap(len(_compact(value))) if name in faulty else value
        for name, value in content.items()
        if name in model.model_fields
    }
    others = [len(name) + len(_compact(value)) for name, value in content.items() if name not in model.model_fields]
    return kept | ({OTHERS: {"count": len(others), **_gap(sum(others))}} if others else {})


def _gap(size: int) -> dict[str, int]:
    return {"bytes": size}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
