"""What an application hears of this SDK that has not configured logging: each kind of warning once, on stderr."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

from .errors import AnalyticsError
from .schemas.visible_text import visible

SECONDS_OF_SILENCE: Final = 3_600.0
"""After a warning, for others of its kind."""


class LastResort(logging.Handler):
    """Writes warnings while no other handler of the logger, or of those above it, gets them.

    Python's own last resort would do the same, but once for every event.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._said_at: dict[object, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the first record of its kind."""
        if self._is_heard_elsewhere() or not self._is_news(record) or sys.stderr is None:
            return
        try:
            sys.stderr.write(visible(f"{record.name}: {record.getMessage()}") + "\n")
        except Exception:  # noqa: BLE001 - as in every handler of logging: what it does then is logging's choice
            self.handleError(record)

    def _is_heard_elsewhere(self) -> bool:
        logger: logging.Logger | None = self._logger
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False

    def _is_news(self, record: logging.LogRecord) -> bool:
        told = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = type(told) if isinstance(told, AnalyticsError) else record.msg
        now = time.monotonic()
        is_news = now >= self._said_at.get(kind, float("-inf")) + SECONDS_OF_SILENCE
        if is_news:
            self._said_at[kind] = now
        return is_news
