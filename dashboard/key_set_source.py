"""Where the public keys of learners' tokens come from: a file or an https address, read again and again."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from dashboard.learner_tokens import KeySet, parse_key_set
from runtime.errors import ConfigurationError, DependencyUnavailable
from telemetry import events as telemetry

REFRESH: Final = timedelta(minutes=5)
COOLDOWN: Final = timedelta(minutes=1)
"""Least time between two readings, however many tokens name keys that are not known."""

_LARGEST: Final = 1024**2
_PATIENCE_SECONDS: Final = 5.0


class KeySetUnavailable(DependencyUnavailable):
    """The JWKS could not be read; the keys known before stay in use."""

    dependency = "jwks"


class KeySetSource:
    """Keeps a key set as its source has it."""

    def __init__(self, location: str, keys: KeySet) -> None:
        """`location`: a path, or a URL whose scheme is https. Raises ConfigurationError for another scheme."""
        scheme, separator, _ = location.partition("://")
        if separator and scheme != "https":
            raise ConfigurationError("ANALYTICS_JWT_JWKS must be a file or an https address")
        self._location = location
        self._is_address = bool(separator)
        self._keys = keys
        self._is_loaded = False
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Read again soon: a token named a key that is not known."""
        self._wanted.set()

    async def check(self) -> str:
        """Return that there are keys. Raises KeySetUnavailable when there never were."""
        if not self._is_loaded:
            raise KeySetUnavailable("not_loaded", "the JWKS has not been read yet")
        return "loaded"

    async def load(self) -> None:
        """Read once. Raises KeySetUnavailable, or ConfigurationError for a set that is not fit."""
        text = await self._fetch() if self._is_address else await asyncio.to_thread(self._read)
        try:
            document = json.loads(text)
        except ValueError:
            raise KeySetUnavailable("unreadable", "the JWKS is not JSON") from None
        self._keys.replace(parse_key_set(document))
        self._is_loaded = True

    async def follow(self, stop: asyncio.Event) -> None:
        """Read now and then until `stop` is set, sooner when a key is wanted."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._load_or_keep()
                await _first_of(stopping, after=COOLDOWN)
                self._wanted.clear()
                wanted = asyncio.create_task(self._wanted.wait())
                await _first_of(stopping, wanted, after=REFRESH - COOLDOWN)
                wanted.cancel()
        finally:
            stopping.cancel()

    async def _load_or_keep(self) -> None:
        try:
            await self.load()
        except (KeySetUnavailable, ConfigurationError) as error:
            telemetry.key_set_unreadable(error)

    def _read(self) -> bytes:
        try:
            with Path(self._location).open("rb") as file:
                return file.read(_LARGEST + 1)
        except OSError as error:
            raise KeySetUnavailable("unreadable", error.strerror or "") from None

    async def _fetch(self) -> bytes:
        content = b""
        try:
            async with (
                httpx.AsyncClient(timeout=_PATIENCE_SECONDS, follow_redirects=False) as client,
                client.stream("GET", self._location) as response,
            ):
                response.raise_for_status()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _LARGEST:
                        raise KeySetUnavailable("too_large")
        except httpx.HTTPError as error:
            raise KeySetUnavailable("connection", type(error).__name__) from None
        return content


async def _first_of(*tasks: asyncio.Task[bool], after: timedelta) -> None:
    await asyncio.wait(tasks, timeout=after.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
