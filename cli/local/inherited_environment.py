"""Environment variables that every process of `analytics up` inherits: an allow list without secrets.

`programs.py` adds the secrets that each process needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runtime.settings import SECRET_FIELDS, Settings

_SYSTEM: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
_PREFIXES: Final = ("LC_", "PYTHON", "COVERAGE_")
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
"""In lower case; matched in any case."""

_SETTINGS: Final = frozenset(
    field.alias or f"ANALYTICS_{name.upper()}"
    for name, field in Settings.model_fields.items()
    if name not in SECRET_FIELDS
)


def inherited_environment(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the caller that every process may have."""
    return {
        name: value
        for name, value in caller.items()
        if name in _SYSTEM or name in _SETTINGS or name.startswith(_PREFIXES)
    }


def proxy_variables(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables of the caller. Their URLs may contain a password."""
    return {name: value for name, value in caller.items() if name.lower() in _PROXIES}
