"""Sends with Segment's own client, as a service would. Only the host is changed. Fails if the client drops an event."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from segment.analytics.client import Client  # type: ignore[import-untyped]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("key")
    parser.add_argument("events", type=int)
    parser.add_argument("learners", type=int)
    parser.add_argument("--gzip", action="store_true")
    given = parser.parse_args()

    dropped: list[Any] = []
    client = Client(
        given.key,
        host=given.host,
        gzip=given.gzip,
        max_queue_size=given.events + 10,
        on_error=lambda error, batch: dropped.extend([error, *batch]),
    )
    client.identify("learner-0", {"email": "ada@example.com"})
    client.page("learner-0", "Courses", "Limits")
    client.screen("learner-0", "Courses", "Limits")
    client.group("learner-0", "school-1", {"name": "A School"})
    client.alias("visitor-0", "learner-0")
    client.track("learner-0", "Quiz Started", {"email": "ada@example.com"})
    for number in range(given.events):
        is_queued, _ = client.track(f"learner-{number % given.learners}", "XP Earned", {"xp_amount": 1})
        assert is_queued
    client.shutdown()
    sys.exit(f"dropped: {dropped[0]}, {len(dropped)} in all" if dropped else 0)


if __name__ == "__main__":
    main()
