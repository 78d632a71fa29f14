"""Parameters of the questions. A query with an unknown parameter is refused by name."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, tzinfo
from functools import cache
from importlib import resources
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError, PydanticKnownError
from starlette.datastructures import QueryParams

from schemas.catalogue import EventType
from schemas.envelope_fields import AskedSessionId, AskedUserId, Timestamp
from schemas.live import MAX_CURSOR
from schemas.problems import ProblemError, safe_name
from web.problems import invalid_parameters

MAX_DAYS: Final = 3_650
MAX_HOURS: Final = 720
"""API health is kept for 30 days."""
MAX_EVENTS: Final = 500
"""Maximum events of one page."""
_MAX_CURSOR: Final = 128


_NO_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})
"""Names without a place. Their meaning depends on the machine."""
_ZONES: Final = "tzdata.zoneinfo"

_SPANS: Final = frozenset({"days", "hours", "tz", "limit"})
"""Parameters that the audit log records. Their values have a bounded length."""

_REPEATABLE: Final = frozenset({"type"})


@cache
def _zones() -> frozenset[str]:
    # only names in this list reach the file system
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(names) - _NO_ZONES


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError("unknown_time_zone", "Input should be the IANA name of a time zone")
    return name


@cache
def zone(name: str) -> tzinfo:
    """Return the zone of a validated name, from the package tzdata: the same on every machine."""
    if name == "UTC":
        return UTC
    with resources.files(_ZONES).joinpath(name).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def refuse_repeated(query: QueryParams) -> None:
    """Raise Refusal (422) when a parameter with one value is repeated, even with equal values."""
    given = query.multi_items()
    if len(given) == len(query):
        return
    counts = Counter(name for name, _ in given if name not in _REPEATABLE)
    faults = [
        ProblemError(code="repeated_parameter", parameter=safe_name(name), detail="Give this parameter once.")
        for name, count in counts.items()
        if count > 1
    ]
    if faults:
        raise invalid_parameters(faults)


_TYPES: Final = frozenset(event_type.value for event_type in EventType)


def _known_types(names: str) -> str:
    if not _TYPES.issuperset(names.split(",")):
        raise PydanticCustomError("unknown_event_type", "Input should be types of events, separated by commas")
    return names


LiveCursor = Annotated[str, Field(pattern=r"^([0-9]{1,16}|~[A-Za-z0-9_-]+)$", max_length=MAX_CURSOR)]
"""Cursor of a subscriber to live events."""

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]+")


def _decimal(value: object) -> object:
    # int() also accepts 1_0, 1.0, +1, blanks and digits of other scripts
    if isinstance(value, str) and not _WHOLE_NUMBER.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


WholeNumber = Annotated[int, BeforeValidator(_decimal)]
"""A number in decimal digits."""

Days = Annotated[
    int, Field(ge=1, le=MAX_DAYS, description="Number of activity dates up to `meta.to`."), BeforeValidator(_decimal)
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def span(self) -> dict[str, str]:
        """Return the given parameters that the audit log records."""
        given = sorted(_SPANS & self.model_fields_set)
        return {name: str(getattr(self, name)) for name in given}


class _AboutLearner(_Asked):
    user_id: AskedUserId | None = Field(
        None, description="The learner. Required with a service's key, optional with a learner's token."
    )
    tz: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="IANA name of the time zone that determines the current date."
    )


class LastMonth(_AboutLearner):
    """A learner's last days, 30 by default."""

    days: Days = 30


class LastYear(_AboutLearner):
    """A learner's last days, a year by default."""

    days: Days = 365


class LastDay(_Asked):
    """The platform's last hours, 24 by default."""

    hours: WholeNumber = Field(24, ge=1, le=MAX_HOURS)
    limit: WholeNumber = Field(10, ge=1, le=100, description="Maximum number of endpoints.")


def _apart(values: object) -> object:
    return [one for value in values for one in str(value).split(",")] if isinstance(values, list) else values


class EventQuery(_Asked):
    """Stored events of the last 24 hours by default."""

    types: Annotated[list[EventType], FailFast(), BeforeValidator(_apart)] = Field(
        [], alias="type", description="Only these types: separated by commas, or as repeated parameters."
    )
    user_id: AskedUserId | None = Field(None, description="Only events of this learner. The id is hashed at once.")
    session_id: AskedSessionId | None = Field(
        None, description="Only events of this session, by the id that services send."
    )
    since: Timestamp | None = Field(
        None, description="Start of the window, included: RFC 3339 with an offset. Default: a day before its end."
    )
    until: Timestamp | None = Field(None, description="End of the window, excluded. Default: now.")
    limit: WholeNumber = Field(100, ge=1, le=MAX_EVENTS, description="Maximum number of events.")
    cursor: str | None = Field(
        None, max_length=_MAX_CURSOR, description="`next_cursor` of the previous page, with the same query."
    )


class LiveQuery(BaseModel):
    """Live events to follow, and where to start."""

    model_config = ConfigDict(extra="forbid")

    types: Annotated[str, AfterValidator(_known_types)] | None = Field(
        None, description="Event types, separated by commas. Default: all types."
    )
    user_id: AskedUserId | None = Field(
        None, description="The learner. Default: all learners with a service's key, the learner of a learner's token."
    )
    last_id: LiveCursor | None = Field(
        None,
        description="Cursor of the last frame or `id` of the last message: continue there. Default: only new messages.",
    )

    def span(self) -> dict[str, str]:
        """Return the requested types, for the audit log."""
        return {"types": ",".join(sorted(self.event_types))} if self.event_types else {}

    @property
    def event_types(self) -> frozenset[str] | None:
        """The types as a set; None: all."""
        return None if self.types is None else frozenset(self.types.split(","))


class OneLearner(BaseModel):
    """The learner that the path names."""

    model_config = ConfigDict(extra="forbid")

    user_id: AskedUserId = Field(description="The learner's id as services send it, percent-encoded.")


class OneJob(BaseModel):
    """The erasure that the path names."""

    model_config = ConfigDict(extra="forbid")

    job_id: UUID
