"""The page for development: static files that call the API with the credentials of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows only its own files and API. Forms are never submitted."""

_INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def files() -> Mapping[str, tuple[str, bytes]]:
    """Return the media type and the content of each path of the page: `/`, and files below `/page/`."""
    return {
        "/" if path.name == _INDEX else f"/page/{path.name}": (_MEDIA_TYPES[path.suffix], path.read_bytes())
        for path in Path(__file__).parent.iterdir()
        if path.suffix in _MEDIA_TYPES
    }
