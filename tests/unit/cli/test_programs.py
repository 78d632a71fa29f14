"""The processes of `analytics up`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.local.dev_access import ensure_access
from cli.local.programs import Addresses, Plan, Programs
from runtime.settings import Settings


def test_services_on_one_machine_do_not_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DRAIN_SECONDS", "30")
    plan = Plan(tmp_path, ingest_port=1, dashboard_port=2, workers=1, demo=False, settings=Settings())
    addresses = Addresses(lambda _user: "redis://localhost/0", lambda _role: "postgresql://localhost/analytics")
    programs = Programs(plan, ensure_access(tmp_path / "access.json", {}), addresses)
    drains = {one.environment["ANALYTICS_DRAIN_SECONDS"] for one in (programs.ingest(), programs.dashboard())}
    assert drains == {"0"}
