"""Random interleavings of the steps of the pipeline. At rest its tables equal those of the model."""

from __future__ import annotations

import json
from uuid import UUID

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.accepted import AcceptedEvent
from tests.simulation.model import Expected, Ledger
from tests.simulation.world import World
from tests.support.events import accepted_events, learner

WORKERS = 2

which = st.integers(0, WORKERS - 1)


def _as_before(event: AcceptedEvent, first: AcceptedEvent) -> AcceptedEvent:
    return first._replace(occurred_at=event.occurred_at, activity_date=event.activity_date)


def _event(row: asyncpg.Record) -> AcceptedEvent:
    columns = {name: row[name] for name in AcceptedEvent._fields}
    # jsonb has its own order and spacing
    return AcceptedEvent(**columns | {"properties": json.dumps(json.loads(row["properties"]), sort_keys=True)})


class PipelineMachine(RuleBasedStateMachine):
    """Workers that read, store, acknowledge and crash; senders that repeat events; trimming, erasure, rebuild."""

    world: World
    """Set by the test that runs the machine."""

    @initialize()
    def start(self) -> None:
        self.ledger = Ledger()
        self.world.run(self.world.empty())
        self.workers = [self.world.run(self.world.new_worker()) for _ in range(WORKERS)]

    @rule(events=st.lists(accepted_events(), min_size=1, max_size=6), reply_lost=st.booleans())
    def send(self, events: list[AcceptedEvent], reply_lost: bool) -> None:
        known = self.ledger.versions
        # The same id is the same event: a sender that repeats it may only change its timestamp.
        events = [_as_before(event, known[event.event_id][0]) if event.event_id in known else event for event in events]
        unique = list({event.event_id: event for event in events}.values())
        for _ in range(2 if reply_lost else 1):
            self.world.run(self.world.append(unique))
        self.ledger.sent(unique)

    @precondition(lambda self: self.ledger.versions)
    @rule(data=st.data(), restamped=accepted_events())
    def send_again(self, data: st.DataObject, restamped: AcceptedEvent) -> None:
        event_id = data.draw(st.sampled_from(sorted(self.ledger.versions)))
        first = self.ledger.versions[event_id][0]
        again = first._replace(occurred_at=restamped.occurred_at, activity_date=restamped.activity_date)
        self.world.run(self.world.append([again]))
        self.ledger.sent([again])

    @rule()
    def send_poison(self) -> None:
        self.world.run(self.world.append_poison())
        self.ledger.poison += 1

    @rule(number=which, reply_lost=st.booleans())
    def read(self, number: int, reply_lost: bool) -> None:
        worker = self.workers[number]
        if worker.can_read:
            self.world.run(worker.read(reply_lost=reply_lost))

    @rule(number=which)
    def store(self, number: int) -> None:
        if self.workers[number].can_store:
            self.world.run(self.workers[number].store())

    @rule(number=which)
    def roll_back(self, number: int) -> None:
        if self.workers[number].can_store:
            self.world.run(self.workers[number].store_in_vain())

    @rule(number=which)
    def store_again_as_if_the_reply_was_lost(self, number: int) -> None:
        if self.workers[number].can_acknowledge:
            self.world.run(self.workers[number].store())

    @rule(number=which)
    def acknowledge(self, number: int) -> None:
        if self.workers[number].can_acknowledge:
            self.world.run(self.workers[number].acknowledge())

    @rule(number=which)
    def crash(self, number: int) -> None:
        self.workers[number] = self.world.run(self.world.new_worker())

    @rule()
    def trim(self) -> None:
        self.world.run(self.world.trim())

    @rule()
    def lose_the_group(self) -> None:
        self.world.run(self.world.lose_group())

    @rule()
    def rebuild(self) -> None:
        assert [table for table in self.world.run(self.world.rebuild()) if not table.is_clean] == []

    @rule(number=st.integers(1, 3))
    def ask_for_erasure(self, number: int) -> None:
        user_hash = learner(number)
        if user_hash not in self.ledger.erased:
            self.world.run(self.world.request_erasure(user_hash))
            self.ledger.erased.add(user_hash)

    @rule()
    def carry_out_erasures(self) -> None:
        self.world.run(self.world.carry_out_erasures())

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self._drain()
        assert self.world.run(self.world.carry_out_erasures()) == 0, "an erasure does not end"
        assert self.world.run(self.world.learners_in_stream()) & self.ledger.erased == set()
        stored = self._stored()
        self.ledger.check_stored(stored)
        self._check_numbers(Expected.of(stored.values()))
        assert self.world.run(self.world.drift()) == []
        lag = self.world.run(self.world.lag())
        assert lag.pending == 0
        assert self.world.run(self.world.booked()) == lag.appended, "the books do not balance"
        assert len(self._rows("SELECT FROM dead_letters")) == self.ledger.poison

    def _drain(self) -> None:
        self.workers[0] = worker = self.world.run(self.world.new_worker())
        while self.world.run(self.world.lag()).oldest_unsettled_at is not None:
            self.world.run(worker.read())
            if worker.can_store:
                self.world.run(worker.store())
                self.world.run(worker.acknowledge())

    def _stored(self) -> dict[UUID, AcceptedEvent]:
        rows = self._rows("SELECT * FROM analytics_events")
        return {row["event_id"]: _event(row) for row in rows}

    def _check_numbers(self, expected: Expected) -> None:
        stats = {row["user_hash"]: row["total_xp"] for row in self._rows("SELECT * FROM gamification_stats")}
        assert stats == dict(expected.total_xp)
        days = {
            (row["user_hash"], row["activity_date"]): [
                row[name] for name in ("activity_count", "materials_viewed", "materials_completed", "xp_earned")
            ]
            for row in self._rows("SELECT * FROM daily_activity_summary")
        }
        assert days == dict(expected.days)
        sessions = {
            (row["user_hash"], row["session_id"]): (row["event_count"], row["started_at"], row["last_event_at"])
            for row in self._rows("SELECT * FROM learning_sessions")
        }
        assert sessions == expected.sessions
        achievements = {
            (row["user_hash"], row["achievement_id"]): row["earned_at"]
            for row in self._rows("SELECT * FROM learner_achievements")
        }
        assert achievements == expected.achievements
        materials = {
            (row["user_hash"], row["material_id"]): [row["last_viewed_date"], row["last_completed_date"]]
            for row in self._rows("SELECT * FROM learner_materials")
        }
        assert materials == dict(expected.materials)

    def _rows(self, statement: str) -> list[asyncpg.Record]:
        return self.world.run(self.world.rows(statement))
