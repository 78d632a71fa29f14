"""Scopes of API keys, and issued keys in the form in which processes exchange them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Scope = Literal["events:write", "events:read", "learning:read", "system:read", "privacy:admin"]

SOURCE_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
"""Regular expression of the name of a service."""

SourceName = Annotated[str, Field(pattern=rf"^{SOURCE_NAME}$")]
"""Name of a service. Stored with its events."""


class IssuedKey(BaseModel):
    """A valid key, without its secret: `digest` is the HMAC-SHA-256 of the key, in hexadecimal."""

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
