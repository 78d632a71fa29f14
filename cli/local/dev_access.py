"""Secrets of a development system: made at the first `analytics up`, kept in the data directory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from runtime.embedded.secret_file import write_private
from runtime.errors import ConfigurationError
from runtime.pseudonym_keys import with_new_key

_Key = tuple[str, str, tuple[str, ...]]
"""Source, key, scopes."""

_READING: Final = ("events:read", "learning:read", "system:read")


@dataclass(frozen=True, slots=True)
class DevAccess:
    """What a sender, a reader and the services need to know."""

    write_key: str
    read_key: str
    admin_key: str
    jwt_secret: str
    pseudonym_keys: str
    api_key_secret: str

    def environment(self) -> dict[str, str]:
        """Return the settings by which all services together accept these keys."""
        return self._settings([*self._writing(), *self._reading()]) | {"ANALYTICS_JWT_SECRET": self.jwt_secret}

    def of_ingest(self) -> dict[str, str]:
        """Return the settings by which ingest accepts events: no key that reads."""
        return self._settings(self._writing())

    def of_dashboard(self) -> dict[str, str]:
        """Return the settings by which the read service answers: no key that writes."""
        return self._settings(self._reading()) | {"ANALYTICS_JWT_SECRET": self.jwt_secret}

    def _writing(self) -> list[_Key]:
        return [("dev", self.write_key, ("events:write",))]

    def _reading(self) -> list[_Key]:
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


def keep_access(file: Path, environment: Mapping[str, str]) -> DevAccess:
    """Return the secrets in the file, made at the first call (mode 0600).

    A secret given in `environment` wins over the file's. Raises ConfigurationError when the file is damaged.
    """
    if not file.exists():
        _write(file, _fresh())
    try:
        known = json.loads(file.read_text())
        # files of earlier versions have no such secret
        kept = DevAccess(**{"api_key_secret": secrets.token_hex(32)} | known)
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"{file} is damaged; restore it: without its pseudonym key, learners already stored are not found again"
        ) from None
    if asdict(kept) != known:
        _write(file, kept)
    given = {
        "jwt_secret": environment.get("ANALYTICS_JWT_SECRET"),
        "pseudonym_keys": environment.get("ANALYTICS_PSEUDONYM_KEYS"),
        "api_key_secret": environment.get("ANALYTICS_API_KEY_SECRET"),
    }
    return DevAccess(**{**asdict(kept), **{name: value for name, value in given.items() if value}})


def rotate_pseudonym_keys(file: Path) -> None:
    """Put a new key for pseudonyms before those in the file. Raises ConfigurationError."""
    kept = keep_access(file, {})
    _write(file, replace(kept, pseudonym_keys=with_new_key(kept.pseudonym_keys)))


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
