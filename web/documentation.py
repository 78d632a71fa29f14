"""Swagger UI for an OpenAPI document. Every file comes from this process, so the page works offline."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.errors import ConfigurationError

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Policy of the page only: Swagger UI sets inline styles."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""

_START: Final = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null, tryItOutEnabled: true
});
"""


def documentation_files(title: str) -> Mapping[str, tuple[str, bytes]]:
    """Return media type and content of every path of the page. Raises ConfigurationError when Swagger UI is missing."""
    # located, not imported: only the files of the package are needed
    package = importlib.util.find_spec("fastapi_swagger")
    if package is None or package.origin is None:
        raise ConfigurationError("the package fastapi-swagger is not installed; install the hashed requirements")
    resources = Path(package.origin).parent / "resources"
    files = {
        "/docs": ("text/html; charset=utf-8", _PAGE.format(title=title).encode()),
        "/docs/start.js": ("text/javascript; charset=utf-8", _START.encode()),
    }
    return files | {f"/docs/{name}": (kind, (resources / name).read_bytes()) for name, kind in _ASSETS.items()}
