"""Runs commands as an operator at a terminal, with the settings in the environment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.settings import Settings
from tests.support.access import PSEUDONYM_KEYS
from tests.support.commands import command_line


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    def document(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class Operator:
    """An operator with a shell and the settings."""

    settings: Settings
    data_dir: Path
    secrets: Mapping[str, str] = field(default_factory=dict)

    async def run(self, *arguments: str, **environment: str) -> Ended:
        """Run a command to its end."""
        return await self._run(asyncio.subprocess.PIPE, arguments, environment)

    async def run_into(self, file: Path, *arguments: str) -> Ended:
        """Run a command to its end with its output in a file."""
        with file.open("wb") as stream:
            return await self._run(stream.fileno(), arguments, {})

    async def _run(self, stdout: int, arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
        child = await asyncio.create_subprocess_exec(
            *command_line(*arguments, "--data-dir", str(self.data_dir)),
            env={
                "REDIS_URL": self.settings.redis_dsn,
                "DATABASE_URL": self.settings.database_dsn,
                "ANALYTICS_ENVIRONMENT": "dev",
                "ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
                "PYTHONWARNINGS": "error",
                "COLUMNS": "200",
                **self.secrets,
                **environment,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        assert child.returncode is not None
        return Ended(child.returncode, (out or b"").decode(), err.decode())
