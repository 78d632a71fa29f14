"""An event gets the same partition as in earlier releases, so a learner's events stay in order across an upgrade."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.entry import encode
from stream.entries.producer import partition_of
from tests.support.events import event


@given(st.none() | st.binary(min_size=32, max_size=32), st.uuids(), st.integers(1, 64))
def test_the_partition_is_that_of_the_first_bytes_of_the_hash_or_the_last_of_the_id(
    user_hash: bytes | None, event_id: UUID, partitions: int
) -> None:
    one = event("api_error", user_hash=user_hash, event_id=event_id)
    octets = event_id.bytes[8:] if user_hash is None else user_hash[:8]
    assert partition_of(encode(one), partitions) == int.from_bytes(octets, "big") % partitions
