"""The reason why an event is not accepted: its own fault, a fault of this service, or too much work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, ParamSpec, TypeVar

from telemetry import internal_events as telemetry
from web.problems import Refusal


@dataclass(frozen=True)
class Rejection:
    """Why one event is not accepted. Contains no value of the event."""

    code: str
    """Stable; clients may depend on it."""
    pointer: str
    """JSON Pointer (RFC 6901) into the event; empty for the event as a whole."""
    detail: str


DEFECT: Final = Rejection("defect", "", "A fault of this service; it has been logged. Send this event again.")
"""The outcome of an event on which this service failed. The sender is asked to retry."""

TOO_COSTLY: Final = Rejection(
    "too_costly",
    "",
    "The events before this one took too much work to check. Send this event again, in a smaller batch.",
)
"""The outcome of an event that was not checked. The sender is asked to retry."""

P = ParamSpec("P")
T = TypeVar("T")


def is_defect(outcome: object) -> bool:
    """Return whether this service failed on the event."""
    return isinstance(outcome, Rejection) and outcome.code == DEFECT.code


def is_retryable(outcome: object) -> bool:
    """Return whether the sender must send the event again, because it was not checked."""
    return isinstance(outcome, Rejection) and outcome.code in (DEFECT.code, TOO_COSTLY.code)


def defect_refusal() -> Refusal:
    """Return the answer to a request on which this service failed."""
    detail = "A fault of this service; it has been logged. Send the events again."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "defect", detail)


def isolate_defect(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | Rejection:
    """Call a function for one event and return its result. If it raises, log and count the fault and return DEFECT."""
    try:
        return function(*arguments, **options)
    # a defect may raise anything, and the other events of the request must still be stored
    except Exception as error:  # noqa: BLE001 - logged, counted, and reported to the sender
        telemetry.defect_confined(error)
        return DEFECT
