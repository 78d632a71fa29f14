"""The cost ratio: processor time of the whole system as a multiple of that of the bare way."""

from __future__ import annotations

import pytest

from bench.bare_pipeline import Bare
from bench.cost import of_bare, of_processor

BARE = Bare(redis=20e-6, postgres=15e-6, client=15e-6)


def test_the_cost_ratio_is_of_the_whole_system_and_all_of_the_bare_way() -> None:
    whole, *_ = of_processor("held", {"ingest": 30e-6, "valkey-server": 60e-6, "postgres": 30e-6}, BARE)

    assert (whole.name, whole.unit) == ("held: processor of the whole system, an event", "us")
    assert whole.value == pytest.approx(120)
    assert whole.ratio == pytest.approx(2.4)


@pytest.mark.parametrize("server", ["valkey-server", "redis-server"])
def test_a_server_is_beside_itself_in_the_bare_way_and_the_largest_is_first(server: str) -> None:
    _, *parts = of_processor("held", {"ingest": 30e-6, server: 60e-6, "postgres": 45e-6}, BARE)

    assert [figure.name.partition("processor of ")[2] for figure in parts] == [
        f"{server}, an event",
        "postgres, an event",
        "ingest, an event",
    ]
    assert [figure.ratio and round(figure.ratio, 9) for figure in parts] == [3.0, 3.0, None]


def test_where_processor_time_is_unknown_there_is_no_figure() -> None:
    assert of_processor("held", {}, BARE) == []


def test_the_parts_of_the_bare_way_are_told() -> None:
    assert [round(figure.value) for figure in of_bare("held", BARE)] == [20, 15, 15]


def test_two_runs_of_the_bare_way_count_alike() -> None:
    assert Bare(1.0, 2.0, 3.0).mean(Bare(3.0, 6.0, 9.0)) == Bare(2.0, 4.0, 6.0)
