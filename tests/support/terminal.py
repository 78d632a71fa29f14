"""Commands as somebody at a terminal runs them, with the settings in the environment."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.settings import Settings
from tests.support.access import PSEUDONYM_KEYS


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
    """Somebody with a shell and the settings."""

    settings: Settings
    data_dir: Path
    secrets: Mapping[str, str] = field(default_factory=dict)

    async def run(self, *arguments: str, stdout: Path | None = None, **environment: str) -> Ended:
        """Run a command to its end, its output kept unless it goes to a file."""
        file = None if stdout is None else stdout.open("wb")
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(self.data_dir)),
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
            stdout=file or asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        if file is not None:
            file.close()
        assert child.returncode is not None
        return Ended(child.returncode, (out or b"").decode(), err.decode())
