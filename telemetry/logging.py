"""Structured logs on stderr: JSON for machines, colours on a terminal. Neither holds personal data."""

from __future__ import annotations

import logging
import sys
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from runtime.errors import AnalyticsError
from runtime.settings import Settings
from schemas.text.visible_text import visible

request_id: Final[ContextVar[str]] = ContextVar("request_id")
"""Id of the request that this task answers. Every line that it logs has it."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NO_VALUES: Final = (AnalyticsError, OSError)


def configure(settings: Settings) -> None:
    """Configure logging of this process, before anything is logged. A second call replaces the configuration."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    render: list[Processor] = (
        [structlog.processors.JSONRenderer()]
        if as_json
        else [_escape_texts, _exception_as_text, structlog.dev.ConsoleRenderer()]
    )
    level = _LEVELS[settings.log_level]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # libraries log in the same form, without their debug output, which may quote data
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render], foreign_pre_chain=shared
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def get(component: str) -> FilteringBoundLogger:
    """Return the logger of a component. Every line it writes has the field `component`."""
    logger: FilteringBoundLogger = structlog.get_logger(component=component)
    return logger


def bind(**context: str) -> None:
    """Add fields to every line that this task logs from now on, such as the name of a consumer."""
    structlog.contextvars.bind_contextvars(**context)


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # `bind` would do, but takes microseconds of every request
    current = request_id.get(None)
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the exception by its types and frames: messages and local variables may hold data of a sender."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = [_description(link) for link in _chain(error)]
    return event


def _escape_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, so that foreign text cannot control the terminal."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}


def _exception_as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Format the description for people, innermost cause last."""
    if described := event.get("exception"):
        lines = [": ".join(filter(None, (link["type"], visible(link.get("message", ""))))) for link in described]
        places = ["".join(f"\n    {place}" for place in link["frames"]) for link in described]
        event["exception"] = "\n".join(line + place for line, place in zip(lines, places, strict=True))
    return event


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in links:
        links.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return links


def _description(error: BaseException) -> dict[str, Any]:
    described: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, _NO_VALUES):
        described["message"] = str(error)
    return described | {"frames": _frames(error.__traceback__)}


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
