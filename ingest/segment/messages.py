"""The messages of Segment's clients, as far as they are read, and the answers. Other fields are dropped here."""

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
"""Calls that carry names, addresses and traits, and nothing that may be stored."""

Text = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
"""A text, but of any type here: a wrong type is then a fault of this message and not of the whole batch."""

Id = Annotated[Any, WithJsonSchema({"type": ["string", "integer", "null"]})]
Time = Annotated[Any, WithJsonSchema({"type": ["string", "number", "null"]})]


class SegmentMessage(BaseModel):
    """One call. `context`, `traits`, `integrations` and other fields of a client are ignored."""

    model_config = ConfigDict(frozen=True)

    type: Text = Field(None, description="`track`. Other calls are answered and ignored.")
    event: Text = Field(None, description="Name of the event.")
    message_id: Id = Field(None, alias="messageId", description="Idempotency key.")
    user_id: Id = Field(None, alias="userId", description="Raw id of the learner; hashed at once, never stored.")
    anonymous_id: Id = Field(None, alias="anonymousId", description="Identifies the learner if there is no userId.")
    timestamp: Time = Field(None, description="When it happened: ISO 8601 with an offset, or Unix time.")
    original_timestamp: Time = Field(None, alias="originalTimestamp", description="Used if there is no timestamp.")
    sent_at: Time = Field(
        None, alias="sentAt", description="When it was sent. Corrects times if the sender's clock is ahead."
    )
    properties: Annotated[Any, WithJsonSchema({"type": ["object", "null"]})] = Field(
        None, description="The properties of the event type, renamed by the mapping file, and `session_id`."
    )


class SegmentBatch(BaseModel):
    """Calls under the key `batch`. Other keys are dropped."""

    batch: list[SegmentMessage] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)
    sent_at: Time = Field(None, alias="sentAt", description="Applies to each call without its own sentAt.")


class Request(NamedTuple):
    """The parts of a body that are read."""

    messages: list[Any]
    sent_at: Any
    """`sentAt` of the batch, as it was sent; None if there is none."""


class SegmentVerdict(BaseModel):
    """The verdict on one call. Pointers are into the message as it was sent."""

    index: int = Field(description="Position in the batch, from 0.")
    message_id: str | None = Field(default=None, description="The messageId, if it is opaque.")
    event_id: UUID | None = Field(default=None, description="The key it is stored under; None if it is not stored.")
    status: Literal["accepted", "rejected", "ignored"]
    code: str | None = Field(default=None, description="Why it was not accepted: stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the message.")
    detail: str | None = None
    edits: list[Edit] = Field(
        default=[], description="Fields that were changed before storage; left out if there are none."
    )


class SegmentReply(BaseModel):
    """Answer to readable calls. Always 200: clients read only the status. `results` lists what was not accepted."""

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
