"""Types of the envelope fields of an event: learner, event id, session, time, schema version."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from .identifiers import session_uuid
from .text.placeholders import is_placeholder
from .two_forms import either

LONGEST_ID: Final = 512
"""Maximum number of characters of the id of a learner or an event."""

LONGEST_SESSION_ID: Final = 128
"""Maximum number of characters of the id of a session."""

_MAX_DIGITS: Final = 25
"""Maximum number of digits of an id that is sent as a number."""

_EXACT_FLOATS: Final = 2**53
"""Below it, a float represents exactly one whole number."""

_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]+$"
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TEXT: Final = core_schema.simple_ser_schema("str")

# A digit other than zero without @, or the form of an email address; no brackets. No placeholder matches.
_COMMON_USER_ID: Final = (
    r"^(?:(?:[1-9]|[A-Za-z0-9][A-Za-z0-9._:+~-]*[1-9])[A-Za-z0-9._:+~-]*"
    r"|[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+)$"
)
# A version and a variant of RFC 9562: excludes the UUIDs of only zeros and only ones.
_COMMON_SESSION_ID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


def id_text(value: object, longest: int = LONGEST_ID) -> str:
    """Return an id as text: a text unchanged, a whole number as decimal digits.

    Raises PydanticCustomError or PydanticKnownError for a value that is not an id, and for a placeholder.
    """
    text = value if isinstance(value, str) else _digits(value)
    if not text:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    if len(text) > longest:
        raise PydanticKnownError("string_too_long", {"max_length": longest})
    if is_placeholder(text):
        raise PydanticCustomError("placeholder_id", "This id stands for nobody; send the real one.")
    if not text.isalnum() and _NO_TEXT.search(text):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": _NO_CONTROLS})
    return text


def _digits(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_MAX_DIGITS:
        return str(value)
    raise PydanticCustomError("id_type", f"Send an id as text, or as a whole number of at most {_MAX_DIGITS} digits.")


class _UserId:
    """Accepts the raw id of a learner, as text or as a whole number."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        common = core_schema.str_schema(strict=True, max_length=LONGEST_ID, pattern=_COMMON_USER_ID)
        return either(common, core_schema.no_info_plain_validator_function(id_text), _TEXT)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _text_or_integer(LONGEST_ID)


@dataclass(frozen=True)
class OpaqueSession:
    """A session whose id is not a UUID."""

    name: str
    """In NFC."""


class _SessionId:
    """Accepts a UUID in any form, returned in lower case with hyphens, and any other text as an OpaqueSession."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        common = core_schema.str_schema(strict=True, pattern=_COMMON_SESSION_ID)
        return either(common, core_schema.no_info_plain_validator_function(_session), _TEXT)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _text_or_integer(LONGEST_SESSION_ID)


def _session(value: object) -> str | OpaqueSession:
    text = id_text(value, LONGEST_SESSION_ID)
    return session_uuid(text) or OpaqueSession(unicodedata.normalize("NFC", text))


def _text_or_integer(longest: int) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": _NO_CONTROLS}
    return {"anyOf": [text, {"type": "integer"}]}


# UTC offsets that are in use. A time without an offset is refused later, with a code of its own.
_OFFSET: Final = r"[Zz]|\+(?:0[0-9]|1[0-3]):[0-5][0-9]|\+14:00|-(?:0[0-9]|1[01]):[0-5][0-9]|-12:00"
_RFC_3339: Final = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?({_OFFSET})?$"


class _Rfc3339:
    """Refuses texts of another form: the datetime parser alone would read "1790000000" as seconds."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        form = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=_RFC_3339),
            custom_error_type="datetime_parsing",
            custom_error_context={"error": "in the form of RFC 3339, with an offset from -12:00 to +14:00"},
        )
        return core_schema.chain_schema([core_schema.str_schema(strict=True), form, handler(source)])

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


class _SchemaVersion:
    """Accepts 1; null means 1."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        literal = handler(source)
        exact = core_schema.no_info_before_validator_function(_version, literal)
        return either(literal, exact, core_schema.simple_ser_schema("int"))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": [1, None]}


def _version(value: object) -> object:
    return 1 if value is None else value


UserId = Annotated[str, _UserId()]
"""The raw id of the learner of an event or a token. Placeholders are refused."""

AskedUserId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=_NO_CONTROLS)]
"""The raw id of a learner in a query. Allows placeholders: earlier releases stored some, and they can be erased."""

EventId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=_NO_CONTROLS)]

SessionId = Annotated[str | OpaqueSession, _SessionId()]

AskedSessionId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SESSION_ID, pattern=_NO_CONTROLS)]

# not strict: after the first step the input is no longer JSON, and a strict datetime accepts text from JSON only
Timestamp = Annotated[AwareDatetime, Field(strict=False), _Rfc3339()]

SchemaVersion = Annotated[Literal[1], _SchemaVersion()]
