"""Finds the template of the route that served a request, from the scope of Starlette or FastAPI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

UNMATCHED: Final = "unmatched"
"""Template for paths without a route, because a raw path may contain personal data."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}:]+)(?::[^{}]*)?\}")
_MOUNTED: Final = "path"
"""Placeholder of a mount for the rest of the path. It is not a parameter."""


def template_of(scope: Mapping[str, Any], outer_root: str = "") -> str:
    """Return the template of the route with its mounts, or UNMATCHED. Never returns the raw path.

    `outer_root` is the root path under which the application is served.
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
    # FastAPI stores the prefixes of included routers outside the route
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    if context is not None and getattr(context, "original_route", None) is route:
        route = context
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template if isinstance(template, str) else None


def _with_placeholders(prefix: str, values: Mapping[str, Any]) -> str | None:
    """Return the prefix with parameter names in place of their values, or None if a value is not found."""
    segments = prefix.split("/")
    for name, value in values.items():
        if str(value) not in segments:
            return None
        segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
