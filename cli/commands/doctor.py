"""`analytics doctor`: checks every dependency and setting, and prints the fix of each problem."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

import storage.diagnosis
import stream.diagnosis
from cli.diagnosis import check_allowed_ids, check_certificate, check_disk, check_logins, check_secrets
from cli.local import dev_file
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import coloured, joined, show, show_json
from runtime.clock import utc_now
from runtime.diagnosis import Finding
from runtime.errors import ConfigurationError, DependencyUnavailable
from runtime.release import release
from runtime.settings import Settings
from storage.database.failures import NO_RIGHT
from stream.diagnosis import BACKUP_INTERVAL
from stream.diagnosis.chores import check_chores
from stream.diagnosis.fleet import check_partitions, check_releases, has_stream_beyond
from stream.diagnosis.permissions import diagnose_permissions
from stream.registry.chores import read_chores
from stream.server.client_names import Fleet, read_fleet
from stream.server.connection import connect
from stream.server.failures import NOT_PERMITTED

UNHEALTHY = 3
BAD_SETTINGS = 2

_SETTINGS = "settings"
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    backup_interval: Annotated[
        float, typer.Option(min=0, help="Hours between two backups of Postgres, to which a replay must reach back.")
    ] = BACKUP_INTERVAL / timedelta(hours=1),
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Check each dependency and setting, and print the fix of each problem.

    Exit code 3 when a check fails, 2 for invalid settings.
    """
    findings = asyncio.run(_check_all(data_dir, timedelta(hours=backup_interval)))
    failed = {finding.name for finding in findings if finding.status == "fail"}
    healthy = not failed
    if as_json:
        show_json({"healthy": healthy, "checks": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if not healthy:
        raise typer.Exit(BAD_SETTINGS if _SETTINGS in failed else UNHEALTHY)


async def _check_all(data_dir: Path, backup_interval: timedelta) -> list[Finding]:
    try:
        settings = resolve_settings(data_dir)
    except ConfigurationError as error:
        return [Finding(_SETTINGS, "fail", str(error), "correct the variable in the message")]
    fleet, of_redis = await _diagnose_redis(settings, backup_interval)
    return [
        *check_secrets(settings),
        check_allowed_ids(settings),
        check_certificate(settings, utc_now()),
        *check_logins(dev_file.read(data_dir)),
        *of_redis,
        *await _diagnose_postgres(settings, fleet),
        check_disk(data_dir),
    ]


async def _diagnose_redis(settings: Settings, backup_interval: timedelta) -> tuple[Fleet | None, list[Finding]]:
    redis = connect(settings)
    try:
        findings = await stream.diagnosis.diagnose(
            redis,
            settings.stream_partitions,
            utc_now(),
            settings.claim_idle_seconds,
            settings.durability,
            settings.trim_ignore_groups,
            backup_interval,
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
        fix = (
            "run it with REDIS_URL of the default user, or grant this command (ACL SETUSER). See `Logins` under"
            " `Deploy` in docs/operations.md"
            if error.reason == NOT_PERMITTED
            else "check that Redis runs and that REDIS_URL is correct"
        )
        return None, [Finding("redis.reachable", "fail", str(error), fix)]
    finally:
        await redis.aclose()
    return fleet, [Finding("redis.reachable", "ok", "answers"), *findings]


async def _diagnose_postgres(settings: Settings, fleet: Fleet | None) -> list[Finding]:
    name = "postgres.reachable"
    try:
        findings = await storage.diagnosis.diagnose(
            settings.database_dsn,
            settings.db_pool_size,
            utc_now(),
            settings.raw_retention,
            services=None if fleet is None else len(fleet.services),
            service_connections=0 if fleet is None else sum(one.database_connections for one in fleet.services),
        )
    except ConfigurationError as error:
        return [Finding(name, "fail", str(error), "correct DATABASE_URL; every process except ingest needs it")]
    except DependencyUnavailable as error:
        fix = (
            "run it with DATABASE_URL of the owner. See `Logins` under `Deploy` in docs/operations.md"
            if error.reason == NO_RIGHT
            else "check that Postgres runs and that DATABASE_URL is correct"
        )
        return [Finding(name, "fail", str(error), fix)]
    return [Finding(name, "ok", "answers"), *findings]


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        status = coloured(f"{finding.status:5}", _COLOURS[finding.status])
        show(joined(status, f"{finding.name:{width}}  {finding.detail}"))
        if finding.fix:
            show(coloured(f"{'':{width + 7}}{finding.fix}", "italic"))
