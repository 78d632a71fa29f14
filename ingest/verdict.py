"""What a sender is told of one event, as the body of an answer has it. Pure."""

from __future__ import annotations

from typing import Any

from ingest.accept import Acceptance
from ingest.defects import comes_again
from ingest.faults import Rejection


def verdict(index: int, judged: Acceptance | Rejection) -> dict[str, Any]:
    """Return the entry of `results` for the event at a position."""
    if isinstance(judged, Rejection):
        facts = {"code": judged.code, "pointer": judged.pointer, "detail": judged.detail}
        return {"index": index, "status": "retry" if comes_again(judged) else "rejected", **facts}
    accepted = {"index": index, "event_id": judged.event.event_id, "status": "accepted"}
    return {**accepted, **edits(judged)} if judged.edits else accepted


def edits(accepted: Acceptance) -> dict[str, Any]:
    """Return what is stored otherwise than it was sent; nothing when nothing is."""
    return {"edits": [edit._asdict() for edit in accepted.edits]} if accepted.edits else {}
