"""Secrets of a development system, created by the first `analytics up` and stored in its data directory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from cli.local.secret_file import write_private
from runtime.errors import ConfigurationError
from runtime.setting_values.pseudonym_keys import with_new_key

_Key = tuple[str, str, tuple[str, ...]]
"""Source, key, scopes."""

_READING: Final = ("events:read", "learning:read", "system:read")


@dataclass(frozen=True, slots=True)
class DevAccess:
    """API keys for people and scripts, and secrets of the services."""

    write_key: str
    read_key: str
    admin_key: str
    jwt_secret: str
    pseudonym_keys: str
    api_key_secret: str

    def environment(self) -> dict[str, str]:
        """Return settings with which every service accepts these keys."""
        return self._settings([*self._write_keys(), *self._read_keys()]) | {"ANALYTICS_JWT_SECRET": self.jwt_secret}

    def ingest_environment(self) -> dict[str, str]:
        """Return the settings of ingest: only keys that write."""
        return self._settings(self._write_keys())

    def dashboard_environment(self) -> dict[str, str]:
        """Return the settings of the read service: only keys that read."""
        return self._settings(self._read_keys()) | {"ANALYTICS_JWT_SECRET": self.jwt_secret}

    def _write_keys(self) -> list[_Key]:
        return [("dev", self.write_key, ("events:write",))]

    def _read_keys(self) -> list[_Key]:
        return [
            ("dev-dashboard", self.read_key, _READING),
            ("dev-admin", self.admin_key, (*_READING, "privacy:admin")),
        ]

    def _settings(self, keys: Sequence[_Key]) -> dict[str, str]:
        entries = [dict(zip(("source", "key", "scopes"), key, strict=True)) for key in keys]
        return {
            "ANALYTICS_API_KEYS": json.dumps(entries),
            "ANALYTICS_API_KEY_SECRET": self.api_key_secret,
            "ANALYTICS_PSEUDONYM_KEYS": self.pseudonym_keys,
        }


def ensure_access(file: Path, environment: Mapping[str, str]) -> DevAccess:
    """Return the secrets in the file. The first call creates the file with mode 0600.

    A secret in `environment` overrides that of the file and is not stored. Raises ConfigurationError when the file is
    damaged.
    """
    if not file.exists():
        _write(file, _fresh())
    try:
        stored = json.loads(file.read_text())
        # files of earlier releases have no api_key_secret
        access = DevAccess(**{"api_key_secret": secrets.token_hex(32)} | stored)
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"{file} is damaged; restore it: without its pseudonym key, stored learners cannot be found"
        ) from None
    if asdict(access) != stored:
        _write(file, access)
    overrides = {
        "jwt_secret": environment.get("ANALYTICS_JWT_SECRET"),
        "pseudonym_keys": environment.get("ANALYTICS_PSEUDONYM_KEYS"),
        "api_key_secret": environment.get("ANALYTICS_API_KEY_SECRET"),
    }
    return DevAccess(**{**asdict(access), **{name: value for name, value in overrides.items() if value}})


def rotate_pseudonym_keys(file: Path) -> None:
    """Prepend a new pseudonym key to those in the file. Raises ConfigurationError when the file is damaged."""
    access = ensure_access(file, {})
    _write(file, replace(access, pseudonym_keys=with_new_key(access.pseudonym_keys)))


def _fresh() -> DevAccess:
    return DevAccess(
        write_key=f"dev-write-{secrets.token_urlsafe(24)}",
        read_key=f"dev-read-{secrets.token_urlsafe(24)}",
        admin_key=f"dev-admin-{secrets.token_urlsafe(24)}",
        jwt_secret=secrets.token_urlsafe(48),
        pseudonym_keys=f"1:{secrets.token_hex(32)}",
        api_key_secret=secrets.token_hex(32),
    )


def _write(file: Path, access: DevAccess) -> None:
    write_private(file, json.dumps(asdict(access), indent=2) + "\n")
