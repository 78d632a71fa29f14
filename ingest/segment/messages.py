"""What Segment's clients send, as far as it is read, and what they are told. All else they send is dropped here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from ingest.effort import Steps
from ingest.parsing.batch import check_count, parse_json
from schemas.limits import MAX_BATCH_EVENTS
from schemas.verdicts import Edit
from web.problems import Refusal

TRACK: Final = "track"
UNSUPPORTED: Final = ("identify", "page", "screen", "group", "alias")
"""Calls that hold names, addresses and traits, and nothing that may be stored."""

Text = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
"""A text as a rule; what else it is, is told of this message and not of the whole batch."""

Id = Annotated[Any, WithJsonSchema({"type": ["string", "integer", "null"]})]
Time = Annotated[Any, WithJsonSchema({"type": ["string", "number", "null"]})]


class SegmentMessage(BaseModel):
    """One call. `context`, `traits`, `integrations` and whatever else a client adds is read no further."""

    model_config = ConfigDict(frozen=True)

    type: Text = Field(None, description="`track`; other calls are answered and ignored.")
    event: Text = Field(None, description="Name of what happened.")
    message_id: Id = Field(None, alias="messageId", description="Idempotency key.")
    user_id: Id = Field(None, alias="userId", description="Raw id of the learner; hashed at once, never stored.")
    anonymous_id: Id = Field(None, alias="anonymousId", description="Stands for the learner where there is no userId.")
    timestamp: Time = Field(None, description="When it happened: ISO 8601 with an offset, or Unix time.")
    original_timestamp: Time = Field(
        None, alias="originalTimestamp", description="The same, where there is no timestamp."
    )
    sent_at: Time = Field(
        None, alias="sentAt", description="When it was sent. Corrects the times of a clock that runs ahead of ours."
    )
    properties: Annotated[Any, WithJsonSchema({"type": ["object", "null"]})] = Field(
        None, description="As the type of event has them, or as the mapping file says, and `session_id`."
    )


class SegmentBatch(BaseModel):
    """Calls under the key `batch`; what else stands beside it is dropped."""

    batch: list[SegmentMessage] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)
    sent_at: Time = Field(None, alias="sentAt", description="That of each call that has none of its own.")


class Request(NamedTuple):
    """What is read of a body."""

    messages: list[Any]
    sent_at: Any
    """That of the batch, as it was sent; None where there is none."""


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


def read_batch(body: bytes) -> Steps[Request]:
    """Return the raw messages of a batch, and when it was sent. Raises Refusal if the body is not a batch."""
    document = yield from parse_json(body, "batch")
    messages = document.get("batch") if isinstance(document, dict) else None
    if not isinstance(messages, list):
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", 'A batch is {"batch": [...]}.')
    check_count(messages)
    return Request(messages, document.get("sentAt"))


def read_call(body: bytes, call: str) -> Steps[Request]:
    """Return the only raw message of a request. Raises Refusal if the body is not JSON."""
    message = yield from parse_json(body, "batch")
    return Request([message | {"type": call} if isinstance(message, dict) else message], None)
