"""Names without a mapping: bounded in number, harmless, and never a reason to wait."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ingest.segment.unmapped import UnmappedNames, call_name, is_harmless
from runtime.errors import StreamUnavailable
from stream.registry.unmapped import MAX_NAMES, OTHER


class Ledger:
    """The destination of the counts, which may be unreachable."""

    def __init__(self) -> None:
        self.written: list[dict[str, int]] = []
        self.is_away = False
        self.asked = 0

    async def write(self, counts: Mapping[str, int]) -> None:
        self.asked += 1
        if self.is_away:
            raise StreamUnavailable("connection")
        self.written.append(dict(counts))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def test_names_are_counted_and_written_together(ledger: Ledger) -> None:
    names = UnmappedNames(ledger.write)
    for name in ("Lesson Viewed", "Quiz Started", "Lesson Viewed"):
        names.count_event(name)
    names.count_call("identify")
    assert ledger.asked == 0
    await names.write()
    await names.write()
    assert ledger.written == [{"Lesson Viewed": 2, "Quiz Started": 1, "identify()": 1}]


@pytest.mark.parametrize(
    "name", ["ada@example.com", "415-555-2671", "Called 0039 333 123 4567", "x" * 65, "Überblick", "a\nb", "a/b", ""]
)
async def test_a_name_that_may_name_a_person_is_only_counted(ledger: Ledger, name: str) -> None:
    names = UnmappedNames(ledger.write)
    names.count_event(name)
    await names.write()
    assert ledger.written == [{OTHER: 1}]


async def test_more_names_than_anybody_reads_are_counted_as_others(ledger: Ledger) -> None:
    names = UnmappedNames(ledger.write)
    for number in range(MAX_NAMES + 20):
        names.count_event(f"Event {number}")
    names.count_event("Event 0")
    await names.write()
    [written] = ledger.written
    assert len(written) == MAX_NAMES + 1
    assert written[OTHER] == 20
    assert written["Event 0"] == 2


async def test_an_outage_loses_no_count_and_harms_nobody(ledger: Ledger) -> None:
    names = UnmappedNames(ledger.write)
    ledger.is_away = True
    names.count_event("Lesson Viewed")
    await names.write()
    names.count_event("Lesson Viewed")
    await names.write()
    ledger.is_away = False
    await names.write()
    assert ledger.written == [{"Lesson Viewed": 2}]


async def test_a_name_that_holds_the_id_of_its_learner_is_not_kept(ledger: Ledger) -> None:
    names = UnmappedNames(ledger.write)
    names.count_event("Viewed by canaryuser-77310", "CanaryUser-77310")
    names.count_event("Viewed by 7731022", None, 7731022)
    await names.write()
    assert ledger.written == [{OTHER: 2}]


def test_no_event_looks_like_a_call() -> None:
    assert not is_harmless(call_name("identify"))
    assert not is_harmless(OTHER)
