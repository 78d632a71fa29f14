"""Where the public keys of learners' tokens come from: a file or an https address, read again and again.

Whatever is found there, the process goes on: the keys that were read last stay in use for a day at most.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from dashboard.access.key_set_document import LARGEST, parse_key_set
from dashboard.access.learner_tokens import KeySet
from runtime.errors import ConfigurationError, DependencyUnavailable
from telemetry import events as telemetry

REFRESH: Final = timedelta(minutes=5)
COOLDOWN: Final = timedelta(minutes=1)
"""Least time between two readings, however many tokens name keys that are not known."""

KEPT: Final = timedelta(days=1)
"""How long keys stay in use that could not be read again: one that was withdrawn is good for no longer."""

_PATIENCE_SECONDS: Final = 5.0
"""For each step of a request."""

_LONGEST_SECONDS: Final = 15.0
"""For the whole of it."""


# a few compressed bytes may stand for very many
_PLAIN: Final = {"accept-encoding": "identity"}


class KeySetUnavailable(DependencyUnavailable):
    """The JWKS could not be read; the keys known before stay in use."""

    dependency = "jwks"


class KeySetSource:
    """Keeps a key set as its source has it."""

    def __init__(self, location: str, keys: KeySet, clock: Callable[[], float] = time.monotonic) -> None:
        """`location`: a path, or a URL whose scheme is https; `clock` counts seconds.

        Raises ConfigurationError for another scheme and for what is no URL.
        """
        scheme, separator, _ = location.partition("://")
        if separator and not (scheme == "https" and _is_url(location)):
            raise ConfigurationError("ANALYTICS_JWT_JWKS must be a file or an https address")
        self._location = location
        self._is_address = bool(separator)
        self._keys = keys
        self._clock = clock
        self._loaded_at: float | None = None
        self._told: tuple[int, int] | None = None
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Read again soon: a token named a key that is not known."""
        self._wanted.set()

    async def check(self) -> str:
        """Return that there are keys. Raises KeySetUnavailable when there are none."""
        if self._loaded_at is None:
            raise KeySetUnavailable("not_loaded", "the JWKS has not been read yet, or not for a day")
        return "loaded"

    async def load(self) -> None:
        """Read once. Raises KeySetUnavailable, also for a set without a key that can be used."""
        # what is read may be as old as the request: the keys are kept for a day from here on
        begun_at = self._clock()
        text = await self._fetch() if self._is_address else await asyncio.to_thread(self._read)
        try:
            # thousands of keys fit into a document
            keys, skipped = await asyncio.to_thread(parse_key_set, text)
        except ConfigurationError as error:
            raise KeySetUnavailable("unfit", str(error)) from None
        self._keys.replace(keys)
        self._loaded_at = begun_at
        if self._told != (len(keys), skipped):
            self._told = (len(keys), skipped)
            telemetry.key_set_read(len(keys), skipped)

    async def follow(self, stop: asyncio.Event) -> None:
        """Read now and then until `stop` is set, sooner when a key is wanted. A reading under way ends with `stop`."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await _unless(stopping, self._load_or_keep())
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
        except KeySetUnavailable as error:
            telemetry.key_set_unreadable(error)
            if self._loaded_at is not None and self._clock() - self._loaded_at > KEPT.total_seconds():
                self._keys.replace({})
                self._loaded_at = None

    def _read(self) -> bytes:
        try:
            # to open a pipe would wait for its other end
            with open(self._location, "rb", opener=_open_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise KeySetUnavailable("unreadable", "it is not a file")
                return file.read(LARGEST + 1)
        except OSError as error:
            raise KeySetUnavailable("unreadable", error.strerror or "") from None
        except ValueError:
            raise KeySetUnavailable("unreadable", "no file can have this name") from None

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
                    raise KeySetUnavailable("unreadable", "the JWKS is compressed, which was not asked for")
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > LARGEST:
                        raise KeySetUnavailable("too_large")
        # OSError: certificates of authorities that cannot be read, and TLS
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


async def _unless(stopping: asyncio.Task[bool], work: Coroutine[Any, Any, None]) -> None:
    """Do the work; cancel it once `stopping` is done."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
    await asyncio.wait({working})
    if not working.cancelled():
        working.result()


async def _first_of(*tasks: asyncio.Task[bool], after: timedelta) -> None:
    await asyncio.wait(tasks, timeout=after.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
