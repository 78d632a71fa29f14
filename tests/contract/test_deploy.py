"""deploy/ fits the code: linted, valid against the published schemas, and with names that exist."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from cli.main import application
from runtime.settings import Settings
from telemetry import metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
ALERTS = sorted((DEPLOY / "prometheus" / "alerts").glob("*.yml"))
ALERT_TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def series() -> set[str]:
    """Return every Prometheus name of the exported metrics."""
    collected: list[Metric] = list(metrics.registry.collect())
    names = {sample.name for metric in collected for sample in metric.samples} | {metric.name for metric in collected}
    return names | {f"{name}_{suffix}" for name in names for suffix in ("total", "bucket", "sum", "count")}


def read_board(file: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(file.read_text())
    return board


def panels() -> list[dict[str, Any]]:
    return [panel for board in map(read_board, DASHBOARDS) for panel in board["panels"]]


def alerts() -> list[dict[str, Any]]:
    groups = [group for file in ALERTS for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_the_dockerfile_is_what_hadolint_asks_for() -> None:
    passes(BIN / "hadolint", DEPLOY / "Dockerfile")


def test_the_compose_file_follows_its_specification() -> None:
    passes(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_every_yaml_file_is_tidy() -> None:
    passes(BIN / "yamllint", "--strict", "--config-file", ROOT / ".yamllint.yaml", DEPLOY)


def test_every_service_runs_a_command_there_is() -> None:
    ours = {name: s for name, s in compose()["services"].items() if s["image"].startswith("studyin-analytics")}
    known = {
        command.name or command.callback.__name__ for command in application().registered_commands if command.callback
    }
    known |= {group.name for group in application().registered_groups if group.name}

    assert set(ours) == {"migrate", "logins", "ingest", "worker", "live", "maintenance", "dashboard"}
    assert {service["command"][0] for service in ours.values()} <= known


PINNED = re.compile(r"[a-z/]+:v?\d+(\.\d+)+(-[a-z-]+)?@sha256:[0-9a-f]{64}")


def test_every_image_of_others_is_pinned_by_its_full_version_and_digest() -> None:
    images = {service["image"] for service in compose()["services"].values()}
    others = {image for image in images if image != "studyin-analytics:dev"}

    assert {image.split(":")[0] for image in others} == {"redis", "postgres", "prom/prometheus", "grafana/grafana"}
    assert {image for image in others if not PINNED.fullmatch(image)} == set()


def test_every_base_image_is_pinned_by_its_full_version_and_digest() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    given = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE))
    images = [
        re.sub(r"\$\{(\w+)\}", lambda name: given[name[1]], one) for one in re.findall(r"^FROM (\S+)", text, re.M)
    ]

    assert len(images) == 2
    assert [image for image in images if not PINNED.fullmatch(image)] == []


def test_every_long_running_service_says_whether_it_is_well() -> None:
    services = compose()["services"]

    assert [name for name, service in services.items() if "healthcheck" not in service] == ["migrate", "logins"]


def test_ingest_is_given_no_address_of_postgres() -> None:
    environment = compose()["services"]["ingest"]["environment"]

    assert "DATABASE_URL" not in environment
    assert "postgres" not in json.dumps(environment)


def test_every_variable_is_a_setting() -> None:
    texts = [path.read_text() for path in (DEPLOY / "compose.yaml", DEPLOY / "Dockerfile", DEPLOY / ".env.example")]
    used = set(re.findall(r"\bANALYTICS_[A-Z_]+", "\n".join(texts)))

    assert used
    assert used - {f"ANALYTICS_{name.upper()}" for name in Settings.model_fields} == set()


def test_every_secret_is_asked_for_and_explained() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    example = re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), flags=re.MULTILINE)

    assert required == {name for name, _ in example}
    assert [name for name, value in example if value and not value.startswith("'[")] == []


def test_the_image_holds_every_package() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)

    folders = {name.rstrip("*").replace("studyin_analytics", "sdk") for name in packages}
    assert folders - set(kept) == set()


@pytest.mark.needs_tool("promtool")
def test_prometheus_takes_its_configuration() -> None:
    passes("promtool", "check", "config", "--lint-fatal", DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("file", ALERT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_else(file: Path) -> None:
    passes("promtool", "test", "rules", file)


def test_every_alert_is_seen_firing_and_silent() -> None:
    tests = [test for file in ALERT_TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    fired = {check["alertname"] for check in checks if check["exp_alerts"]}
    silent = {check["alertname"] for check in checks if not check["exp_alerts"]}
    names = {rule["alert"] for rule in alerts()}

    assert fired == names
    # silent only when Prometheus is
    assert silent == names - {"AnalyticsWatchdog"}


def test_every_file_of_alerts_has_its_tests() -> None:
    assert [file.name for file in ALERT_TESTS] == [file.name for file in ALERTS]


@pytest.mark.needs_tool("haproxy")
def test_haproxy_takes_its_configuration() -> None:
    file = DEPLOY / "haproxy" / "haproxy.cfg"
    names = set(re.findall(r"\$\{([A-Z_0-9]+)\}", file.read_text()))
    addresses = {name: f"127.0.0.1:{port}" for port, name in enumerate(sorted(names), 7001)}
    passes("env", *(f"{name}={place}" for name, place in addresses.items()), "haproxy", "-c", "-f", file)


@pytest.mark.parametrize("file", [*ALERTS, *DASHBOARDS], ids=lambda path: path.name)
def test_every_metric_named_is_one_we_have(file: Path) -> None:
    named = set(re.findall(r"(?<![:\w])analytics_\w+", file.read_text()))

    assert named
    assert named - series() == set()


@pytest.mark.needs_tool("promtool")
def test_every_expression_of_a_board_can_be_parsed(tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))

    assert len(rules) > 80
    passes("promtool", "check", "rules", file)


def test_every_board_lets_the_reader_choose_the_prometheus() -> None:
    for board in map(read_board, DASHBOARDS):
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


def test_every_alert_has_its_runbook() -> None:
    links = [rule["annotations"]["runbook"] for rule in alerts()]

    assert links
    missing = [
        link
        for page, _, title in (link.partition("#") for link in links)
        if title not in anchors(ROOT / page)
        for link in [f"{page}#{title}"]
    ]
    assert missing == []


def test_every_runbook_has_commands() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    sections = {
        title.lower().replace(" ", "-"): text for title, text in re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", page, re.M)
    }
    runbooks = {rule["annotations"]["runbook"].partition("#")[2] for rule in alerts()} - {"watchdog", "platform-slow"}

    assert {name for name in runbooks if "\n```\n" not in sections[name]} == set()


def test_a_vulnerable_dependency_is_told_and_one_nobody_knows_is_not_called_safe() -> None:
    report = runpy.run_path(str(DEPLOY / "audit.py"))["report"]
    safe = {"name": "safe", "version": "1", "vulns": []}
    unknown = {"name": "unknown", "skip_reason": "not found"}
    assert report([safe]) == (["1 dependencies audited, 0 vulnerabilities"], False)
    lines, vulnerable = report([safe, unknown, {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1"}]}])
    assert vulnerable
    assert lines[:2] == ["bad 2: CVE-1", "2 dependencies audited, 1 vulnerabilities"]
    assert "unknown" in lines[2]
