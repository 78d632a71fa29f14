"""What an operator may change about a running system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.settings import Settings
from tests.support.access import PSEUDONYM_KEYS
from tests.support.terminal import Ended, Operator

KEPT_DAYS = 60
"""Retention of API health in days: longer than every requested window."""


@dataclass(frozen=True)
class Shape:
    """The settings of all processes."""

    base: Settings
    partitions: int = 1
    keys: str = PSEUDONYM_KEYS
    raw_days: int = 90

    @property
    def settings(self) -> Settings:
        """Return the settings for a process of the test itself."""
        changes = {
            "stream_partitions": self.partitions,
            "pseudonym_keys": self.keys,
            "raw_retention_days": self.raw_days,
            "system_metrics_retention_days": KEPT_DAYS,
        }
        return Settings.model_validate(self.base.model_dump() | changes)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the same settings for other processes."""
        return {
            "ANALYTICS_STREAM_PARTITIONS": str(self.partitions),
            "ANALYTICS_PSEUDONYM_KEYS": self.keys,
            "ANALYTICS_RAW_RETENTION_DAYS": str(self.raw_days),
            "ANALYTICS_SYSTEM_METRICS_RETENTION_DAYS": str(KEPT_DAYS),
        }

    async def operate(self, place: Path, *arguments: str) -> Ended:
        """Run a command as an operator of this system."""
        return await Operator(self.base, place, self.environment).run(*arguments)

    async def with_new_key(self, place: Path) -> Shape:
        """Return the shape after `analytics keys rotate-pseudonym`."""
        ended = await self.operate(place, "keys", "rotate-pseudonym")
        assert ended.code == 0, ended.err
        return replace(self, keys=ended.out.strip())
