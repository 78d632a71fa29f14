"""Entries of ANALYTICS_API_KEYS."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.access import Scope, SourceName


class ApiKeySetting(BaseModel):
    """One entry of ANALYTICS_API_KEYS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: SourceName
    key: SecretStr
    scopes: frozenset[Scope]
    rate_limit_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Maximum rate of events (not requests); None: no limit."""
    rate_limit_burst: Annotated[int, Field(ge=1)] | None = None
    """Maximum events at once. Default: the larger of a full batch and the events of one second."""

    @model_validator(mode="after")
    def _a_burst_belongs_to_a_rate(self) -> Self:
        if self.rate_limit_burst is not None and self.rate_limit_per_second is None:
            raise ValueError("rate_limit_burst needs rate_limit_per_second beside it")
        return self
