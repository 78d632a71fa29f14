"""What Segment's clients send, as far as it is read, and what they are told. All else they send is dropped here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from ingest.parse import check_count, load
from runtime.refusal import Refusal
from schemas.limits import MAX_BATCH_EVENTS
from schemas.verdicts import Edit

TRACK: Final = "track"
UNSUPPORTED: Final = ("identify", "page", "screen", "group", "alias")
"""Calls that hold names, addresses and traits, and nothing that may be stored."""

Text = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
"""A text as a rule; what else it is, is told of this message and not of the whole batch."""


class SegmentMessage(BaseModel):
    """One call. `context`, `traits`, `integrations` and whatever else a client adds is read no further."""

    model_config = ConfigDict(frozen=True)

    type: Text = Field(None, description="`track`; other calls are answered and ignored.")
    event: Text = Field(None, description="Name of what happened.")
    message_id: Text = Field(None, alias="messageId", description="Idempotency key.")
    user_id: Text = Field(None, alias="userId", description="Raw id of the learner; hashed at once, never stored.")
    anonymous_id: Text = Field(
        None, alias="anonymousId", description="Stands for the learner where there is no userId."
    )
    timestamp: Text = Field(None, description="When it happened: RFC 3339 with an offset.")
    original_timestamp: Text = Field(
        None, alias="originalTimestamp", description="The same, where there is no timestamp."
    )
    properties: Annotated[Any, WithJsonSchema({"type": ["object", "null"]})] = Field(
        None, description="As the type of event has them, or as the mapping file says; `session_id` may be a UUID."
    )


class SegmentBatch(BaseModel):
    """Calls under the key `batch`; what stands beside it is dropped."""

    batch: list[SegmentMessage] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


class SegmentVerdict(BaseModel):
    """The fate of one call; pointers are into the message as it was sent."""

    index: int = Field(description="Position in the batch, from 0.")
    message_id: str | None = Field(default=None, description="The messageId, where it is an opaque one.")
    event_id: UUID | None = Field(default=None, description="The key it is stored by; None when it is not stored.")
    status: Literal["accepted", "rejected", "ignored"]
    code: str | None = Field(default=None, description="Why it was not accepted: stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the message.")
    detail: str | None = None
    edits: list[Edit] = Field(
        default=[], description="What is stored otherwise than it was sent; left out when nothing is."
    )


class SegmentReply(BaseModel):
    """Answer to readable calls: always 200, since clients read nothing else. What is not accepted is in `results`."""

    success: Literal[True] = True
    received: int
    accepted: int
    rejected: int
    ignored: int
    results: list[SegmentVerdict]


def read_batch(body: bytes) -> list[Any]:
    """Return the raw messages of a batch. Raises Refusal when there is no batch to judge."""
    document = load(body, "batch")
    messages = document.get("batch") if isinstance(document, dict) else None
    if not isinstance(messages, list):
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", 'A batch is {"batch": [...]}.')
    check_count(messages)
    return messages


def read_call(body: bytes, call: str) -> list[Any]:
    """Return the one raw message of a path of its own. Raises Refusal when the body is no JSON."""
    message = load(body, "batch")
    return [message | {"type": call} if isinstance(message, dict) else message]
