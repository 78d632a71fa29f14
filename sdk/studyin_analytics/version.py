"""The version of the SDK, which its requests carry."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
USER_AGENT: Final = f"studyin-analytics-python/{VERSION}"
