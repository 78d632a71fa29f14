"""What a service may do, and a key that was issued to it, as processes tell each other."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Scope = Literal["events:write", "events:read", "learning:read", "system:read", "privacy:admin"]

SOURCE_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
"""Form of a service's name, as a regular expression."""

SourceName = Annotated[str, Field(pattern=rf"^{SOURCE_NAME}$")]
"""Name of a service; stored with its events."""


class IssuedKey(BaseModel):
    """A key in force, without the key: `digest` is its HMAC-SHA-256, in hex."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    source: SourceName
    scopes: frozenset[Scope]
    rate_limit_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    rate_limit_burst: Annotated[int, Field(ge=1)] | None = None
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _a_burst_belongs_to_a_rate(self) -> IssuedKey:
        if self.rate_limit_burst is not None and self.rate_limit_per_second is None:
            raise ValueError("rate_limit_burst needs rate_limit_per_second beside it")
        return self


ISSUED_KEYS: TypeAdapter[list[IssuedKey]] = TypeAdapter(list[IssuedKey])
