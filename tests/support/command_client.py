"""A small program that stands for a command forked by command_server.py.

Run as `python -sSP command_client.py SOCKET ARGUMENT...`. It has to start fast, so it imports next to nothing and runs
without site packages. It passes on what its own interpreter found at its start: arguments, environment, descriptors,
ignored signals, and the encoding and buffering of the standard streams. Then it forwards signals until the command
ends, and ends in the same way.
"""

from __future__ import annotations

import array
import io
import marshal
import os
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
LOST = 125
"""Exit code when the server ended before the command."""


def main(server: str, arguments: list[str]) -> None:
    """Run a command on the server. Ends the process with the command's exit code, or by the signal that ended it."""
    request = marshal.dumps(_request(arguments))
    files = array.array("i", [fd for fd, stream in enumerate(_streams()) if stream is not None])
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server)

    def forward(number: int, _frame: object) -> None:
        connection.send(bytes([number]))

    # also those that were ignored: the command may have a handler
    for number in FORWARDED:
        signal.signal(number, forward)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)] if files else []
    connection.sendmsg([len(request).to_bytes(4, "big")], rights)
    connection.sendall(request)
    # the command alone decides when the other end of a pipe sees the end
    for fd in files:
        os.close(fd)
    answer = connection.recv(2, socket.MSG_WAITALL)
    _end(int.from_bytes(answer, "big", signed=True) if answer else LOST)


def _request(arguments: list[str]) -> dict[str, object]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "arguments": [os.fsencode(argument) for argument in arguments],
        "environment": dict(os.environb),
        "directory": os.getcwdb(),
        "umask": mask,
        "ignored": [int(number) for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN],
        "streams": [
            stream and (stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
            for stream in _streams()
        ],
        "warnings": sys.warnoptions,
        "file_names": sys.getfilesystemencoding(),
    }


def _streams() -> list[io.TextIOWrapper | None]:
    # the interpreter makes no stream of a descriptor that is closed
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return [stream if isinstance(stream, io.TextIOWrapper) else None for stream in streams]


def _end(code: int) -> None:
    if code >= 0:
        os._exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
