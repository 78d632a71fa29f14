"""The page to look at while developing: static files that ask the API with the credentials the reader gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Its own files and its own API, nothing inline, nothing foreign; a form never sends what was typed into it."""

_INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def files() -> Mapping[str, tuple[str, bytes]]:
    """Return media type and content of every path of the page: `/`, and its parts below `/page/`."""
    return {
        "/" if path.name == _INDEX else f"/page/{path.name}": (_MEDIA_TYPES[path.suffix], path.read_bytes())
        for path in Path(__file__).parent.iterdir()
        if path.suffix in _MEDIA_TYPES
    }
