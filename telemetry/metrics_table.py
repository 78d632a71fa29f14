"""The table of metrics of a document. `python -m telemetry.metrics_table docs/metrics.md` writes it."""

from __future__ import annotations

import sys
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from schemas.document_section import replace_section
from telemetry.leader_gauge import LeaderGauge
from telemetry.roles import EXPORTED


def with_table(document: str) -> str:
    """Return the document with the current table between its two marks. Raises ValueError if a marker is missing."""
    return replace_section(document, "metrics", _rows())


def _rows() -> str:
    exporters: dict[MetricWrapperBase | LeaderGauge, list[str]] = {}
    for role, collectors in EXPORTED.items():
        for collector in collectors:
            if isinstance(collector, MetricWrapperBase | LeaderGauge):
                exporters.setdefault(collector, []).append(role)
    rows = sorted(_row(metric, roles) for metric, roles in exporters.items())
    heads = ("| metric | kind | labels | exported by | meaning |\n", "|---|---|---|---|---|\n")
    return "".join((*heads, *rows))


def _row(metric: MetricWrapperBase | LeaderGauge, roles: list[str]) -> str:
    [described] = metric.describe()
    name = described.name + {"counter": "_total", "info": "_info"}.get(described.type, "")
    if isinstance(metric, LeaderGauge):
        names, exported_by = metric.labels, "leader of maintenance"
    else:
        # the client has no public attribute for the names of labels
        names = metric._labelnames
        exported_by = "every process" if len(roles) == len(EXPORTED) else ", ".join(roles)
    labels = ", ".join(f"`{label}`" for label in names)
    return f"| `{name}` | {described.type} | {labels} | {exported_by} | {described.documentation} |\n"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")
