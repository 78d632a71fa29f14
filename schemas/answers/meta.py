"""Parts that answers share: counts, and `meta` with the freshness and the window of an answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]


class _Meta(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    consistent_through: datetime | None = Field(
        description="Every event accepted (202) before this time of Redis' clock is settled. Null until it is known."
    )
    generated_at: datetime = Field(description="Time just before the database was read.")


class DaysMeta(_Meta):
    """Freshness and window of an answer about days."""

    from_: date = Field(alias="from", description="First activity date of the window.")
    to: date = Field(
        description="Last activity date of the window, included: today in `timezone`, or the learner's last activity"
        " date if it is later."
    )
    timezone: str = Field(description="IANA name of the time zone that determines today.")


class HoursMeta(_Meta):
    """Freshness and window of an answer about hours."""

    from_: datetime = Field(alias="from", description="Start of the window, rounded down to five minutes, included.")
    to: datetime = Field(description="End of the current five minutes, not included.")
    complete_from: datetime | None = Field(
        description="Start of the retained data, if the window begins earlier: numbers do not include older data."
        " Null when the whole window is retained."
    )


class WindowMeta(_Meta):
    """Freshness and window of an answer about single events."""

    from_: datetime = Field(alias="from", description="Start of the window, included.")
    to: datetime = Field(description="End of the window, not included.")
