"""No text makes a validator of another library fail an event; `--detector-texts` sets the number of texts."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest

from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.privacy import validators
from ingest.privacy.detectors import _find, _find_recent
from ingest.privacy.firewall import _read_recent
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from runtime.settings import Settings
from schemas.events import EVENT
from telemetry import internal_events as telemetry
from telemetry import metrics
from tests.corpus.evaluation import CHOSEN, HELD_BACK, labelled
from tests.corpus.harmless import FAMILIES
from tests.corpus.personal_forms import KINDS
from tests.support.access import PSEUDONYM_KEYS

MADE_TO_RAISE = "236588185607304759"
"""The first six digits are of a region without counties, which python-stdnum does not expect."""


def decimals(first: int) -> str:
    """Return the ten digits of the script whose zero is this code point."""
    return "".join(map(chr, range(first, first + 10)))


DIGITS = (string.digits, string.digits, decimals(0x0660), decimals(0x0966), decimals(0xFF10), "\u00b2\u00b3\u00b9")


def _number(rng: Random) -> str:
    return "".join(rng.choices(rng.choice(DIGITS), k=rng.randint(1, 40)))


def _grouped(rng: Random) -> str:
    joint = rng.choice((" ", "-", ".", "/", "_", ":", "\u00a0", "\u2011", "+", ")("))
    return rng.choice(("", "+", "00", "(")) + joint.join(
        "".join(rng.choices(string.digits, k=rng.randint(1, 7))) for _ in range(rng.randint(1, 9))
    )


def _dated(rng: Random) -> str:
    date = f"{rng.randint(1900, 2030)}{rng.randint(0, 13):02}{rng.randint(0, 32):02}"
    return f"{rng.randint(100_000, 999_999)}{date}{rng.randint(0, 9999):04}"


def _account(rng: Random) -> str:
    letters, body = string.ascii_uppercase, string.ascii_uppercase + string.digits
    return (
        f"{''.join(rng.choices(letters, k=2))}{rng.randint(0, 99):02}{''.join(rng.choices(body, k=rng.randint(4, 34)))}"
    )


def _tax_code(rng: Random) -> str:
    letters = "".join(rng.choices(string.ascii_letters, k=6))
    birth = f"{rng.randint(0, 99):02}{rng.choice(letters)}{rng.randint(0, 99):02}"
    return f"{letters}{birth}{rng.choice(letters)}{_number(rng)[:3]}A"


def _address(rng: Random) -> str:
    long = ":".join(f"{rng.getrandbits(rng.choice((0, 4, 16, 20))):x}" for _ in range(rng.randint(2, 10)))
    return rng.choice((long, ".".join(str(rng.randint(0, 300)) for _ in range(rng.randint(3, 6)))))


def _anything(rng: Random) -> str:
    alphabet = string.printable + "\u00df\u0131\u0130\u202e\u200b\ufeff\u0000\ud7ff\u6f22\uff44\uff20\uff0e\uff05"
    return "".join(rng.choices(alphabet, k=rng.randint(1, 60)))


SHAPES: tuple[Callable[[Random], str], ...] = (
    _number,
    _grouped,
    _dated,
    _account,
    _tax_code,
    _address,
    _anything,
    *FAMILIES.values(),
    *KINDS.values(),
)

FOREIGN = 8
"""One in this many texts is passed to each validator directly: most of them take far longer than a detector."""


def test_every_text_gets_an_answer_from_every_detector(pytestconfig: pytest.Config) -> None:
    count: int = pytestconfig.getoption("--detector-texts")
    rng = Random(f"{pytestconfig.getoption('--chaos-seed')} shapes")
    for number in range(count):
        text = rng.choice(SHAPES)(rng)
        _find(text)
        if number % FOREIGN == 0:
            answers = {name: validators.is_valid(name, text) for name in validators.VALIDATORS}
            assert all(isinstance(answer, bool) for answer in answers.values()), text


def failures(detector: str) -> float:
    value = metrics.registry.get_sample_value("analytics_ingest_detector_failures_total", {"detector": detector})
    assert value is not None
    return value


def test_a_number_that_makes_a_validator_raise_is_counted_and_not_of_its_kind() -> None:
    before = failures("ric")
    with pytest.raises(KeyError):
        validators.VALIDATORS["ric"](MADE_TO_RAISE)
    assert not validators.is_valid("ric", MADE_TO_RAISE)
    assert failures("ric") == before + 1


def broken(_text: str) -> bool:
    raise RuntimeError("a defect of another library")


def forget_texts() -> None:
    _find_recent.cache_clear()
    _read_recent.cache_clear()


def test_when_every_validator_fails_each_event_is_accepted_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(validators.VALIDATORS)
    monkeypatch.setattr(validators, "VALIDATORS", dict.fromkeys(names, broken))
    forget_texts()
    policy = acceptance_policy(Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS}))
    arrival = Arrival.at(datetime.now(UTC), policy)
    telemetry.prepare_detectors(names)
    before = sum(map(failures, names))
    judged = []
    for text in ("4242424242424242", "RSSMRA85T10A562S", "+14155552671", "lesson-1", "ada@example.com"):
        event = EVENT.validate_python(
            {"event_type": "material_view", "user_id": "learner-7", "properties": {"material_id": text}}, strict=False
        )
        judged.append(accept(event, policy, "tests", arrival))
    forget_texts()
    assert [type(one) for one in judged] == [Acceptance, Acceptance, Acceptance, Acceptance, Rejection]
    assert sum(map(failures, names)) >= before + 3


def test_a_failing_validator_is_logged_once_and_without_the_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(telemetry, "_failed_detectors", set())
    monkeypatch.setattr(validators, "VALIDATORS", {"luhn": broken})
    for text in ("4242424242424242", "4111111111111111"):
        assert not validators.is_valid("luhn", text)
    said = capsys.readouterr()
    logged = said.out + said.err
    assert logged.count("detector_failed") == 1
    assert "4242424242424242" not in logged
    assert "another library" not in logged


def test_what_is_passed_quickly_would_pass_a_full_look() -> None:
    """The two patterns that skip the full search for most ids must skip no text in which a detector finds something."""
    texts = [text for file in (CHOSEN, HELD_BACK) for kind in labelled(file).values() for text in kind]
    rng = Random("quick")
    texts += [make(rng) for make in KINDS.values() for _ in range(300)]
    # a blank makes the text suspicious, and no detector finds anything that ends in one
    missed = [text for text in texts if _find(text) is None and _find(f"{text} ") is not None]
    assert missed == []
