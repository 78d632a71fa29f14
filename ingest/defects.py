"""Confines a fault of this service to the event that met it, so that the other events of a request are stored."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, ParamSpec, TypeVar

from ingest.effort import TOO_COSTLY
from ingest.faults import Rejection
from telemetry import events as telemetry
from web.problems import Refusal

DEFECT: Final = Rejection("defect", "", "A fault of this service; it has been logged. Send this event again.")
"""Stands for the judgement of an event that could not be judged. Its verdict is `retry`."""

P = ParamSpec("P")
T = TypeVar("T")


def is_defect(judged: object) -> bool:
    """Return whether a judgement is DEFECT, also when it was told in other words."""
    return isinstance(judged, Rejection) and judged.code == DEFECT.code


def comes_again(judged: object) -> bool:
    """Return whether an event was not judged, so that its sender must send it again."""
    return isinstance(judged, Rejection) and judged.code in (DEFECT.code, TOO_COSTLY.code)


def defect_refusal() -> Refusal:
    """Return the answer to a request that met a fault of this service."""
    detail = "A fault of this service; it has been logged. Send the events again."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "defect", detail)


def confined(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | Rejection:
    """Return what the function returns, or DEFECT when it raises; the fault is logged and counted."""
    try:
        return function(*arguments, **options)
    # what a fault raises is not known beforehand, and the events beside it must be stored all the same
    except Exception as error:  # noqa: BLE001 - logged, counted, and told to the sender
        telemetry.defect_confined(error)
        return DEFECT
