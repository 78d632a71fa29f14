"""WebSocket frames: masked, unmasked, fragmented, too long, malformed. Seeded, pure."""

from __future__ import annotations

import struct
from random import Random
from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_OPCODES: Final = (0x0, TEXT, BINARY, 0x3, 0x7, CLOSE, PING, PONG, 0xF)
_FIN: Final = 0x80
_MASKED: Final = 0x80


def frame(opcode: int, content: bytes, *, first: int = _FIN, masked: bool = True, claims: int | None = None) -> bytes:
    """Return one frame. `first` has the bits beside the opcode, `claims` is the length it states."""
    length = len(content) if claims is None else claims
    mask_bit = _MASKED if masked else 0
    head = bytes((first | opcode,))
    if length < 126:
        head += bytes((mask_bit | length,))
    elif length < 65_536:
        head += bytes((mask_bit | 126,)) + struct.pack("!H", length)
    else:
        head += bytes((mask_bit | 127,)) + struct.pack("!Q", length)
    # a mask of zeros leaves the content unchanged
    return head + (b"\0\0\0\0" if masked else b"") + content


def frames(rng: Random) -> bytes:
    """Return up to some hundred frames."""
    return b"".join(_one(rng) * rng.choice((1, 1, 1, 100)) for _ in range(rng.randint(1, 6)))


def _one(rng: Random) -> bytes:
    content = rng.choice((b"", b"x", b"\xff\xfe", b"\x03\xe8", b"\x00\x00", b"x" * 125, b"x" * 200, b"x" * 5_000))
    return frame(
        rng.choice(_OPCODES),
        content,
        first=rng.choice((_FIN, _FIN, _FIN, 0, 0xF0, 0x40)),
        masked=rng.random() < 0.9,
        claims=rng.choice((None, None, None, 0, 2**16, 2**63 - 1)),
    )
