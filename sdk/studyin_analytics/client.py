"""The client: accepts events from any thread, task or process, and delivers them from one background thread."""

from __future__ import annotations

import os
import random
import secrets
import weakref
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import process_life
from .batch_poster import BatchPoster
from .books import Books, Stats
from .dead_letter_file import DeadLetterFile
from .errors import ConfigurationError, HookFailed, InvalidEvent
from .event_form import Id, encoded, new_event, new_event_id, utc_now
from .event_ids import RANDOM_BITS
from .hooks import ErrorHook, filtered
from .options import Options
from .sender import Sender
from .spool import Spool
from .stores import MemoryStore, Store
from .transport import HttpTransport, Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import OptionKeywords

LEASE_FOR_TIMEOUTS = 3
"""Length of a lease in timeouts, so that it outlives its request: connecting, sending and waiting may each time out."""


class Client:
    """Sends events. Keywords are the fields of Options. Raises ConfigurationError.

    `url` and `write_key` default to ANALYTICS_INGEST_URL and ANALYTICS_WRITE_KEY. The first event starts the thread and
    the connection. After a fork the child starts without the events of its parent.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        write_key: str | None = None,
        transport: Transport | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        self._options = Options(**options)
        self._url = url or os.environ.get("ANALYTICS_INGEST_URL")
        self._write_key = write_key or os.environ.get("ANALYTICS_WRITE_KEY")
        self._transport = transport
        self._hook = ErrorHook(self._options.on_error)
        self._begin(self._open_store())
        process_life.watch_forks(self)
        if len(self._store):
            self._sender.start()

    def track(
        self,
        event_type: str,
        *,
        user_id: Id | None = None,
        properties: Mapping[str, Any] | None = None,
        session_id: Id | None = None,
        timestamp: datetime | str | None = None,
        event_id: Id | None = None,
    ) -> str:
        """Queue an event and return its id. Does not block; `stats` and on_error report the outcome.

        `timestamp` is an aware datetime or an RFC 3339 text; the default is the current time in UTC. The learner's day
        is the date in the offset of the timestamp. Raises InvalidEvent with strict=True only.
        """
        now, chance = utc_now(), secrets.randbits(RANDOM_BITS)
        if self._options.disabled:
            return str(event_id) if event_id is not None else new_event_id(now, chance)
        self._books.add("tracked")
        try:
            event = new_event(event_type, user_id, properties, session_id, timestamp, event_id, now=now, chance=chance)
        except InvalidEvent as fault:
            self._refuse(fault)
            return new_event_id(now, chance)
        self._take(dict(event))
        return str(event["event_id"])

    def flush(self, timeout: float = 10.0) -> bool:
        """Send all events now. Blocks up to `timeout` seconds; returns whether each event has a verdict."""
        return self._sender.flush(timeout)

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Send all events and accept no more. Blocks and returns like `flush`; another call returns the same."""
        return self._sender.shutdown(timeout)

    def stats(self) -> Stats:
        """Return the current numbers of events by outcome."""
        return self._books.stats(self._sender.pending)

    def _take(self, event: dict[str, Any]) -> None:
        try:
            wanted = filtered(self._options.before_send, event)
        except HookFailed as failure:
            self._books.add("filtered")
            self._hook.report(failure)
            return
        if wanted is None:
            self._books.add("filtered")
            return
        try:
            body = encoded(wanted, self._options.max_event_bytes)
        except InvalidEvent as fault:
            self._refuse(fault)
            return
        self._sender.put(body)

    def _refuse(self, fault: InvalidEvent) -> None:
        """Count and report an invalid event. Raises it with strict=True."""
        self._books.add("invalid")
        self._sender.end_with_process()
        self._hook.report(fault)
        if self._options.strict:
            raise fault

    def _begin(self, store: Store) -> None:
        self._store = store
        self._books = Books()
        poster = BatchPoster(self._open_transport(), self._books)
        self._sender = Sender(store, poster, self._options, self._books, self._hook, random.random)
        # ends the thread when the client is garbage collected
        weakref.finalize(self, self._sender.end, self._options.exit_timeout).atexit = False

    def _open_transport(self) -> Transport:
        if self._transport is not None:
            return self._transport
        if self._options.disabled:
            return HttpTransport("http://localhost", "", self._options.timeout)
        if not self._url or not self._write_key:
            name, variable = ("write_key", "ANALYTICS_WRITE_KEY") if self._url else ("url", "ANALYTICS_INGEST_URL")
            raise ConfigurationError(f"{name} is missing: pass it or set {variable}")
        return HttpTransport(self._url, self._write_key, self._options.timeout, self._options.ca_file)

    def _open_store(self) -> Store:
        options = self._options
        if options.spool_dir is None or options.disabled:
            return self._memory()
        return Spool(options.spool_dir, options.max_spool_bytes, LEASE_FOR_TIMEOUTS * options.timeout)

    def _memory(self) -> MemoryStore:
        path = None if self._options.disabled else self._options.dead_letter_file
        return MemoryStore(self._options.max_queue, None if path is None else DeadLetterFile(path))

    def before_fork(self) -> None:
        """Called by process_life."""
        if isinstance(self._store, Spool):
            self._store.hold_still()

    def after_fork_in_parent(self) -> None:
        """Called by process_life."""
        if isinstance(self._store, Spool):
            self._store.go_on()

    def after_fork_in_child(self) -> None:
        """Called by process_life. Replaces all state that a thread of the parent may have locked."""
        self._begin(self._store.in_child() if isinstance(self._store, Spool) else self._memory())
