"""Which route served a request, as its template: what FastAPI and Starlette left in the scope, read without either."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

UNMATCHED: Final = "unmatched"
"""Stands for every path that no route is for; a path as it came may hold anything."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}:]+)(?::[^{}]*)?\}")
_MOUNTED: Final = "path"
"""The placeholder by which a mount stands for what is under it; its value is no parameter."""


def template_of(scope: Mapping[str, Any], outer_root: str = "") -> str:
    """Return the template of the route, mounts before it included, or UNMATCHED; never the path as it came.

    `outer_root` is the root path the application itself is served under.
    """
    template = _own_template(scope)
    if template is None:
        return UNMATCHED
    values = dict(scope.get("path_params") or {})
    prefix = str(scope.get("root_path") or "").removeprefix(outer_root)
    names = _PLACEHOLDER.findall(template)
    if _MOUNTED in names and _MOUNTED not in values:
        template, names = f"/{{{_MOUNTED}}}", [_MOUNTED]
    mounts = _with_placeholders(prefix, {name: value for name, value in values.items() if name not in names})
    return UNMATCHED if mounts is None else _PLACEHOLDER.sub(r"{\1}", mounts + template)


def _own_template(scope: Mapping[str, Any]) -> str | None:
    route = scope.get("route")
    # FastAPI keeps the prefixes of included routers apart from the route
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    if context is not None and getattr(context, "original_route", None) is route:
        route = context
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template if isinstance(template, str) else None


def _with_placeholders(prefix: str, values: Mapping[str, Any]) -> str | None:
    """Return the prefix with the names of parameters in place of their values; None when one is not found in it."""
    segments = prefix.split("/")
    for name, value in values.items():
        if str(value) not in segments:
            return None
        segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
