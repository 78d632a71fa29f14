"""Checks production dependencies for vulnerabilities that PyPI knows: `python deploy/audit.py`.

Exits with 1 if a dependency has one. If the check is not possible (no network, or a mirror without this data), it
reports what was not audited and exits with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements.txt"


def main() -> None:
    """Run the audit, print the report, exit."""
    audit = subprocess.run(
        [
            Path(sys.executable).with_name("pip-audit"),
            *("--requirement", _REQUIREMENTS, "--require-hashes", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        dependencies: list[dict[str, Any]] = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        reason = (audit.stderr.strip().splitlines() or ["no answer"])[-1]
        sys.stdout.write(f"NOT AUDITED, the vulnerability service is unreachable: {reason}\n")
        return
    lines, vulnerable = report(dependencies)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(vulnerable)


def report(dependencies: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return the lines of the report on pip-audit's list, and whether a dependency is vulnerable. Pure."""
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    known = [one for one in dependencies if "skip_reason" not in one]
    found = [f"{one['name']} {one['version']}: {fault['id']}" for one in known for fault in one["vulns"]]
    lines = [*found, f"{len(known)} dependencies audited, {len(found)} vulnerabilities"]
    if unknown:
        lines.append(f"NOT AUDITED, unknown to this package index: {', '.join(unknown)}")
    return lines, bool(found)


if __name__ == "__main__":
    main()
