"""One hostile input: the bytes and how they are sent. It can be saved to a file and sent again."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path


class Service(StrEnum):
    """The service an attempt is sent to."""

    INGEST = "ingest"
    DASHBOARD = "dashboard"


class Form(StrEnum):
    """How a payload becomes bytes on the wire."""

    RAW = "raw"
    """Sent unchanged, except that `{write_key}`, `{read_key}` and `{host}` are replaced."""
    TRACK = "track"
    BATCH = "batch"
    SEGMENT = "segment"
    """The body of a well-formed request to that endpoint, with a valid key."""
    GZIP_TRACK = "gzip-track"
    GZIP_BATCH = "gzip-batch"
    """The same, compressed before sending."""
    GZIPPED_BATCH = "gzipped-batch"
    """The payload is declared as gzip and sent unchanged."""
    TEXTS = "texts"
    """A text that is placed into every text field of the events of a batch."""
    FRAMES = "frames"
    """Bytes that follow the handshake of a WebSocket with a valid key."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payload and how it is sent."""

    lineage: str
    """Name of the seed or generator this input descends from."""
    service: Service
    form: Form
    payload: bytes
    repeat: int = 1
    """How many times the bytes are sent on one connection."""
    connections: int = 1
    """How many connections send the same payload at once."""
    piece_bytes: int = 0
    """Size of one write; 0 sends everything at once."""
    pause_seconds: float = 0.0
    """Time between two writes."""
    hold_seconds: float = 0.0
    """Time for which the connections stay open after the last write."""
    reads: bool = True
    """Whether the client reads the responses."""
    must_be_refused: bool = False
    """Whether an answer below 400 is a finding. Not inherited by mutants."""

    def mutant(self, payload: bytes) -> Attempt:
        """Return a descendant with another payload."""
        return replace(self, payload=payload, must_be_refused=False)


def write_attempt(attempt: Attempt, file: Path) -> None:
    """Write an attempt as JSON, its payload compressed. The parent folder must exist."""
    payload = base64.b64encode(zlib.compress(attempt.payload, 9)).decode()
    file.write_text(json.dumps(asdict(attempt) | {"payload": payload}, indent=2) + "\n")


def read_attempt(file: Path) -> Attempt:
    """Return the attempt in a file. Raises ValueError when the file has none."""
    try:
        fields = json.loads(file.read_text())
        fields["payload"] = zlib.decompress(base64.b64decode(fields["payload"]))
        fields["service"], fields["form"] = Service(fields["service"]), Form(fields["form"])
        return Attempt(**fields)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"{file} has no attempt: {error}") from error
