"""A raw HTTP client. It does not merge, escape or reorder anything and adds only headers that a case omits."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.assembled import Assembled

CREDENTIALS = {
    "write": f"Bearer {WRITE_KEY}",
    "basic-write": f"Basic {base64.b64encode(f'{WRITE_KEY}:'.encode()).decode()}",
    "read": f"Bearer {READ_KEY}",
    "none": None,
}


class NotExecutable(Exception):
    """The case has an element that this runner does not support."""


@dataclass(frozen=True)
class Reply:
    """The final response to a request. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def document(self) -> Any:
        """The parsed JSON body; None if the body is not JSON."""
        return json.loads(self.content) if self.media_type.endswith("json") else None


async def exchange(system: Assembled, request: Mapping[str, Any]) -> Reply:
    """Send the request over a new connection and return the final response. Raises NotExecutable."""
    unknown = set(request) - {"service", "method", "path", "auth", "json", "raw", "headers", "http_version"}
    if unknown:
        raise NotExecutable(f"unknown parts of a request: {sorted(unknown)}")
    address = {"ingest": system.ingest, "dashboard": system.dashboard}[request["service"]]
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request_bytes(request, address))
        await writer.drain()
        return await _read_reply(reader, request["method"])
    finally:
        writer.close()


def request_bytes(request: Mapping[str, Any], host: str) -> bytes:
    """Return the bytes of the request: head and body. Raises NotExecutable."""
    headers = {"Host": host}
    auth = request.get("auth") or "none"
    if auth not in CREDENTIALS:
        raise NotExecutable(f"unknown credentials: {auth}")
    if CREDENTIALS[auth]:
        headers["Authorization"] = str(CREDENTIALS[auth])
    given = {name: str(value) for name, value in request.get("headers", {}).items()}
    body = _body(request)
    names = {name.lower() for name in given}
    if body is not None:
        if "content-type" not in names:
            headers["Content-Type"] = "application/json"
        if given.get("Content-Encoding", "").lower() == "gzip":
            body = gzip.compress(body)
        if "transfer-encoding" in names:
            body = _chunked(body)
        elif "content-length" not in names:
            headers["Content-Length"] = str(len(body))
    first = f"{request['method']} {request['path']} HTTP/{request.get('http_version', '1.1')}"
    lines = [first, *(f"{name}: {value}" for name, value in (headers | given).items()), "", ""]
    return "\r\n".join(lines).encode() + (body or b"")


def _body(request: Mapping[str, Any]) -> bytes | None:
    if "raw" in request:
        return str(request["raw"]).encode("utf-8", "surrogatepass")
    return json.dumps(request["json"], ensure_ascii=False).encode() if "json" in request else None


def _chunked(body: bytes) -> bytes:
    half = len(body) // 2
    parts = [part for part in (body[:half], body[half:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def _read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    status, headers = 100, dict[str, str]()
    while 100 <= status < 200:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if method == "HEAD" or status in (204, 304):
        content = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        content = await _read_chunks(reader)
    elif "content-length" in headers:
        content = await reader.readexactly(int(headers["content-length"]))
    else:
        content = await reader.read()
    return Reply(status, headers, content)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return content
