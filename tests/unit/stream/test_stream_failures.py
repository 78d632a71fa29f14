"""Translation of Redis errors: unavailable, missing group, or a defect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from runtime.errors import StreamUnavailable
from stream.server.failures import (
    GroupMissing,
    is_existing_group,
    is_missing_key,
    is_refusal_of_replica,
    is_rewrite_in_progress,
    is_unknown_command,
    translated_errors,
)


def translated(error: Exception) -> StreamUnavailable:
    with pytest.raises(StreamUnavailable) as raised, translated_errors():
        raise error
    assert raised.value.__cause__ is error
    return raised.value


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        # redis-py removes the code of errors for which it has a class
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "out_of_memory"),
        (exceptions.ResponseError("OOM command not allowed. script: 5f, on @user_script:1."), "out_of_memory"),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "cannot_persist"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "no_replicas"),
        (exceptions.ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"), "read_only"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory", status_code="LOADING"), "loading"),
        (exceptions.MasterDownError("Link with MASTER is down", status_code="MASTERDOWN"), "master_down"),
        (exceptions.ClusterDownError("The cluster is down", status_code="CLUSTERDOWN"), "cluster_down"),
        (
            exceptions.TryAgainError("Multiple keys request during rehashing of slot", status_code="TRYAGAIN"),
            "try_again",
        ),
        (
            exceptions.NoPermissionError("this user has no permissions to run this command", status_code="NOPERM"),
            "not_permitted",
        ),
        (exceptions.NoScriptError("No matching script. Please use EVAL.", status_code="NOSCRIPT"), "try_again"),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "busy"),
        (exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"), "unblocked"),
        (exceptions.ResponseError("WRONGPASS invalid username-password pair"), "not_authenticated"),
        (exceptions.AuthenticationError("invalid username-password pair"), "not_authenticated"),
        (exceptions.TimeoutError("Timeout reading from socket"), "timeout"),
        (exceptions.ConnectionError("Connection closed by server."), "connection"),
        (exceptions.InvalidResponse("Protocol error, got 'H' as reply type byte"), "not_redis"),
        (exceptions.ResponseError("DB index is out of range"), "no_database"),
        (MasterNotFoundError("No master found for 'mymaster'"), "no_primary"),
        (ConnectionResetError(), "connection"),
    ],
)
def test_what_may_work_later_is_unavailability_with_a_stable_word(error: Exception, reason: str) -> None:
    assert translated(error).reason == reason


def test_a_timeout_says_that_the_call_may_have_worked() -> None:
    assert "unknown" in translated(exceptions.TimeoutError()).detail


def test_a_missing_group_is_told_apart() -> None:
    missing = translated(exceptions.ResponseError("NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP"))
    assert isinstance(missing, GroupMissing)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.ResponseError("ERR unknown command 'XREADGROUP'"),
        exceptions.ResponseError("BUSYGROUP Consumer Group name already exists"),
        ZeroDivisionError(),
    ],
)
def test_a_defect_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, translated_errors():
        raise error
    assert raised.value is error


REPLIES: dict[Callable[[exceptions.ResponseError], bool], str] = {
    is_missing_key: "no such key",
    is_existing_group: "BUSYGROUP Consumer Group name already exists",
    is_unknown_command: "unknown command 'WAITAOF', with args beginning with: '0'",
    is_refusal_of_replica: "WAITAOF cannot be used with replica instances. Please also note that writes are local",
    is_rewrite_in_progress: "Background append only file rewriting already in progress",
}


@pytest.mark.parametrize("predicate", REPLIES)
def test_each_reply_is_recognised_as_itself_alone(predicate: Callable[[exceptions.ResponseError], bool]) -> None:
    recognised = {reply for reply in REPLIES.values() if predicate(exceptions.ResponseError(reply))}
    assert recognised == {REPLIES[predicate]}
