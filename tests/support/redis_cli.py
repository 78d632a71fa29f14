"""`redis-cli` as far as the guide uses it: sends its arguments as one command to $REDIS_URL and prints the reply."""

from __future__ import annotations

import os
import sys
from typing import Any

import redis


def main() -> None:
    """Run the command. Raises what the server answers as an error."""
    with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, protocol=2) as client:
        # replies as the server sends them, which redis-py would parse for some commands
        client.response_callbacks.clear()
        show(client.execute_command(*sys.argv[1:]))


def show(reply: Any) -> None:
    """Print a reply, each element on a line."""
    if isinstance(reply, list):
        for element in reply:
            show(element)
    else:
        sys.stdout.write(f"{reply}\n")


if __name__ == "__main__":
    main()
