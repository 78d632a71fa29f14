"""Where a process listens, and who may speak to it unencrypted: nobody, if TLS is required."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from runtime.errors import ConfigurationError
from schemas.problem import PROBLEM_MEDIA_TYPE, Problem

_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
STATUS_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Hold nothing personal; probes and Prometheus ask behind the proxy that ends TLS."""

_PREFIXES: Final = {"http": "", "websocket": "websocket."}
"""By kind of request: how the messages begin that refuse it."""
_BEGINNINGS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Listener:
    """An address, its certificate, and the proxies in front of it."""

    host: str
    port: int
    certificate: str | None = None
    """File in PEM, with its chain; None: the listener does not encrypt."""
    key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are."""
    requires_tls: bool = False
    max_connections: int = 10_000
    """Maximum open connections; the limit on open files may allow fewer."""
    max_connections_per_address: int | None = None
    """Maximum from one address, trusted proxies excepted. None: half of all; 0: no limit."""

    def per_address(self, total: int) -> int | None:
        """Return the cap per address where `total` connections are allowed; None: no cap."""
        if self.max_connections_per_address is None:
            return max(1, total // 2)
        return self.max_connections_per_address or None

    def check(self) -> None:
        """Raise ConfigurationError when TLS is required and nothing here can give it."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("set both ANALYTICS_TLS_CERT_FILE and ANALYTICS_TLS_KEY_FILE, or neither")
        if self.requires_tls and self.certificate is None and not self.trusted_proxies:
            raise ConfigurationError(
                "ANALYTICS_REQUIRE_TLS is set: give ANALYTICS_TLS_CERT_FILE and ANALYTICS_TLS_KEY_FILE,"
                " or name the proxies that end TLS in ANALYTICS_TRUSTED_PROXIES"
            )


class EncryptedOnly:
    """Around an application: refuses what did not come over TLS, to us or to a trusted proxy."""

    def __init__(self, app: Any, *, requires_tls: bool) -> None:
        self._app = app
        self._requires_tls = requires_tls

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Pass an encrypted request on and tell browsers to stay with TLS; answer another one with 403."""
        if scope["type"] not in _PREFIXES:
            await self._app(scope, receive, send)
        elif scope["scheme"] in ("https", "wss"):
            await self._app(scope, receive, _with_hsts(send))
        elif self._requires_tls and scope["path"] not in STATUS_PATHS:
            await _refuse(send, _PREFIXES[scope["type"]])
        else:
            await self._app(scope, receive, send)


def _with_hsts(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] in _BEGINNINGS:
            message["headers"] = [*message.get("headers", ()), _HSTS]
        await send(message)

    return dressed


async def _refuse(send: Send, prefix: str) -> None:
    problem = Problem(title="Forbidden", status=403, code="tls_required", detail="Ask over https.", instance="")
    body = problem.model_dump_json(include={"title", "status", "code", "detail"}).encode()
    headers = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{prefix}http.response.start", "status": 403, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})
