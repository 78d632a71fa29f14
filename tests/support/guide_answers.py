"""What the commands of docs/operations.md print in a fleet without faults, and their exit codes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Answer(NamedTuple):
    """Patterns of a command from its begin, and of something in its output; the exit codes that are right."""

    command: str
    text: str
    codes: tuple[int, ...] = (0,)


ANSWERS: Final[list[Answer]] = [
    Answer(r"cp deploy/.env.example ", r"^$"),
    Answer(r".* analytics migrate logins$", r"analytics_writer_login can log in"),
    Answer(r"analytics doctor$", r"ok +redis.reachable +answers"),
    Answer(r"analytics top --once$", r"store"),
    Answer(r"analytics top --once --json$", r"^\{"),
    Answer(r"analytics keys create ", r"\nsia_"),
    Answer(r"analytics keys list$", r"importer +events:write"),
    Answer(r"analytics keys revoke KEY_ID$", r"is revoked"),
    Answer(r"analytics keys rotate-pseudonym$", r"^2:[0-9a-f]{64},1:"),
    Answer(r"analytics migrate (status|up)$", r"\d{4}"),
    Answer(r"analytics dlq list ", r"rejected_by_database"),
    Answer(r"analytics dlq show ID$", r'"reason": "rejected_by_database"'),
    Answer(r"analytics dlq retry --all --dry-run$", r"3 of 3 dead letters can be retried"),
    Answer(r"analytics dlq retry ID$", r"1 of 1 dead letters retried"),
    Answer(r"analytics dlq drop ID --yes$", r"dropped 1 dead letters"),
    Answer(r"analytics verify --new$", r": balanced"),
    Answer(r"analytics verify$", r": balanced"),
    Answer(r"analytics verify --json$", r'"clean": true'),
    Answer(r"analytics rebuild$", r"no aggregate had drifted"),
    Answer(r"analytics replay --from TIME$", r"\d+ entries, 0 stored, .* 0 dead_lettered"),
    Answer(r"analytics privacy audit$", r"analytics_events"),
    Answer(r"analytics privacy export USER_ID$", r'"event_type":"xp_earned"'),
    Answer(r"analytics privacy erase USER_ID --yes$", r'"state": "done"'),
    Answer(r"analytics privacy log ", r"privacy erase"),
    # the file has an event that is not valid
    Answer(r"analytics send events", r"3 accepted, 1 rejected", codes=(1,)),
    Answer(r"zcat old/.* \| analytics send ", r"5 accepted, 0 rejected"),
    Answer(r"jq .* \| analytics send -$", r"0 accepted, 1 rejected", codes=(1,)),
    # a log need not have what is searched in it
    Answer(r"docker compose logs .*\| grep ", r"", codes=(0, 1)),
    Answer(r"docker compose logs .*\b(redis|postgres)$", r"ready to accept connections|Ready to accept connections"),
    Answer(r"docker compose logs ", r'"event": "process_started"'),
    Answer(r".* redis-cli ping$", r"^PONG$"),
    Answer(r".* redis-cli role$", r"^master\n"),
    Answer(r".* redis-cli time$", r"^\d+\n\d+$"),
    Answer(r".* redis-cli config get maxmemory-policy$", r"noeviction"),
    Answer(r".* redis-cli info memory$", r"\bmaxmemory:\d"),
    Answer(r".* redis-cli info persistence$", r"aof_last_bgrewrite_status:ok"),
    Answer(r".* redis-cli memory usage ", r"^\d+$"),
    Answer(r".* redis-cli xinfo groups ", r"\bspy\n"),
    Answer(r".* redis-cli xinfo stream ", r"entries-added\n8\n"),
    Answer(r".* redis-cli xgroup destroy .* spy$", r"^1$"),
    Answer(r".* pg_isready$", r"accepting connections"),
    Answer(r"psql .*VACUUM", r"finished vacuuming"),
    Answer(r"psql .*pg_terminate_backend", r"\bt\n\(1 row\)"),
    Answer(r"psql ", r"\(\d+ rows?\)"),
    Answer(r"curl .*/readyz$", r'^{"ok":true,'),
    Answer(r"curl .*/metrics \| grep ", r"^# HELP"),
    Answer(r"curl .*/system/metrics.* jq '.error_rate, ", r'"endpoint": "/courses"'),
    Answer(r"curl .*/system/metrics.* jq '.errors_by_type'", r"^{"),
    Answer(r"curl .*/api/v1/targets ", r'"worker",\n +"up"'),
    Answer(r"curl .*/api/v1/alerts' ", r'"AnalyticsWatchdog",\n +"firing"'),
    Answer(r"curl .*/api/v1/query\?query=analytics_books_entries'", r'"appended",\n +"\d+"'),
    Answer(r"curl .*/api/v1/query\?query=analytics_maintenance_", r'"measure_lag",\n +"\d+'),
    Answer(r"curl .*/api/v1/query\?query=slo:", r'"slo": "fresh"'),
    Answer(r"curl .*/api/v1/query\?query=(?P<metric>analytics_\w+)'", r'"__name__": "analytics_'),
]
"""The first that matches a command counts."""


def answer_to(command: str) -> Answer:
    """Return the answer to a command of the guide. Raises AssertionError if there is none."""
    found = next((answer for answer in ANSWERS if re.match(answer.command, command)), None)
    assert found is not None, f"no test knows what this answers, and it is not marked as not run: {command}"
    return found
