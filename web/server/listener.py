"""The listeners of a process: address, certificate, trusted proxies, and whether TLS is required."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import ConfigurationError
from runtime.settings import Settings
from web.problems import Refusal, problem_reply
from web.request_id import new_request_id

_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
STATUS_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths without personal data. Probes and Prometheus read them behind the proxy that terminates TLS."""

_TLS_REQUIRED: Final = Refusal(HTTPStatus.FORBIDDEN, "tls_required", "Use HTTPS.")
_FIRST_MESSAGES: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


@dataclass(frozen=True, slots=True)
class Listener:
    """An address, its certificate, and its proxies."""

    host: str
    port: int
    certificate: str | None = None
    """PEM file with the chain; None: no TLS."""
    key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are trusted."""
    requires_tls: bool = False
    max_connections: int = 10_000
    """Maximum open connections; the limit on open files may allow fewer."""
    max_connections_per_address: int | None = None
    """Maximum from one address, except trusted proxies. None: half of all; 0: no limit."""

    def per_address(self, total: int) -> int | None:
        """Return the limit per address when `total` connections are allowed; None: no limit."""
        if self.max_connections_per_address is None:
            return max(1, total // 2)
        return self.max_connections_per_address or None

    def check(self) -> None:
        """Raise ConfigurationError when TLS is required and neither a certificate nor a proxy provides it."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("set both ANALYTICS_TLS_CERT_FILE and ANALYTICS_TLS_KEY_FILE, or neither")
        if self.requires_tls and self.certificate is None and not self.trusted_proxies:
            raise ConfigurationError(
                "ANALYTICS_REQUIRE_TLS is set: give ANALYTICS_TLS_CERT_FILE and ANALYTICS_TLS_KEY_FILE,"
                " or name the proxies that terminate TLS in ANALYTICS_TRUSTED_PROXIES"
            )


def public_listener(settings: Settings, host: str, port: int) -> Listener:
    """Return the listener of a service. Raises ConfigurationError when TLS is required and cannot be provided."""
    listener = _listener(settings, host, port)
    listener.check()
    return listener


def status_listener(settings: Settings) -> Listener:
    """Return the listener for probes and Prometheus. Their answers hold no personal data."""
    return _listener(settings, settings.metrics_host, settings.metrics_port)


def _listener(settings: Settings, host: str, port: int) -> Listener:
    return Listener(
        host,
        port,
        certificate=settings.tls_cert_file,
        key=settings.tls_key_file,
        trusted_proxies=settings.trusted_proxies,
        requires_tls=settings.require_tls,
        max_connections=settings.max_connections,
        max_connections_per_address=settings.max_connections_per_address,
    )


class EncryptedOnly:
    """ASGI middleware that refuses requests without TLS, to this process or to a trusted proxy."""

    def __init__(self, app: ASGIApp, *, requires_tls: bool) -> None:
        self._app = app
        self._requires_tls = requires_tls

    # returns what is awaited, so that no coroutine of its own runs for each request
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on an encrypted request with HSTS in its answer. Answer others with 403 when TLS is required."""
        if scope["type"] not in ("http", "websocket"):
            return self._app(scope, receive, send)
        if scope["scheme"] in ("https", "wss"):
            return self._app(scope, receive, _add_hsts(send))
        if self._requires_tls and scope["path"] not in STATUS_PATHS:
            return problem_reply(_TLS_REQUIRED, new_request_id())(scope, receive, send)
        return self._app(scope, receive, send)


def _add_hsts(send: Send) -> Send:
    async def send_with_hsts(message: Message) -> None:
        if message["type"] in _FIRST_MESSAGES:
            message["headers"] = [*message.get("headers", ()), _HSTS]
        await send(message)

    return send_with_hsts
