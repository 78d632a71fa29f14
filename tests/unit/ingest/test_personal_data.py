"""Personal data is found and similar harmless text is not; docs/privacy.md has the figures."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.demo.traffic import demo_events
from examples.epm.to_events import events, read_rows, shift_of
from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.privacy.detectors import Personal, _find, _find_recent, find_personal
from ingest.privacy.disguises import without_digests
from ingest.privacy.firewall import HASHED, REDACTED, Action, Edit, Firewall
from ingest.privacy.templates import template_of
from ingest.rejection import Rejection
from ingest.server import acceptance_policy
from ingest.work import LONGEST_CACHED
from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from runtime.settings import Settings
from schemas.catalogue.learning import MaterialViewProperties
from schemas.catalogue.platform import ApiRequestProperties
from schemas.catalogue.property_types import Properties
from schemas.events import EVENT
from tests.support.access import PSEUDONYM_KEYS
from tests.support.events import uuid7

ROOT = Path(__file__).parents[3]

EMAIL = "ada@example.com"


def firewall(**actions: str) -> Firewall:
    return Firewall({name: Action(action) for name, action in actions.items()}, Pseudonymizer({1: b"k" * 32}))


def view_of(material_id: str) -> Properties:
    return MaterialViewProperties(material_id=material_id)


def request_to(endpoint: str) -> Properties:
    return ApiRequestProperties(endpoint=endpoint, method="GET", status_code=200, duration_ms=1.5)


def test_a_text_that_looks_personal_is_refused_and_not_repeated() -> None:
    refused = firewall().inspect(view_of(EMAIL))
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer) == ("personal_data", "/properties/material_id")
    assert EMAIL not in refused.detail


def test_an_event_id_that_looks_personal_is_refused_since_its_mapping_has_no_key() -> None:
    refused = firewall(material_id="redact").inspect_id(f"session-of-{EMAIL}")
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer) == ("personal_data", "/event_id")


def test_a_field_may_be_redacted_or_hashed_and_its_sender_is_told() -> None:
    redacted, hashed = (
        firewall(material_id="redact").inspect(view_of(EMAIL)),
        firewall(material_id="hash").inspect(view_of(EMAIL)),
    )
    assert not isinstance(redacted, Rejection)
    assert not isinstance(hashed, Rejection)
    assert stored(redacted[0]) == {"material_id": REDACTED}
    assert [edit[:2] for edit in redacted[1]] == [("/properties/material_id", "personal_data")]
    text = stored(hashed[0])["material_id"]
    assert re.fullmatch(rf"{HASHED}[0-9a-f]{{32}}", text)
    assert [edit[:2] for edit in hashed[1]] == [("/properties/material_id", "personal_data")]
    again = firewall(material_id="hash").inspect(view_of(EMAIL))
    assert not isinstance(again, Rejection)
    assert stored(again[0])["material_id"] == text
    # the hash cannot be reproduced from a user id
    assert text.removeprefix(HASHED) != Pseudonymizer({1: b"k" * 32}).pseudonym(EMAIL)[:16].hex()


def stored(properties: Properties) -> dict[str, str]:
    facts: dict[str, str] = properties.model_dump(exclude_none=True)
    return facts


def test_what_is_harmless_is_stored_as_it_is() -> None:
    properties = view_of("course-v1:edX+DemoX")
    assert firewall().inspect(properties) == (properties, ())
    assert firewall().inspect_id("order-17") is None


def test_an_action_for_a_field_that_no_event_has_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="ANALYTICS_PII_ACTIONS names user_name"):
        firewall(user_name="redact")


@pytest.mark.parametrize(
    ("endpoint", "template"),
    [
        ("/courses/{id}/lessons/{lesson_id}", "/courses/{id}/lessons/{lesson_id}"),
        ("/courses/:id/<int:page>/[slug]/*", "/courses/:id/<int:page>/[slug]/*"),
        ("/courses/42/lessons/6ba7b810-9dad-11d1-80b4-00c04fd430c8?page=2", "/courses/{id}/lessons/{id}"),
        ("https://ada:pw@study.example/users/ada@example.com#top", "/users/{id}"),
        ("/users/ada%40example.com/profile", "/users/{id}/profile"),
        ("/users/%34%32", "/users/{id}"),
        ("/learner-17;v=1/xp", "/{id}"),
        ("/api/v1/users/me", "/api/v1/users/me"),
        ("/oauth2/token", "/oauth2/token"),
        ("GET /courses/17", "GET /courses/{id}"),
        ("/files/" + "a" * 33, "/files/{id}"),
        ("/" + "/".join("abcdefghijklmnop"), "/a/b/c/d/e/f/g/h/i/j/k/{rest}"),
        ("?token=abcdefgh", "/"),
    ],
)
def test_a_path_becomes_the_template_of_its_route(endpoint: str, template: str) -> None:
    inspected = firewall().inspect(request_to(endpoint))
    assert not isinstance(inspected, Rejection)
    assert stored(inspected[0])["endpoint"] == template
    told = [Edit("/properties/endpoint", "endpoint_template", "Stored as the template of its route.")]
    assert list(inspected[1]) == ([] if template == endpoint else told)


@given(st.text(min_size=1, max_size=200))
def test_a_template_is_its_own_template(endpoint: str) -> None:
    once = template_of(endpoint)
    assert template_of(once) == once


MADE_BY_MACHINES: dict[str, Callable[[random.Random], str]] = {
    "uuid4": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
    "uuid7": lambda rng: str(uuid7(datetime.fromtimestamp(rng.randrange(2 * 10**9), UTC), rng.getrandbits(62))),
    "prefixed": lambda rng: f"lesson-{UUID(int=rng.getrandbits(128), version=4)}",
    "hexadecimal": lambda rng: f"{rng.getrandbits(128):032x}",
    "url-safe": lambda rng: "".join(rng.choices(string.ascii_letters + string.digits + "_-", k=21)),
    "number": lambda rng: str(rng.randrange(10 ** rng.randrange(1, 14))),
    "version": lambda rng: ".".join(str(rng.randrange(400)) for _ in range(3)),
    "place": lambda rng: "-".join(str(rng.randrange(60)) for _ in range(4)),
    "date": lambda rng: f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}-{rng.randrange(1000):03}",
}


@pytest.mark.parametrize("kind", MADE_BY_MACHINES)
def test_ids_that_machines_make_pass(kind: str) -> None:
    rng = random.Random(kind)
    made = [MADE_BY_MACHINES[kind](rng) for _ in range(20_000)]
    assert [text for text in made if _find(text) is not None] == []


@given(st.uuids())
@example(UUID("00393331-2345-67ab-8abc-0123456789ab"))
def test_a_uuid_is_not_personal_and_is_not_cached(made: UUID) -> None:
    before = _find_recent.cache_info()
    assert find_personal(str(made)) is None
    assert find_personal(str(made).upper()) is None
    assert _find_recent.cache_info() == before


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_CACHED, 1), (LONGEST_CACHED + 1, 0)])
def test_long_texts_do_not_fill_the_memory(length: int, kept: int) -> None:
    text = f"{length} {'ada ' * length}"[:length]
    _find_recent.cache_clear()

    assert find_personal(text) is find_personal(text)
    assert _find_recent.cache_info().currsize == kept


def test_what_reads_like_a_number_in_a_uuid_is_one_elsewhere() -> None:
    assert find_personal("0039-333-1234567") is Personal.PHONE
    assert find_personal("12340039-3331-2345-6785-0123456789ab") is None


@pytest.mark.parametrize("shape", ["{0} {1}", "{1}/{0}", "{0}:{1}", "{0}\n{1}", "{0}{0} {1}", "x{0} {1}"])
def test_an_id_that_only_contains_a_uuid_is_looked_at(shape: str) -> None:
    event_id = shape.format("019a1b2c-3d4e-7f60-8abc-0123456789ab", EMAIL)
    assert find_personal(event_id) is Personal.EMAIL


@pytest.mark.parametrize("digits", ["4" * 31 + "a", "d41d8cd98f00b204e9800998ecf8427e", "9" * 20 + "c0ffee" * 7])
@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ("block@{}", None),
        ("{} ada@example.com", Personal.EMAIL),
        ("ada.{}@example.com", Personal.EMAIL),
        ("{}/+14155552671", Personal.PHONE),
        ("4111 1111 1111 1111 {}", Personal.CARD),
        ("password={}", Personal.SECRET),
    ],
)
def test_a_hexadecimal_digest_is_not_personal_and_hides_nothing(
    shape: str, found: Personal | None, digits: str
) -> None:
    assert find_personal(shape.format(digits)) is found


@pytest.mark.parametrize("digest", ["e1679a1d06d4f20a4d647811533038", "d41d8cd98f00b204e9800998ecf8427e"])
def test_a_phone_number_whose_last_group_touches_a_digest_is_found(digest: str) -> None:
    assert find_personal(f"+39 333 123 4567{digest}") is Personal.PHONE


@pytest.mark.parametrize(
    "text", ["+14155552671" + "a" * 24, "4111111111111111" * 2, "DE89370400440532013000" + "a" * 12]
)
def test_a_number_beside_hexadecimal_letters_is_judged_as_before(text: str) -> None:
    assert without_digests(text) == text


def test_an_event_id_that_only_contains_a_uuid_is_refused() -> None:
    refused = firewall().inspect_id(f"019a1b2c-3d4e-7f60-8abc-0123456789ab:{EMAIL}")
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer) == ("personal_data", "/event_id")


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert find_personal(text) == find_personal(text)


def settings() -> Settings:
    return Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})


def test_no_event_of_the_demo_is_refused_or_changed() -> None:
    policy, now = acceptance_policy(settings()), datetime.now(UTC)
    arrival = Arrival.at(now, policy)
    for raw in demo_events(seed=3, users=50, count=5_000, now=now, history_days=30):
        judged = accept(EVENT.validate_python(raw, strict=False), policy, "tests", arrival)
        assert isinstance(judged, Acceptance), (raw, judged)
        assert judged.edits == ()


def test_no_text_of_the_example_data_is_refused() -> None:
    rows = read_rows(ROOT / "examples/epm/epm-labs-1-3.csv.gz")
    until = datetime(2026, 11, 24, 12, 0)
    texts = {one["properties"].get("material_id", "m") for one in events(rows, shift_of(rows, until))}
    assert len(texts) > 50
    assert [text for text in texts if find_personal(text) is not None] == []
