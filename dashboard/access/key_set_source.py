"""Reads the public keys of learner tokens from a file or an https address, and refreshes them.

When a refresh fails, the previous keys stay in use for up to a day.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx

from dashboard.access.key_set_document import MAX_BYTES, parse_key_set
from dashboard.access.learner_tokens import KeySet
from runtime.errors import ConfigurationError, DependencyUnavailable
from runtime.lifecycle import run_until_stopped, wait
from telemetry import internal_events as telemetry

REFRESH: Final = timedelta(minutes=5)
COOLDOWN: Final = timedelta(minutes=1)
"""Minimum time between two refreshes, also when tokens name unknown keys."""

KEPT: Final = timedelta(days=1)
"""Maximum use of keys without a successful refresh, so that withdrawn keys expire."""

_PATIENCE_SECONDS: Final = 5.0
"""Timeout of each step of a request."""

_LONGEST_SECONDS: Final = 15.0
"""Timeout of a whole request."""


# a compressed answer may expand without limit
_PLAIN: Final = {"accept-encoding": "identity"}


class KeySetUnavailable(DependencyUnavailable):
    """The JWKS cannot be read. The previous keys stay in use."""

    dependency = "jwks"


class KeySetSource:
    """Keeps a key set current with its source."""

    def __init__(self, location: str, keys: KeySet, clock: Callable[[], float] = time.monotonic) -> None:
        """`location`: a path or an https URL. `clock` is monotonic, in seconds.

        Raises ConfigurationError for another scheme or an invalid URL.
        """
        scheme, separator, _ = location.partition("://")
        if separator and not (scheme == "https" and _is_url(location)):
            raise ConfigurationError("ANALYTICS_JWT_JWKS must be a file or an https address")
        self._location = location
        self._is_address = bool(separator)
        self._keys = keys
        self._clock = clock
        self._loaded_at: float | None = None
        self._reported: tuple[int, int] | None = None
        self._refresh_requested = asyncio.Event()

    def request_refresh(self) -> None:
        """Request a refresh: a token named an unknown key."""
        self._refresh_requested.set()

    async def check(self) -> str:
        """Return the state for readiness. Raises KeySetUnavailable without keys."""
        if self._loaded_at is None:
            raise KeySetUnavailable("not_loaded", "the JWKS was never read, or not within the last day")
        return "loaded"

    async def load(self) -> None:
        """Read once. Raises KeySetUnavailable, also for a set without supported keys."""
        # the answer may be as old as the request: keys are kept for a day from here
        begun_at = self._clock()
        text = await self._fetch() if self._is_address else await asyncio.to_thread(self._read)
        try:
            # in a thread: a document may hold thousands of keys
            keys, skipped = await asyncio.to_thread(parse_key_set, text)
        except ConfigurationError as error:
            raise KeySetUnavailable("unfit", str(error)) from None
        self._keys.replace(keys)
        self._loaded_at = begun_at
        if self._reported != (len(keys), skipped):
            self._reported = (len(keys), skipped)
            telemetry.key_set_read(len(keys), skipped)

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh periodically until `stop` is set, and earlier on request. `stop` cancels a refresh under way."""
        while not stop.is_set():
            await run_until_stopped(self._load_or_keep(), stop)
            if not await wait(stop, COOLDOWN.total_seconds()):
                self._refresh_requested.clear()
                await run_until_stopped(wait(self._refresh_requested, (REFRESH - COOLDOWN).total_seconds()), stop)

    async def _load_or_keep(self) -> None:
        try:
            await self.load()
        except KeySetUnavailable as error:
            telemetry.key_set_unreadable(error)
            if self._loaded_at is not None and self._clock() - self._loaded_at > KEPT.total_seconds():
                self._keys.replace({})
                self._loaded_at = None

    def _read(self) -> bytes:
        try:
            # non-blocking: opening a pipe would wait for its writer
            with open(self._location, "rb", opener=_open_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise KeySetUnavailable("unreadable", "not a regular file")
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise KeySetUnavailable("unreadable", error.strerror or "") from None
        except ValueError:
            raise KeySetUnavailable("unreadable", "invalid file name") from None

    async def _fetch(self) -> bytes:
        content = bytearray()
        try:
            async with (
                asyncio.timeout(_LONGEST_SECONDS),
                httpx.AsyncClient(timeout=_PATIENCE_SECONDS, follow_redirects=False, headers=_PLAIN) as client,
                client.stream("GET", self._location) as response,
            ):
                response.raise_for_status()
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise KeySetUnavailable("unreadable", "the JWKS is compressed, although identity was requested")
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > MAX_BYTES:
                        raise KeySetUnavailable("too_large")
        # OSError: unreadable CA certificates, and TLS errors
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise KeySetUnavailable("connection", type(error).__name__) from None
        return bytes(content)


def _is_url(location: str) -> bool:
    try:
        return bool(urlsplit(location).hostname and httpx.URL(location).host)
    except (httpx.InvalidURL, ValueError):
        return False


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
