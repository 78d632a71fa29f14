"""`dev.json`: addresses and keys of a running development system, for scripts and for the commands."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.local.dev_access import ensure_access
from cli.local.secret_file import write_private
from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.settings import Settings

NAME = "dev.json"
ACCESS_NAME = "access.json"

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="ANALYTICS_DATA_DIR", help="Data directory of a system run by `analytics up`."),
]
DATA_DIR = Path(".data")


@dataclass(frozen=True, slots=True)
class DevFile:
    """The content of the file."""

    ingest_url: str
    dashboard_url: str
    write_key: str
    read_key: str
    admin_key: str
    jwt_secret: str
    database_url: str
    redis_url: str
    shared_logins: str = ""
    """Password variables that were not set, comma separated. Their processes share the operator's login."""


def write(data_dir: Path, content: DevFile) -> None:
    """Write the file atomically, with mode 0600."""
    write_private(data_dir / NAME, json.dumps(asdict(content), indent=2) + "\n")


def read(data_dir: Path) -> DevFile | None:
    """Return the content, or None when no system runs there. Raises ConfigurationError when the file is damaged."""
    try:
        return DevFile(**json.loads((data_dir / NAME).read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"--data-dir: {data_dir / NAME} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"{data_dir / NAME} is damaged; start `analytics up` again to rewrite it") from None


def remove(data_dir: Path) -> None:
    """Remove the file if it exists."""
    (data_dir / NAME).unlink(missing_ok=True)


def resolve_settings(data_dir: Path) -> Settings:
    """Load the settings. Those missing in the environment come from the system that runs in `data_dir`, if any.

    Sets them in this process's environment. Raises ConfigurationError.
    """
    running = read(data_dir)
    if running is not None:
        if not os.environ.get("REDIS_HOST"):
            os.environ.setdefault("REDIS_URL", running.redis_url)
        os.environ.setdefault("DATABASE_URL", running.database_url)
        for name, value in ensure_access(data_dir / ACCESS_NAME, os.environ).environment().items():
            os.environ.setdefault(name, value)
    return load_settings()
