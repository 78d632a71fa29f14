"""Types of properties: bounded numbers, identifiers and short labels. Free text is not among them."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from ..text.joiners import joiners_belong
from ..two_forms import either

LONGEST_IDENTIFIER: Final = 512
"""Maximum number of characters of an identifier as it is sent. Ingest may store a digest of it."""

# control characters, line separators, and characters that change the direction of writing
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
# characters without width: two ids could look the same; joiners have their own rule
_INVISIBLE = r"\u00ad\u200b\u200e-\u200f\u2060-\u2064\ufeff"

_IDENTIFIER: Final = rf"^[^{_UNPRINTABLE}{_INVISIBLE}]+$"
_REFUSED: Final = re.compile(f"[{_UNPRINTABLE}{_INVISIBLE}]")


class _Identifier:
    """Accepts text without invisible characters and returns it in NFC. Plain ASCII is in NFC already."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        common = core_schema.str_schema(strict=True, max_length=LONGEST_IDENTIFIER, pattern=r"^[ -~]+$")
        given = core_schema.str_schema(strict=True, min_length=1, max_length=LONGEST_IDENTIFIER)
        exact = core_schema.no_info_after_validator_function(_identifier, given)
        return either(common, exact, core_schema.simple_ser_schema("str"))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": LONGEST_IDENTIFIER, "pattern": _IDENTIFIER}


def _identifier(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if _REFUSED.search(composed) or not joiners_belong(composed):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": _IDENTIFIER})
    return composed


class _Whole:
    """Accepts a whole number, also with a zero fraction: some senders have a single type of number."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        integer = handler(source)
        exact = core_schema.no_info_before_validator_function(_without_zero_fraction, integer)
        return either(integer, exact, core_schema.simple_ser_schema("int"))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema["choices"][0][0])


def _without_zero_fraction(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Identifier = Annotated[str, _Identifier()]
"""An opaque id or short name: 1 to 512 visible characters."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^{_UNPRINTABLE}]+$")]
"""A short text for people, such as the name of an achievement: 1 to 200 characters, no control characters."""

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000)]
Percentage = Annotated[float, Field(ge=0, le=100)]
Score = Annotated[float, Field(ge=-1_000, le=1_000)]
Points = Annotated[int, Field(ge=0, le=1_000_000_000), _Whole()]
Count = Annotated[int, Field(ge=0, le=1_000_000_000), _Whole()]
Level = Annotated[int, Field(ge=1, le=1_000_000), _Whole()]
Days = Annotated[int, Field(ge=0, le=100_000), _Whole()]
Rating = Annotated[int, Field(ge=1, le=5), _Whole()]
StatusCode = Annotated[int, Field(ge=100, le=599), _Whole()]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]


class Properties(BaseModel):
    """Base of the properties of every event type: strict types, no unknown keys, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> str:
        """Return the stored form: a compact JSON object without absent properties."""
        # cheaper than model_dump_json, which passes about forty parameters
        return self.__pydantic_serializer__.to_json(self, exclude_none=True).decode()
