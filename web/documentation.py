"""Swagger UI for an OpenAPI document. Every file comes from this process, so the page works offline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runtime.errors import ConfigurationError
from web.routing import Route
from web.static_file import static_route

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}

_CONTENT_SECURITY_POLICY: Final = (
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


def documentation_routes(document: Mapping[str, Any], *, is_counted: bool = True) -> list[Route]:
    """Return the routes of `/openapi.json` and `/docs`. Raises ConfigurationError when Swagger UI is missing."""
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    routes = [static_route("/openapi.json", content, {"content-type": "application/json"}, is_counted=is_counted)]
    for path, (media_type, content) in _page_files(document["info"]["title"]).items():
        headers = {
            "content-type": media_type,
            "content-security-policy": _CONTENT_SECURITY_POLICY,
            "cache-control": "no-cache",
        }
        routes.append(static_route(path, content, headers, is_counted=is_counted))
    return routes


def _page_files(title: str) -> Mapping[str, tuple[str, bytes]]:
    # located, not imported: only the files of the package are needed
    package = importlib.util.find_spec("swagger_ui_bundle")
    found = list(Path(package.origin).parent.glob("vendor/*")) if package and package.origin else []
    if not found:
        raise ConfigurationError("the package swagger-ui-bundle-v2 is not installed; install the hashed requirements")
    [resources] = found
    files = {
        "/docs": ("text/html; charset=utf-8", _PAGE.format(title=title).encode()),
        "/docs/start.js": ("text/javascript; charset=utf-8", _START.encode()),
    }
    return files | {f"/docs/{name}": (kind, (resources / name).read_bytes()) for name, kind in _ASSETS.items()}
