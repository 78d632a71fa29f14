"""Default log output of the SDK: if logging is not configured, one warning of each kind on standard error."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

from .errors import AnalyticsError
from .schemas.text.visible_text import visible

SECONDS_SUPPRESSED: Final = 3_600.0
"""Time after a warning in which others of its kind are suppressed."""


class LastResort(logging.Handler):
    """Writes warnings if neither the logger nor its ancestors have another handler.

    Unlike `logging.lastResort` it does not repeat a warning for every event.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._written_at: dict[object, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless one of its kind was written recently."""
        if self._has_other_handler() or not self._is_due(record) or sys.stderr is None:
            return
        try:
            sys.stderr.write(visible(f"{record.name}: {record.getMessage()}") + "\n")
        except Exception:  # noqa: BLE001 - handleError decides, as in every logging handler
            self.handleError(record)

    def _has_other_handler(self) -> bool:
        logger: logging.Logger | None = self._logger
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False

    def _is_due(self, record: logging.LogRecord) -> bool:
        reported = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = type(reported) if isinstance(reported, AnalyticsError) else record.msg
        now = time.monotonic()
        is_due = now >= self._written_at.get(kind, float("-inf")) + SECONDS_SUPPRESSED
        if is_due:
            self._written_at[kind] = now
        return is_due
