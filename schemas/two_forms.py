"""Fields with two schemas: a common form, validated in compiled code, and an exact one for all other forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import CoreSchema, core_schema

_COMMON: Final = "(common form)"
_EXACT: Final = "(exact)"


class Fault(NamedTuple):
    """An error of one field. Repeats no value."""

    kind: str
    """Type of pydantic's error."""
    location: Sequence[int | str]
    message: str


def either(common: CoreSchema, exact: CoreSchema, serialized: core_schema.SerSchema) -> CoreSchema:
    """Return a schema that tries `common` first. `exact` validates what `common` refuses, and reports the errors."""
    return core_schema.union_schema(
        [(common, _COMMON), (exact, _EXACT)], mode="left_to_right", serialization=serialized
    )


def first_fault(error: ValidationError) -> Fault:
    """Return the first error that the exact schema of a field reports."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    fault = next(one for one in faults if _schema_of(one) != _COMMON)
    location = fault["loc"]
    return Fault(fault["type"], location[:-1] if _schema_of(fault) else location, fault["msg"])


def _schema_of(fault: Mapping[str, Any]) -> str | None:
    # a key that is not part of an event may have any name, also one of these two
    last = fault["loc"][-1] if fault["loc"] and fault["type"] != "extra_forbidden" else None
    return last if last in (_COMMON, _EXACT) else None
