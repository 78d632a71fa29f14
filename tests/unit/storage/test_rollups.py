"""How the columns of an aggregate merge, as SQL; tests/integration/test_storage.py runs it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from storage.batches.catalogue_sql import type_condition
from storage.batches.rollups import ROLLUPS, Add, AtFirst, AtLast, Greatest, Least, Merge, Rollup, Union

BY_NAME = {rollup.table: rollup for rollup in ROLLUPS}
ERRORS = BY_NAME["system_errors"]
ACHIEVEMENTS = BY_NAME["learner_achievements"]


@pytest.mark.parametrize(
    ("merge", "upsert", "aggregate"),
    [
        (Add(), "t.c + EXCLUDED.c", "sum(c)::bigint"),
        (Least(), "LEAST(t.c, EXCLUDED.c)", "min(c)"),
        (Greatest(), "GREATEST(t.c, EXCLUDED.c)", "max(c)"),
        (Union(), "t.c + EXCLUDED.c", "range_agg(c)"),
        (
            AtFirst("at", "id"),
            "CASE WHEN t.at IS NULL OR (EXCLUDED.at, EXCLUDED.id) < (t.at, t.id) THEN EXCLUDED.c ELSE t.c END",
            "(array_agg(c ORDER BY at NULLS LAST, id))[1]",
        ),
        (
            AtLast("at", "id"),
            "CASE WHEN t.at IS NULL OR (EXCLUDED.at, EXCLUDED.id) > (t.at, t.id) THEN EXCLUDED.c ELSE t.c END",
            "(array_agg(c ORDER BY at DESC NULLS LAST, id DESC))[1]",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_column_merges_two_rows_and_a_group_of_rows_alike(merge: Merge, upsert: str, aggregate: str) -> None:
    assert merge.upsert("c") == upsert
    assert merge.aggregate("c") == aggregate


def test_a_batch_is_added_to_its_rows_in_the_order_of_their_key() -> None:
    insert, *_, last = ERRORS.upsert("batch").splitlines()
    assert insert == "INSERT INTO public.system_errors AS t (bucket_start, endpoint, error_type, errors, slot)"
    assert "FROM batch" in ERRORS.upsert("batch")
    assert ") AS fresh ORDER BY bucket_start, endpoint, error_type\n" in ERRORS.upsert("batch")
    assert "SELECT bucket_start, endpoint, error_type, errors, $1::smallint FROM (\n" in ERRORS.upsert("batch")
    assert last == (
        "ON CONFLICT (bucket_start, endpoint, error_type, slot) DO UPDATE SET errors = t.errors + EXCLUDED.errors"
    )


def test_a_table_without_slots_has_one_row_for_each_key() -> None:
    insert, select, *_, last = ACHIEVEMENTS.upsert("batch", schema="retired").splitlines()
    columns = "user_hash, achievement_id, earned_at, earn_event_id, activity_date, name, times_earned"
    assert insert == f"INSERT INTO retired.learner_achievements AS t ({columns})"
    assert select == f"SELECT {columns} FROM ("
    assert last.startswith("ON CONFLICT (user_hash, achievement_id) DO UPDATE SET earned_at = CASE WHEN ")
    assert last.endswith(" END, times_earned = t.times_earned + EXCLUDED.times_earned")


@pytest.mark.parametrize("rollup", ROLLUPS, ids=BY_NAME)
def test_every_placeholder_of_a_query_is_filled(rollup: Rollup) -> None:
    query = rollup.over("some_events")
    assert "FROM some_events AS events" in query
    assert not re.search(r"\{\w+\}|None", query)
    assert type_condition(rollup.event_types) in query


@pytest.mark.parametrize("rollup", ROLLUPS, ids=BY_NAME)
def test_the_query_of_a_table_is_in_the_file_of_its_name(rollup: Rollup) -> None:
    assert replace(rollup).over("some_events") == rollup.over("some_events")


def test_sessions_are_unions_of_five_minutes() -> None:
    assert "interval '300 seconds'" in BY_NAME["learning_sessions"].over("some_events")


def test_rows_are_merged_by_key_across_slots_and_with_what_retention_removed() -> None:
    assert ERRORS.merged("system_errors") == (
        "SELECT bucket_start, endpoint, error_type, sum(errors)::bigint AS errors"
        " FROM system_errors AS parts GROUP BY bucket_start, endpoint, error_type"
    )
    assert (
        BY_NAME["hourly_event_counts"]
        .merged("parts")
        .startswith("SELECT hour, event_type, sum(events)::bigint AS events, sum(xp)::bigint AS xp FROM parts")
    )
    columns = "bucket_start, endpoint, error_type, errors"
    parts = (
        f"(SELECT {columns} FROM retired.system_errors"
        f" UNION ALL SELECT {columns} FROM (\n{ERRORS.over('analytics_events')}) AS raw)"
    )
    assert ERRORS.recomputed() == ERRORS.merged(parts)
    assert ERRORS.over("others") in ERRORS.recomputed("others")


def test_a_rollup_says_whether_its_rows_are_about_learners() -> None:
    assert ACHIEVEMENTS.is_of_learners
    assert not ERRORS.is_of_learners
    assert ERRORS.columns == ("bucket_start", "endpoint", "error_type", "errors")
