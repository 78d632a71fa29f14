from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from attack import bodies, frames, heads
from attack.attempt import Attempt, Form, Service, read_attempt, write_attempt
from attack.corpus import corpus
from attack.delivery import Answer, answers_in
from attack.mutation import MOST_BYTES, mutate
from attack.search import KEPT, Search
from attack.texts import MAKERS
from attack.wire import Access, on_the_wire

ACCESS = Access("127.0.0.1", 8080, "write-key", "read-key")
GENERATORS = [bodies.runs, bodies.events, bodies.messages, bodies.text, heads.head, frames.frames]


def test_a_known_attack_survives_its_file(tmp_path: Path) -> None:
    for attempt in corpus():
        write_attempt(attempt, tmp_path / "attempt.json")
        assert read_attempt(tmp_path / "attempt.json") == attempt


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"service": "ingest", "form": "raw", "payload": "eA=="}'])
def test_a_file_that_holds_no_attempt_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "attempt.json"
    file.write_text(content)

    with pytest.raises(ValueError, match=r"attempt\.json"):
        read_attempt(file)


def test_no_two_known_attacks_share_a_name() -> None:
    names = [(attempt.service, attempt.lineage) for attempt in corpus()]

    assert len(names) == len(set(names))


def test_every_known_attack_and_every_mutant_of_it_can_be_sent() -> None:
    rng = Random(1)
    for attempt in corpus():
        assert on_the_wire(attempt, ACCESS)
        mutant = attempt.mutant(mutate(attempt.payload, b"other", rng))
        assert on_the_wire(replace(mutant, repeat=1), ACCESS) or mutant.payload == b""
        assert not mutant.must_be_refused


def test_the_same_seed_gives_the_same_inputs() -> None:
    for generate in GENERATORS:
        assert [generate(Random(7)) for _ in range(3)] == [generate(Random(7)) for _ in range(3)]
        assert len({generate(Random(seed)) for seed in range(6)}) > 3
    payload = b"0123456789" * 10
    assert mutate(payload, b"other", Random(7)) == mutate(payload, b"other", Random(7))


def test_no_input_is_longer_than_a_body_may_be() -> None:
    rng = Random(3)
    payload = b"x" * MOST_BYTES
    for _ in range(50):
        payload = mutate(payload, payload, rng)
        assert len(payload) <= MOST_BYTES
        assert len(bodies.runs(rng)) <= MOST_BYTES


def test_a_body_is_framed_right_and_its_key_is_good() -> None:
    head, _, body = on_the_wire(Attempt("x", Service.INGEST, Form.GZIP_BATCH, b"[[["), ACCESS).partition(b"\r\n\r\n")

    assert gzip.decompress(body) == b"[[["
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Bearer write-key" in head
    assert b"Content-Encoding: gzip" in head


@pytest.mark.parametrize("maker", MAKERS)
def test_a_text_is_put_wherever_an_event_takes_text(maker: object) -> None:
    assert callable(maker)
    text = maker(Random(2)).encode("utf-8", "surrogatepass")

    _, _, body = on_the_wire(Attempt("x", Service.INGEST, Form.TEXTS, text), ACCESS).partition(b"\r\n\r\n")

    assert len(json.loads(body)) == 40


def test_placeholders_of_a_raw_input_become_keys() -> None:
    raw = Attempt("x", Service.INGEST, Form.RAW, b"{host} {write_key} {read_key};", repeat=2)

    assert on_the_wire(raw, ACCESS) == b"127.0.0.1:8080 write-key read-key;" * 2


def test_every_answer_of_a_connection_is_read() -> None:
    said = b'HTTP/1.1 202 Accepted\r\n\r\n{}HTTP/1.1 503 Service Unavailable\r\n\r\n{"code":"queue_full"}HTTP/1.1 500 X'

    assert answers_in(said) == [Answer(202, ""), Answer(503, "queue_full"), Answer(500, "")]
    assert answers_in(b"") == []


def plain(number: int) -> Attempt:
    return Attempt(f"seed {number}", Service.INGEST, Form.BATCH, b"[" * 1_000 * number)


def test_a_search_keeps_what_costs_most() -> None:
    search = Search(Service.INGEST, Random(1))
    for number in range(1, 50):
        search.learn(plain(number), cost=number / 100, seconds=0.1)

    kept = [scored.attempt.lineage for scored in search.worst(Form.BATCH)]

    assert kept[:KEPT] == [f"seed {number}" for number in range(49, 49 - KEPT, -1)]
    assert len(kept) <= 2 * KEPT


def test_a_search_changes_what_it_keeps_and_leaves_known_faults_alone() -> None:
    search = Search(Service.INGEST, Random(1))
    for number in (1, 2):
        search.learn(plain(number), cost=1.0, seconds=0.1)
    search.close("seed 1")

    lineages = {search.propose().lineage for _ in range(40)}

    assert "seed 2" in lineages
    assert "seed 1" not in lineages


def test_a_search_keeps_no_input_that_takes_long_by_waiting() -> None:
    search = Search(Service.INGEST, Random(1))
    for waiting in (replace(plain(1), connections=2), replace(plain(1), hold_seconds=1.0), replace(plain(1), repeat=2)):
        search.learn(waiting, cost=1.0, seconds=0.1)
    search.learn(plain(2), cost=1.0, seconds=5.0)

    assert search.worst(Form.BATCH) == ()


def test_a_search_finds_fragments_that_are_slow_together() -> None:
    """A stand-in for a quadratic scan: brackets, then texts that do not end."""
    search = Search(Service.INGEST, Random(5))
    highest = 0.0
    for _ in range(400):
        attempt = search.propose()
        quotes = attempt.payload.partition(b"[" * 1_000)[2].count(b'"')
        cost = 1e-8 * len(attempt.payload) + 1e-8 * min(quotes, 10_000) ** 2
        highest = max(highest, cost)
        search.learn(attempt, cost, seconds=0.1)
        if highest >= 0.5:
            break

    assert highest >= 0.5
