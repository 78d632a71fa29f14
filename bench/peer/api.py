"""The service that accepts events."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, HTTPException
from faststream.redis import RedisBroker
from pydantic import BaseModel

from bench.peer.table import STREAM
from schemas.catalogue import EventType

_KEY: Final = os.environ["PEER_KEY"]
_SECRET: Final = os.environ["PEER_SECRET"].encode()
_PIPELINED: Final = os.environ["PEER_PIPELINED"] == "1"

broker = RedisBroker(os.environ["REDIS_URL"], logger=logging.getLogger("peer"))


class Event(BaseModel):
    """An event as it is sent."""

    event_id: str
    event_type: EventType
    timestamp: datetime
    user_id: str | None = None
    session_id: str | None = None
    properties: dict[str, Any]


@asynccontextmanager
async def _connected(_app: FastAPI) -> AsyncIterator[None]:
    async with broker:
        yield


app = FastAPI(lifespan=_connected)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Answer a readiness check."""
    return {"status": "ok"}


@app.post("/events/batch", status_code=202)
async def batch(events: list[Event], authorization: Annotated[str, Header()]) -> dict[str, int]:
    """Add events to the stream, one by one or in one pipeline."""
    if not hmac.compare_digest(authorization, f"Bearer {_KEY}"):
        raise HTTPException(401)
    received_at = datetime.now(UTC).isoformat()
    messages = [_message(event, received_at) for event in events]
    if not _PIPELINED:
        for message in messages:
            await broker.publish(message, stream=STREAM)
    else:
        connection = await broker.connect()
        async with connection.pipeline(transaction=False) as pipeline:
            for message in messages:
                await broker.publish(message, stream=STREAM, pipeline=pipeline)
            await pipeline.execute()
    return {"accepted": len(events)}


def _message(event: Event, received_at: str) -> dict[str, Any]:
    message = event.model_dump(mode="json", exclude={"user_id"})
    message["received_at"] = received_at
    message["user_hash"] = None
    if event.user_id is not None:
        message["user_hash"] = hmac.new(_SECRET, event.user_id.encode(), hashlib.sha256).hexdigest()
    return message
