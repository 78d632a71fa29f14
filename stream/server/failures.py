"""Translates errors of Redis. No other module interprets the text of an error reply."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from runtime.errors import StreamUnavailable

NOT_PERMITTED: Final = "not_permitted"
"""Reason of a call for which the login lacks a right."""

# error codes after which the same call may succeed later; redis-py moves some of them into `status_code`
_WORDS: Final = {
    "OOM": "out_of_memory",
    "MISCONF": "cannot_persist",
    "NOREPLICAS": "no_replicas",
    "READONLY": "read_only",
    "LOADING": "loading",
    "MASTERDOWN": "master_down",
    "CLUSTERDOWN": "cluster_down",
    "TRYAGAIN": "try_again",
    "NOSCRIPT": "try_again",
    "BUSY": "busy",
    "NOPERM": NOT_PERMITTED,
    "NOAUTH": "not_authenticated",
    "WRONGPASS": "not_authenticated",
    "UNBLOCKED": "unblocked",
}
_NO_GROUP: Final = "NOGROUP"
_NO_DATABASE: Final = "DB index is out of range"


class GroupMissing(StreamUnavailable):
    """The consumer group or its stream does not exist."""


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raise StreamUnavailable, or its subclass GroupMissing, for errors of the client. Other errors pass unchanged."""
    try:
        yield
    except exceptions.TimeoutError as error:
        raise StreamUnavailable("timeout", "it is unknown whether the call took effect") from error
    except exceptions.OutOfMemoryError as error:
        raise StreamUnavailable("out_of_memory") from error
    except exceptions.AuthenticationError as error:
        raise StreamUnavailable("not_authenticated", "Redis refuses the login of REDIS_URL") from error
    except MasterNotFoundError as error:
        raise StreamUnavailable("no_primary", "no sentinel of REDIS_URL names a primary that it can reach") from error
    except exceptions.ConnectionError as error:
        cause = type(error).__name__
        detail = cause if _reason(error) else f"Redis cannot be reached at REDIS_URL ({cause})"
        raise StreamUnavailable(_reason(error) or "connection", detail) from error
    except exceptions.InvalidResponse as error:
        raise StreamUnavailable("not_redis", "what answers at REDIS_URL is not Redis") from error
    except exceptions.ResponseError as error:
        translated = _refusal(error)
        if translated is None:
            raise
        raise translated from error
    except OSError as error:
        raise StreamUnavailable("connection", type(error).__name__) from error


def is_missing_key(error: exceptions.ResponseError) -> bool:
    """Whether the reply says that the key does not exist, as XINFO does."""
    return "no such key" in str(error)


def is_existing_group(error: exceptions.ResponseError) -> bool:
    """Whether the reply says that the group to create exists."""
    return str(error).startswith("BUSYGROUP")


def is_unknown_command(error: exceptions.ResponseError) -> bool:
    """Whether the reply says that the command is unknown."""
    return "unknown command" in str(error)


def is_refusal_of_replica(error: exceptions.ResponseError) -> bool:
    """Whether the reply says that the server is a replica, which neither accepts a write nor confirms one."""
    return isinstance(error, exceptions.ReadOnlyError) or "cannot be used with replica instances" in str(error)


def is_rewrite_in_progress(error: exceptions.ResponseError) -> bool:
    """Whether the reply says that a file is being rewritten."""
    return "in progress" in str(error)


def _refusal(error: exceptions.ResponseError) -> StreamUnavailable | None:
    if str(error).startswith(_NO_GROUP):
        return GroupMissing("no_group")
    if _NO_DATABASE in str(error):
        return StreamUnavailable("no_database", "Redis has no database of the number in REDIS_URL")
    reason = _reason(error)
    # the message of a missing right names a user and a command, and no value
    return StreamUnavailable(reason, str(error) if reason == NOT_PERMITTED else "") if reason else None


def _reason(error: exceptions.RedisError) -> str | None:
    # in the error of a script, the code follows the name of the script or command
    words = [error.status_code or "", *str(error).replace(":", " ").replace("-", " ").split()]
    return next((_WORDS[word] for word in words if word in _WORDS), None)
