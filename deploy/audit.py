"""Asks PyPI whether a dependency that runs in production has a known vulnerability: `python deploy/audit.py`.

Exit code 1 when one has. Where nobody can be asked (no network, or a mirror without that knowledge) it says so, and
what was not asked: that is no verdict, and no reason to stop working.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements.txt"


def main() -> None:
    """Ask, report, exit."""
    asked = subprocess.run(
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
        dependencies: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        reason = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        sys.stdout.write(f"NOT AUDITED, nobody could be asked: {reason}\n")
        return
    lines, vulnerable = report(dependencies)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(vulnerable)


def report(dependencies: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return what to say of pip-audit's list, and whether anything on it is vulnerable. Pure."""
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    known = [one for one in dependencies if "skip_reason" not in one]
    found = [f"{one['name']} {one['version']}: {fault['id']}" for one in known for fault in one["vulns"]]
    lines = [*found, f"{len(known)} dependencies audited, {len(found)} vulnerabilities"]
    if unknown:
        lines.append(f"NOT AUDITED, not known where packages come from here: {', '.join(unknown)}")
    return lines, bool(found)


if __name__ == "__main__":
    main()
