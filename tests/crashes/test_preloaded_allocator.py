"""The embedded Valkey with mimalloc: it is loaded there alone, survives forks and kills, and gives memory back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import redis

from cli.local.embedded import valkey
from cli.local.embedded.allocator import AllocatorUnusable
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from tests.support import processes
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mimalloc is preloaded on Linux only")

LIBRARY = "libmimalloc.so"
MB = 1024**2


def is_loaded(pid: int | None) -> bool:
    return LIBRARY in Path(f"/proc/{pid}/maps").read_text()


def resident_bytes(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def append(client: redis.Redis, entries: int, longest: int = 500) -> None:
    """Append entries of up to `longest` bytes in calls of 1,000."""
    for _ in range(entries // 1_000):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1_000):
                pipeline.xadd("kept", {"n": number, "text": "x" * (number * longest // 1_000)})
            pipeline.execute()


def test_it_is_loaded_into_valkey_and_no_other_process(own_valkey: Valkey, own_postgres: Postgres) -> None:
    assert is_loaded(own_valkey.pid)
    assert not is_loaded(own_postgres.pid)
    assert not is_loaded(os.getpid())
    assert LIBRARY not in os.environ.get("LD_PRELOAD", "")


def test_what_the_caller_preloads_is_left_to_the_caller(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    own_valkey.restart()

    assert own_valkey.pid is not None
    assert processes.environment(own_valkey.pid)["LD_PRELOAD"] == ""
    assert not is_loaded(own_valkey.pid)


@pytest.mark.parametrize(
    ("given", "told"), [(None, "glibc.malloc.tcache_count=1000"), ("glibc.malloc.check=0", "glibc.malloc.check=0")]
)
def test_without_it_valkey_starts_and_says_so(
    own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch, given: str | None, told: str
) -> None:
    def refuse(*_: object) -> Path:
        raise AllocatorUnusable("no wheel")

    monkeypatch.setattr(valkey, "find_allocator", refuse)
    if given is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", given)
    own_valkey.restart()

    assert own_valkey.pid is not None
    assert processes.environment(own_valkey.pid)["GLIBC_TUNABLES"] == told
    said = (own_valkey.home / "valkey.log").read_text().splitlines()
    assert said.count("analytics: starts without mimalloc, so an event takes longer: no wheel") == 1
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.ping()


async def test_files_are_rewritten_while_other_threads_free_and_all_survives_a_kill(own_valkey: Valkey) -> None:
    """A child that waited for a lock of a thread that it does not have would never finish its file."""
    with redis.Redis.from_url(own_valkey.url) as client:
        append(client, 20_000)
        for _ in range(5):
            with client.pipeline(transaction=False) as pipeline:
                pipeline.rpush("dropped", *("x" * (number % 300) for number in range(20_000)))
                pipeline.unlink("dropped")
                pipeline.bgrewriteaof()
                pipeline.execute()
            append(client, 5_000)
            await eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
            assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
        kept = client.xinfo_stream("kept")

        client.bgrewriteaof()
        append(client, 1_000)
        own_valkey.kill()
        own_valkey.restart()

        assert client.xlen("kept") == kept["length"] + 1_000 == 46_000
        assert is_loaded(own_valkey.pid)


async def test_memory_of_trimmed_entries_is_counted_and_given_back(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        append(client, 20_000, longest=4_000)
        full = client.info("memory")["used_memory"]
        resident = resident_bytes(own_valkey.pid)
        client.xtrim("kept", maxlen=1_000, approximate=False)

        assert full > 30 * MB
        assert resident >= full
        assert client.info("memory")["used_memory"] < full / 5

        def is_given_back() -> bool:
            # memory is given back while the server allocates
            append(client, 1_000)
            client.xtrim("kept", maxlen=1_000, approximate=False)
            return resident_bytes(own_valkey.pid) < resident / 2

        await eventually(is_given_back)
