"""`dev.json`: where a running development system is, for scripts and for our own commands."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.local.dev_access import keep_access
from runtime.embedded.secret_file import write_private
from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.settings import Settings

NAME = "dev.json"
ACCESS_NAME = "access.json"

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="ANALYTICS_DATA_DIR", help="Directory of a system run by `analytics up`."),
]
DATA_DIR = Path(".data")


@dataclass(frozen=True, slots=True)
class DevFile:
    """What the file says."""

    ingest_url: str
    dashboard_url: str
    write_key: str
    read_key: str
    admin_key: str
    jwt_secret: str
    database_url: str
    redis_url: str
    shared_logins: str = ""
    """Variables of the passwords that were not given, comma separated: these processes have the operator's login."""


def write(data_dir: Path, content: DevFile) -> None:
    """Write the file with mode 0600 in one step."""
    write_private(data_dir / NAME, json.dumps(asdict(content), indent=2) + "\n")


def read(data_dir: Path) -> DevFile | None:
    """Return what the file says, None when no system runs there. Raises ConfigurationError when it is damaged."""
    try:
        return DevFile(**json.loads((data_dir / NAME).read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"--data-dir: {data_dir / NAME} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"{data_dir / NAME} is damaged; start `analytics up` again") from None


def remove(data_dir: Path) -> None:
    """Remove the file; no-op when there is none."""
    (data_dir / NAME).unlink(missing_ok=True)


def settings_of(data_dir: Path) -> Settings:
    """Read the settings; what the environment does not say is as in the system run in `data_dir`, if one runs.

    Raises ConfigurationError.
    """
    running = read(data_dir)
    if running is not None:
        if not os.environ.get("REDIS_HOST"):
            os.environ.setdefault("REDIS_URL", running.redis_url)
        os.environ.setdefault("DATABASE_URL", running.database_url)
        for name, value in keep_access(data_dir / ACCESS_NAME, os.environ).environment().items():
            os.environ.setdefault(name, value)
    return load_settings()
