"""Changes a payload slightly or a lot. Seeded, pure."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from schemas.limits import MAX_BODY_BYTES

MAX_BYTES: Final = MAX_BODY_BYTES

_LONGEST_PIECE: Final = 2_048
_ODD_BYTES: Final = b'\0\t\n\r "%+-./0:;=@[\\]{}\x7f\x80\xff'


def mutate(payload: bytes, other: bytes, rng: Random) -> bytes:
    """Return `payload` after one to three changes, of at most 1 MiB. `other` is material to splice in."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        payload = rng.choice(_CHANGES)(payload, other, rng)[:MAX_BYTES]
    return payload


def _repeat(payload: bytes, _other: bytes, rng: Random) -> bytes:
    """Repeat a piece, to reveal work that grows faster than the input."""
    start, end = _piece(payload, rng)
    piece = payload[start:end]
    times = rng.choice((2, 10, 100, 1_000, 10_000))
    return payload[:start] + piece * min(times, MAX_BYTES // max(1, len(piece)) + 1) + payload[end:]


def _lengthen(payload: bytes, _other: bytes, rng: Random) -> bytes:
    """Double the longest possible run of the payload: its second half, or all of it."""
    half = len(payload) // 2
    return payload + payload[half:] if rng.random() < 0.5 else payload + payload


def _splice(payload: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _piece(other, rng)
    place = rng.randint(0, len(payload))
    return payload[:place] + other[start:end] + payload[place:]


def _cross(payload: bytes, other: bytes, rng: Random) -> bytes:
    return payload[: rng.randint(0, len(payload))] + other[rng.randint(0, len(other)) :]


def _cut(payload: bytes, _other: bytes, rng: Random) -> bytes:
    start, end = _piece(payload, rng)
    return payload[:start] + payload[end:]


def _truncate(payload: bytes, _other: bytes, rng: Random) -> bytes:
    return payload[: rng.randint(0, len(payload))]


def _flip(payload: bytes, _other: bytes, rng: Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(rng.choice((1, 1, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(payload: bytes, _other: bytes, rng: Random) -> bytes:
    place = rng.randint(0, len(payload))
    odd = bytes((rng.choice(_ODD_BYTES),)) * rng.choice((1, 1, 50, 5_000))
    return payload[:place] + odd + payload[place:]


def _piece(payload: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randint(0, len(payload))
    longest = rng.choice((1, 2, 8, 64, _LONGEST_PIECE))
    return start, min(len(payload), start + rng.randint(1, longest))


_CHANGES: Final[tuple[Callable[[bytes, bytes, Random], bytes], ...]] = (
    _repeat,
    _repeat,
    _lengthen,
    _splice,
    _cross,
    _cut,
    _truncate,
    _flip,
    _insert,
)
