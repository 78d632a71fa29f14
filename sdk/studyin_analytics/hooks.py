"""Calls into the application that uses this SDK, none of which can harm the sender."""

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
    """Tells on_error; an exception of it goes no further, and what it causes itself is not told to it again."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        self._here = threading.local()

    def tell(self, error: AnalyticsError) -> None:
        """Log the error and tell it. Must not be called while holding a lock: on_error may do anything."""
        LOGGER.warning("%s", error)
        if self._on_error is None or getattr(self._here, "telling", False):
            return
        self._here.telling = True
        try:
            self._on_error(error)
        except Exception as failure:  # noqa: BLE001 - it is not ours, and its text may have values of events
            LOGGER.warning("on_error raised %s", type(failure).__name__)
        finally:
            self._here.telling = False


def filtered(before_send: BeforeSend | None, event: dict[str, Any]) -> dict[str, Any] | None:
    """Return what before_send makes of an event, None when it is not to be sent. Raises HookFailed."""
    if before_send is None:
        return event
    try:
        return before_send(event)
    except Exception as failure:
        raise HookFailed(f"before_send raised {type(failure).__name__}: the event was not sent") from failure
