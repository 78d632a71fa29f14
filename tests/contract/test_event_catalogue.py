"""The catalogue is the only place for what differs by event type."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from schemas import live
from schemas.catalogue import CATALOGUE, LEARNER_EVENTS, PLATFORM_EVENTS, EventKind, EventType
from schemas.entry import encode, read
from schemas.events import EVENT
from storage.batches.rollups import ROLLUPS, Rollup
from tests.support.entries import as_read
from tests.support.events import COMPLETE, event

ROOT = Path(__file__).parents[2]
KINDS = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)

_NUMBER = r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|[0-9]+)"


def test_every_name_has_one_row() -> None:
    assert list(CATALOGUE) == [event_type.value for event_type in EventType]
    assert CATALOGUE.keys() == LEARNER_EVENTS | PLATFORM_EVENTS
    assert not LEARNER_EVENTS & PLATFORM_EVENTS


def test_every_type_has_properties_of_its_own() -> None:
    assert len({kind.properties for kind in CATALOGUE.values()}) == len(CATALOGUE)


@KINDS
def test_the_properties_are_named_after_the_type(kind: EventKind) -> None:
    assert kind.properties.__name__ == f"{kind.name.title().replace('_', '')}Properties"


@KINDS
def test_xp_is_a_whole_number_of_the_event(kind: EventKind) -> None:
    if kind.xp is not None:
        assert isinstance(COMPLETE[kind.name][kind.xp], int)
        assert kind.xp in kind.properties.model_fields


@KINDS
def test_only_events_of_learners_add_to_the_figures_of_learners(kind: EventKind) -> None:
    assert kind.name in LEARNER_EVENTS or (kind.xp is None and kind.counter is None)


@KINDS
def test_a_subscriber_gets_the_properties_of_the_type_by_name(kind: EventKind) -> None:
    model = getattr(live, f"{kind.name.title().replace('_', '')}Event")
    assert model.__bases__ == (kind.properties, live.LiveEvent)
    assert model.model_config == live.LiveEvent.model_config | {"allow_inf_nan": False}


@KINDS
def test_an_event_of_each_type_is_accepted_carried_and_published(kind: EventKind) -> None:
    posted = {"event_type": kind.name, "user_id": "learner-7", "properties": COMPLETE[kind.name]}
    parsed = EVENT.validate_json(json.dumps(posted))
    carried = encode(event(kind.name, COMPLETE[kind.name]))
    received = live.parse_message('{"id":"1",' + live.message_tail(carried))

    assert parsed.properties.model_dump() == COMPLETE[kind.name]
    assert read(as_read(carried)) == carried
    assert received.model_dump(include=set(COMPLETE[kind.name])) == COMPLETE[kind.name]


def test_a_table_of_learners_counts_events_of_learners_only() -> None:
    of_learners = [rollup for rollup in ROLLUPS if rollup.is_of_learners and rollup.expires is None]
    assert len(of_learners) > 5
    assert [rollup.table for rollup in of_learners if rollup.event_types - LEARNER_EVENTS] == []


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: rollup.table)
def test_a_rollup_names_its_types_once(rollup: Rollup) -> None:
    """The condition of the query is derived from the declaration; a column may select one of its types."""
    assert rollup.select.count("WHERE {type_condition}") == 1
    singled_out = set(re.findall(r"event_type = '(\w+)'", rollup.select))
    assert singled_out <= rollup.event_types


def test_no_query_lists_types_of_events() -> None:
    listed = re.compile(r"\bevent_type\s+(?:NOT\s+)?IN\s*\(\s*'|\bWHEN\s+'[a-z_]+'\s+THEN", re.IGNORECASE)
    queries = [path for suffix in ("sql", "py") for path in (ROOT / "storage").rglob(f"*.{suffix}")]
    assert {path.suffix for path in queries} == {".sql", ".py"}
    assert [str(path) for path in queries if listed.search(path.read_text(encoding="utf-8"))] == []


def test_no_text_says_how_many_types_there_are() -> None:
    count = re.compile(rf"\b{_NUMBER} (?:event |\w+ of )?types\b|\bfourteen\b", re.IGNORECASE)
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    others = {"tests", "mutants"}
    modules = [path for path in ROOT.glob("[a-z]*/**/*.py") if path.relative_to(ROOT).parts[0] not in others]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (*documents, *modules)}
    assert [name for name, text in texts.items() if count.search(text)] == []
