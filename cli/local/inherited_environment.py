"""What a process of `analytics up` inherits of the caller's environment: no secret, and nothing that is not known.

Which secrets a process needs is for `cli.local.programs` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runtime.settings import SECRET_FIELDS, Settings

_OF_THE_SYSTEM: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
_FAMILIES: Final = ("LC_", "PYTHON", "COVERAGE_")
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
"""In capitals too."""

_SETTINGS: Final = frozenset(
    field.alias or f"ANALYTICS_{name.upper()}"
    for name, field in Settings.model_fields.items()
    if name not in SECRET_FIELDS
)


def inherited_environment(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that every process of ours may have."""
    return {
        name: value
        for name, value in caller.items()
        if name in _OF_THE_SYSTEM or name in _SETTINGS or name.startswith(_FAMILIES)
    }


def proxy_variables(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of an environment, whose addresses may hold a password."""
    return {name: value for name, value in caller.items() if name.lower() in _PROXIES}
