from __future__ import annotations

from bench.drills import read_drills, render

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.crashes.test_kill_matrix" name="test_a_killed_worker[1]" time="1.5" />
<testcase classname="tests.crashes.test_kill_matrix" name="test_a_killed_worker[2]" time="2.1">
<failure message="lost">...</failure></testcase>
<testcase classname="tests.faults.test_restore" name="test_a_lost_cluster" time="30.2">
<properties><property name="missed_tool" value="jq"/></properties></testcase>
<testcase classname="tests.faults.test_alerts" name="test_alerts" time="0.1"><skipped message="no"/></testcase>
<testcase classname="tests.clients.test_node" name="test_node" time="0.1"><error message="no"/></testcase>
</testsuite></testsuites>"""
MACHINE = {"cores": "2", "commit": "abc", "valkey": "Valkey server v=9", "postgres": "postgres 18"}


def test_the_report_has_a_row_for_each_test_and_the_cases_with_each_result() -> None:
    report = render(read_drills(JUNIT), MACHINE)

    assert "at abc, in 1 minutes: 2 failed, 2 passed, 1 skipped." in report
    assert report.splitlines()[-5:] == [
        "|---|---|---|",
        "| `tests/crashes/test_kill_matrix.py::test_a_killed_worker` | 1 failed, 1 passed | 4 |",
        "| `tests/faults/test_restore.py::test_a_lost_cluster` | passed | 30 |",
        "| `tests/faults/test_alerts.py::test_alerts` | skipped | 0 |",
        "| `tests/clients/test_node.py::test_node` | failed | 0 |",
    ]
