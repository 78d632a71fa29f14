"""Checks the settings, and what is on this machine: the certificate and the disk."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cli.local.dev_file import DevFile
from runtime.diagnosis import Finding, check
from runtime.errors import ConfigurationError
from runtime.settings import Settings
from web.server.certificate import expiry_of

_MIN_DISK_BYTES: Final = 2 * 1024**3
_EXPIRES_SOON: Final = timedelta(days=14)


def check_secrets(settings: Settings) -> list[Finding]:
    """Check that the secrets are set. A service that lacks a secret it needs does not start."""
    try:
        settings.pseudonymizer()
        pseudonyms = Finding("settings.pseudonym_keys", "ok", "set")
    except ConfigurationError as error:
        pseudonyms = Finding("settings.pseudonym_keys", "warn", str(error), "set it for ingest and dashboard")
    keys = len(settings.api_keys)
    return [
        pseudonyms,
        check(
            "settings.api_keys",
            keys > 0,
            f"{keys} keys",
            "set ANALYTICS_API_KEYS or issue keys with `analytics keys create`; without keys every request is rejected",
            otherwise="warn",
        ),
        check(
            "settings.jwt_secret",
            settings.jwt_secret is not None,
            "set" if settings.jwt_secret else "not set",
            "set ANALYTICS_JWT_SECRET; without it learner tokens are rejected",
            otherwise="warn",
        ),
    ]


def check_logins(running: DevFile | None) -> list[Finding]:
    """Check that each process of `analytics up` has its own login. Returns nothing when no system runs."""
    if running is None:
        return []
    shared = running.shared_logins
    return [
        check(
            "up.logins",
            not shared,
            "some processes share the login of REDIS_URL or DATABASE_URL" if shared else "one for each process",
            f"set {shared} for `analytics up`; see docs/privacy.md",
            otherwise="warn",
        )
    ]


def check_allowed_ids(settings: Settings) -> Finding:
    """List the id patterns that ingest exempts from the search for personal data."""
    from ingest.privacy.firewall import allow_list

    try:
        allow_list(settings.pii_allow)
    except ConfigurationError as error:
        return Finding(
            "settings.pii_allow", "fail", str(error), "correct ANALYTICS_PII_ALLOW; ingest does not start with it"
        )
    listed = [f"{field}: {' '.join(patterns)}" for field, patterns in sorted(settings.pii_allow.items())]
    return Finding("settings.pii_allow", "ok", "; ".join(listed) or "none")


def check_certificate(settings: Settings, now: datetime) -> Finding:
    """Check the certificate of the services: whether it is readable here, and when it expires."""
    name = "tls.certificate"
    if settings.tls_cert_file is None:
        return Finding(name, "ok", "none is set")
    try:
        expires_at = expiry_of(Path(settings.tls_cert_file).read_bytes())
    except (OSError, ValueError) as error:
        return Finding(name, "fail", f"not readable: {error}", "correct ANALYTICS_TLS_CERT_FILE")
    return check(
        name,
        expires_at - now >= _EXPIRES_SOON,
        f"valid until {expires_at:%Y-%m-%d %H:%M} UTC",
        "renew the files of ANALYTICS_TLS_CERT_FILE and ANALYTICS_TLS_KEY_FILE",
        otherwise="fail" if expires_at <= now else "warn",
    )


def check_disk(data_dir: Path) -> Finding:
    """Check the free space for the data of `analytics up`, or in the current directory."""
    directory = data_dir if data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(directory).free
    return check(
        "disk.free",
        free >= _MIN_DISK_BYTES,
        f"{free / 1024**3:.1f} GiB free at {directory}",
        "free disk space; Redis and Postgres stop when the disk is full",
        otherwise="warn",
    )
