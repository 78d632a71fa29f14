"""What takes a request with events, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import Receive


@dataclass(frozen=True)
class Reply:
    """An answer; its body is JSON unless a header says otherwise."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Endpoint = Callable[[Mapping[str, str], str | None, Receive], Awaitable[Reply]]
"""Takes headers in lower case, the sender's address and its body. Raises Refusal."""
