"""An HTTP server with the protocol of ingest and scripted answers."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Saying:
    """An answer."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[list[Event]], Saying | None]
"""Returns the answer to the events of a request; None closes the connection without an answer."""


def accept_all(events: Sequence[Event]) -> Saying:
    """Answer 202 for all events."""
    return verdicts(["accepted"] * len(events))


def verdicts(statuses: Sequence[str]) -> Saying:
    """Answer with a verdict for each event."""
    results = [
        {"index": index, "status": status}
        if status == "accepted"
        else {"index": index, "status": status, "code": f"{status}_by_test", "pointer": "/x", "detail": "No."}
        for index, status in enumerate(statuses)
    ]
    accepted = list(statuses).count("accepted")
    body = {
        "received": len(statuses),
        "accepted": accepted,
        "rejected": len(statuses) - accepted,
        "results": results,
    }
    return Saying(202 if accepted == len(statuses) else 207, body)


class ScriptedIngest:
    """Records the requests in the order of their arrival."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[list[Event]] = []
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def event_ids(self) -> list[list[str]]:
        """Return the ids of each request."""
        return [[event["event_id"] for event in events] for events in self.requests]

    def _answer(self, headers: Mapping[str, str], events: list[Event]) -> Saying | None:
        with self._lock:
            self.requests.append(events)
            self.headers.append(headers)
            return self.script(events)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ingest = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # an answer is one packet: two would wait for each other (Nagle's algorithm)
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                said = ingest._answer({**self.headers, ":path": self.path}, json.loads(body)["events"])
                if said is None:
                    self.close_connection = True
                    return
                content = json.dumps(said.body).encode()
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None: ...

        return Handler

    @contextmanager
    def running(self) -> Iterator[ScriptedIngest]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()
