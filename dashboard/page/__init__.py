"""The page to look at while developing: static files that ask the API with the credentials the reader gives."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response

from runtime.refusal import Refusal

_FILES: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    # its own files and its own API, nothing inline, nothing foreign; a form never sends what was typed into it
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def add_to(api: FastAPI) -> None:
    """Show the page at `/`, its parts below `/page/`. Reads the files once."""
    files = {
        path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in _FILES.iterdir()
        if path.suffix in _MEDIA_TYPES
    }

    def part(name: str) -> Response:
        if name not in files:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", HTTPStatus.NOT_FOUND.description)
        body, media_type = files[name]
        return Response(body, media_type=media_type, headers=_HEADERS)

    @api.get("/", include_in_schema=False)
    async def index() -> Response:
        return part("index.html")

    @api.get("/page/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        return part(name)
