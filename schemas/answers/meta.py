"""Parts that answers share: counts, and `meta` with freshness and window of time."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]


class _Meta(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    consistent_through: datetime | None = Field(
        description="Every event accepted (202) before this moment of Redis' clock is settled; null until known."
    )
    generated_at: datetime = Field(description="When the database was about to be read.")


class DaysMeta(_Meta):
    """Freshness and window of an answer about days."""

    from_: date = Field(alias="from", description="First activity date of the window.")
    to: date = Field(
        description="Last activity date of the window, included: today in `timezone`, or the learner's last activity"
        " date if that is later."
    )
    timezone: str = Field(description="IANA name of the zone that says which day is today.")


class HoursMeta(_Meta):
    """Freshness and window of an answer about hours."""

    from_: datetime = Field(alias="from", description="Start of the window, floored to five minutes; included.")
    to: datetime = Field(description="End of the running five minutes; not included.")
    complete_from: datetime | None = Field(
        description="Start of what is still kept, where the window begins earlier: numbers lack what is older."
        " Null when the whole window is kept."
    )


class WindowMeta(_Meta):
    """Freshness and window of an answer about single events."""

    from_: datetime = Field(alias="from", description="Start of the window, included.")
    to: datetime = Field(description="End of the window, not included.")
