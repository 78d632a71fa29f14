"""`analytics doctor`: checks every dependency and setting, and prints the fix of each problem."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.local import dev_file
from cli.local.dev_file import DATA_DIR, DataDir, DevFile, resolve_settings
from cli.output import coloured, joined, show, show_json
from runtime.clock import utc_now
from runtime.diagnosis import Finding, check
from runtime.errors import ConfigurationError, DependencyUnavailable
from runtime.release import release
from runtime.settings import Settings

UNHEALTHY = 3
BAD_SETTINGS = 2

_SETTINGS = "settings"
_MIN_DISK_BYTES = 2 * 1024**3
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Check each dependency and setting, and print the fix of each problem.

    Exit code 3 when a check fails, 2 for invalid settings.
    """
    findings = asyncio.run(_check_all(data_dir))
    failed = {finding.name for finding in findings if finding.status == "fail"}
    healthy = not failed
    if as_json:
        show_json({"healthy": healthy, "checks": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if not healthy:
        raise typer.Exit(BAD_SETTINGS if _SETTINGS in failed else UNHEALTHY)


async def _check_all(data_dir: Path) -> list[Finding]:
    try:
        settings = resolve_settings(data_dir)
    except ConfigurationError as error:
        return [Finding(_SETTINGS, "fail", str(error), "correct the variable in the message")]
    return [
        *check_secrets(settings),
        check_allowed_ids(settings),
        *check_logins(dev_file.read(data_dir)),
        *await _diagnose_redis(settings),
        *await _diagnose_postgres(settings),
        _check_disk(data_dir),
    ]


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


async def _diagnose_redis(settings: Settings) -> list[Finding]:
    from stream.diagnosis import diagnose
    from stream.diagnosis.chores import check_chores
    from stream.diagnosis.fleet import check_partitions, check_releases, has_stream_beyond
    from stream.diagnosis.permissions import diagnose_permissions
    from stream.registry.chores import read_chores
    from stream.server.client_names import read_fleet
    from stream.server.connection import connect

    redis = connect(settings)
    try:
        findings = await diagnose(
            redis,
            settings.stream_partitions,
            utc_now(),
            settings.claim_idle_seconds,
            settings.durability,
            settings.trim_ignore_groups,
        )
        fleet = await read_fleet(redis)
        beyond = await has_stream_beyond(redis, settings.stream_partitions)
        findings += [
            await diagnose_permissions(redis),
            check_partitions(fleet, settings.stream_partitions, beyond=beyond),
            check_releases(fleet, release()),
            check_chores(await read_chores(redis), utc_now()),
        ]
    except DependencyUnavailable as error:
        return [Finding("redis.reachable", "fail", str(error), "check that Redis runs and that REDIS_URL is correct")]
    finally:
        await redis.aclose()
    return [Finding("redis.reachable", "ok", "answers"), *findings]


async def _diagnose_postgres(settings: Settings) -> list[Finding]:
    from storage.diagnosis import diagnose

    try:
        findings = await diagnose(settings.database_dsn, settings.db_pool_size, utc_now(), settings.raw_retention)
    except ConfigurationError as error:
        return [
            Finding(
                "postgres.reachable", "fail", str(error), "correct DATABASE_URL; every process except ingest needs it"
            )
        ]
    except DependencyUnavailable as error:
        return [
            Finding(
                "postgres.reachable", "fail", str(error), "check that Postgres runs and that DATABASE_URL is correct"
            )
        ]
    return [Finding("postgres.reachable", "ok", "answers"), *findings]


def _check_disk(data_dir: Path) -> Finding:
    directory = data_dir if data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(directory).free
    return check(
        "disk.free",
        free >= _MIN_DISK_BYTES,
        f"{free / 1024**3:.1f} GiB free at {directory}",
        "free disk space; Redis and Postgres stop when the disk is full",
        otherwise="warn",
    )


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        status = coloured(f"{finding.status:5}", _COLOURS[finding.status])
        show(joined(status, f"{finding.name:{width}}  {finding.detail}"))
        if finding.fix:
            show(coloured(f"{'':{width + 7}}{finding.fix}", "italic"))
