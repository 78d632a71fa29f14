"""The verdict on one event, in the form of an answer. Pure."""

from __future__ import annotations

from typing import Any

from ingest.acceptance.accept import Acceptance, Outcome
from ingest.rejection import Rejection, is_retryable


def verdict(index: int, outcome: Outcome) -> dict[str, Any]:
    """Return the entry of `results` for the event at a position."""
    if isinstance(outcome, Rejection):
        facts = {"code": outcome.code, "pointer": outcome.pointer, "detail": outcome.detail}
        return {"index": index, "status": "retry" if is_retryable(outcome) else "rejected", **facts}
    accepted = {"index": index, "event_id": outcome.event.event_id, "status": "accepted"}
    return {**accepted, **edits(outcome)} if outcome.edits else accepted


def edits(accepted: Acceptance) -> dict[str, Any]:
    """Return the member `edits`: fields that were changed before storage. Empty if there are none."""
    return {"edits": [edit._asdict() for edit in accepted.edits]} if accepted.edits else {}
