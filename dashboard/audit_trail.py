"""Puts every answer on record before it leaves; those that leave at the same moment share one commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from dashboard.callers import Caller, Learner
from dashboard.percent_encoding import is_readable
from dashboard.services import services_of
from runtime.errors import DependencyUnavailable, StorageUnavailable
from schemas.envelope_fields import AskedUserId
from storage.privacy.audit import AuditEntry
from web.problems import Refusal

MOST_WAITING: Final = 10_000
"""Entries; more are refused, and with them their answers."""
SPACING_SECONDS: Final = 0.005
"""From the beginning of a group to that of the next: each costs a commit, however few entries it has."""
_USER_ID: Final = TypeAdapter(AskedUserId)


class AuditTrail:
    """Writes entries in groups. One group is under way at a time; what comes meanwhile is the next.

    After a pause an entry is written at once; while there are many they wait for a few milliseconds.
    """

    def __init__(self, write: Callable[[Sequence[AuditEntry]], Awaitable[None]]) -> None:
        """`write` returns once the entries are durable, or raises StorageUnavailable."""
        self._write = write
        self._gathered: list[AuditEntry] = []
        self._next: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._earliest = 0.0

    async def record(self, entry: AuditEntry) -> None:
        """Return once the entry is on record. Raises StorageUnavailable."""
        if len(self._gathered) >= MOST_WAITING:
            raise StorageUnavailable("audit_log_full", "too many entries wait to be written")
        self._gathered.append(entry)
        if self._next is None:
            self._next = asyncio.create_task(self._write_after(self._under_way), name="audit")
        # shielded: whoever goes away takes nobody's entry along
        await asyncio.shield(self._next)

    async def _write_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._earliest - clock())
        self._earliest = clock() + SPACING_SECONDS
        group, self._gathered = self._gathered, []
        self._under_way, self._next = self._next, None
        await self._write(group)


class AuditedRoute(APIRoute):
    """An endpoint whose answers, and refusals of callers that are known, are on record before they leave."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler around the one of the endpoint. It raises StorageUnavailable rather than answer unseen."""
        handler = super().get_route_handler()

        async def audited(request: Request) -> Response:
            return await answer_on_record(request, f"{request.method} {self.path_format}", handler)

        return audited


async def answer_on_record(request: Request, action: str, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Return the answer once it is on record. Raises what it raises, on record too, or StorageUnavailable instead."""
    async with refusals_on_record(request, action):
        response = await answer(request)
    await put_on_record(request, action, HTTPStatus(response.status_code))
    return response


@contextlib.asynccontextmanager
async def refusals_on_record(connection: HTTPConnection, action: str) -> AsyncIterator[None]:
    """Put on record with which status the block refuses; the refusal goes on. Raises StorageUnavailable instead."""
    try:
        yield
    except (Refusal, RequestValidationError, HTTPException, DependencyUnavailable) as refused:
        await put_on_record(connection, action, _status_of(refused))
        raise


async def put_on_record(connection: HTTPConnection, action: str, status: HTTPStatus) -> None:
    """Return once it is on record who asked for what, and the status of the answer. Raises StorageUnavailable."""
    caller: Caller | None = getattr(connection.state, "caller", None)
    if caller is None:
        # strangers are counted; whoever has no credentials must not fill the log
        return
    services = services_of(connection)
    await services.audit.record(
        AuditEntry(
            at=services.clock(),
            actor=actor_of(caller),
            action=action,
            outcome=str(status.value),
            subject=_subject(connection, caller),
            # of what was refused nothing was shown
            **(getattr(connection.state, "asked", {}) if status < HTTPStatus.BAD_REQUEST else {}),
        )
    )


def note_asked(connection: HTTPConnection, span: Mapping[str, str], shown: Sequence[bytes] = ()) -> None:
    """Have the entry say how much was asked for, in parsed values, and whose events are shown, if it names nobody."""
    connection.state.asked = {"span": span or None, "shown": shown}


def actor_of(caller: Caller) -> str:
    """Return how the log names a caller: never by a raw id, never by a secret."""
    if isinstance(caller, Learner):
        return f"learner:{caller.pseudonyms[0].hex()}"
    return f"key:{caller.key_id}" if caller.key_id else f"service:{caller.source}"


def _subject(connection: HTTPConnection, caller: Caller) -> bytes | None:
    named = connection.path_params.get("user_id") or connection.query_params.get("user_id")
    # of an id that cannot be read nobody knows whose it is
    if named is not None and is_readable(connection.scope.get("raw_path", b"") + connection.scope["query_string"]):
        try:
            return services_of(connection).gate.pseudonyms(_USER_ID.validate_python(named))[0]
        except ValidationError:
            # nobody is called so
            return None
    return caller.pseudonyms[0] if isinstance(caller, Learner) else None


def _status_of(refused: Refusal | RequestValidationError | HTTPException | DependencyUnavailable) -> HTTPStatus:
    match refused:
        case Refusal():
            return refused.status
        case HTTPException():
            return HTTPStatus(refused.status_code)
        case RequestValidationError():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE
