"""Bodies from a JSON grammar that is broken on purpose. Seeded, pure."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

from attack.texts import MAKERS
from schemas.catalogue import EventType
from schemas.limits import MAX_BODY_BYTES

_FRAGMENTS: Final = (
    b"[",
    b"{",
    b"]",
    b"}",
    b'"',
    b'\\"',
    b"\\",
    b",",
    b":",
    b'{"a":',
    b'[{"',
    b'"a":1,',
    b"\\u0000",
    b"\\ud800",
    b"9",
    b"-",
    b"1e",
    b".0",
    b" ",
    b"\n",
    b"\xff",
    b"\xc3\xa9",
    b"null",
    b"true,",
    b'"events":',
    b'{"event_type":"xp_earned"},',
)
_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    10**40,
    1e308,
    "",
    "9" * 400,
    [],
    {},
    [[[]]],
    {"a": {"a": {}}},
    "2026-01-01T00:00:00+99:99",
    "1" * 18,
    0.1,
)
_NAMES: Final = (
    "event_id",
    "event_type",
    "user_id",
    "session_id",
    "timestamp",
    "properties",
    "__proto__",
    "a\u0000b",
    "event_type ",
)
_STATES: Final = (b"", b"", b"[" * 1_500, b'{"a":' * 1_500, b'["', b'{"events":[', b'[{"event_type":"')
"""Prefixes that bring a parser into a state: at the start, nested, in a string, in an event."""
_LONGEST_RUN: Final = 15
"""Maximum doublings of a fragment in a run."""


def runs(rng: Random) -> bytes:
    """Return up to four fragments of JSON after a prefix, each repeated up to some thousand times."""
    made = rng.choice(_STATES) + b"".join(
        rng.choice(_FRAGMENTS) * 2 ** rng.randint(0, _LONGEST_RUN) for _ in range(rng.randint(1, 4))
    )
    return made[:MAX_BODY_BYTES]


def events(rng: Random) -> bytes:
    """Return a batch of up to 200 events, any member of which may have the wrong type."""
    batch = [_event(rng) for _ in range(rng.choice((1, 2, 10, 50, 200)))]
    document: Any = {"events": batch} if rng.random() < 0.5 else batch
    return json.dumps(document, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")[:MAX_BODY_BYTES]


def messages(rng: Random) -> bytes:
    """Return a batch in the form of Segment's clients, with messages that have odd members."""
    kinds = ("track", "page", "identify", "group", "alias", "screen", "odd")
    batch = [
        {
            "type": rng.choice(kinds),
            "event": rng.choice(MAKERS)(rng)[:100],
            "userId": _value(rng),
            "timestamp": _value(rng),
            "properties": {rng.choice(_NAMES): _value(rng) for _ in range(rng.randint(0, 4))},
            "context": _value(rng),
        }
        for _ in range(rng.choice((1, 10, 50)))
    ]
    return json.dumps({"batch": batch, "sentAt": _value(rng)}).encode()[:MAX_BODY_BYTES]


def text(rng: Random) -> bytes:
    """Return a text that looks personal."""
    return rng.choice(MAKERS)(rng).encode("utf-8", "surrogatepass")


def _event(rng: Random) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_type": rng.choice(tuple(EventType)).value,
        "user_id": f"learner-{rng.randint(1, 9)}",
        "properties": {rng.choice(("xp_amount", "material_id", "endpoint", "score", "x")): _value(rng)},
    }
    for _ in range(rng.randint(0, 2)):
        event[rng.choice(_NAMES)] = _value(rng)
    return event


def _value(rng: Random) -> Any:
    return rng.choice(MAKERS)(rng) if rng.random() < 0.3 else rng.choice(_VALUES)
