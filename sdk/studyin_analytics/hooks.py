"""Calls hooks of the application, and contains their exceptions."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from .default_log import LastResort
from .errors import AnalyticsError, HookFailed
from .options import BeforeSend, OnError

LOGGER: Final = logging.getLogger("studyin_analytics")
LOGGER.addHandler(LastResort(LOGGER))


class ErrorHook:
    """Reports errors to on_error. Contains its exceptions, and reports no error that on_error itself causes."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        self._here = threading.local()

    def report(self, error: AnalyticsError) -> None:
        """Log and report an error. The caller must not hold a lock: on_error may call the SDK."""
        LOGGER.warning("%s", error)
        if self._on_error is None or getattr(self._here, "telling", False):
            return
        self._here.telling = True
        try:
            self._on_error(error)
        except Exception as failure:  # noqa: BLE001 - code of the application; its text may have values of events
            LOGGER.warning("on_error raised %s", type(failure).__name__)
        finally:
            self._here.telling = False


def filtered(before_send: BeforeSend | None, event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the event that before_send returns, or None to send nothing. Raises HookFailed."""
    if before_send is None:
        return event
    try:
        return before_send(event)
    except Exception as failure:
        raise HookFailed(f"before_send raised {type(failure).__name__}: the event was not sent") from failure
