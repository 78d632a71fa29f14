"""`analytics`: the table of commands, and the exit codes.

0: success. 1: a check found a difference, or the work failed. 2: wrong usage or settings. 3: a dependency is
unavailable or unhealthy.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final, NoReturn

import typer

from cli.local.parent_watch import exit_with_parent
from cli.output import note, say, show, show_traceback
from cli.output_streams import safe_output
from cli.proxies import exempt_loopback
from runtime.errors import AnalyticsError, ConfigurationError, DependencyUnavailable

_COMMANDS: Final = {
    "up": "cli.commands.up:up",
    "ingest": "cli.commands.services:ingest",
    "worker": "cli.commands.services:worker",
    "dashboard": "cli.commands.services:dashboard",
    "maintenance": "cli.commands.services:maintenance",
    "doctor": "cli.commands.doctor:doctor",
    "top": "cli.commands.top:top",
    "send": "cli.commands.send:send",
    "events": "cli.commands.events:events",
    "tail": "cli.commands.tail:tail",
    "verify": "cli.commands.verify:verify",
    "rebuild": "cli.commands.rebuild:rebuild",
    "replay": "cli.commands.replay:replay",
    "demo": "cli.commands.demo:demo",
    "migrate": "cli.commands.migrate:app",
    "dlq": "cli.commands.dlq:app",
    "privacy": "cli.commands.privacy:app",
    "keys": "cli.commands.keys:app",
}
"""Module and function of each command or command group."""


def application(name: str | None = None) -> typer.Typer:
    """Return the application, with only the named command if that command exists.

    Importing all commands would take most of the run time of a short command, and memory in every service.
    """
    app = typer.Typer(
        name="analytics",
        help="StudyIn Analytics: collects learner events over HTTP and serves figures for dashboards.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for each in [name] if name in _COMMANDS else _COMMANDS:
        module, _, member = _COMMANDS[each].partition(":")
        command = getattr(import_module(module), member)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=each)
        else:
            app.command(each)(command)
    return app


def _print_version(requested: bool) -> None:
    if requested:
        show(version("studyin-analytics"))
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command in the arguments. Ends the process."""
    exit_with_parent()
    exempt_loopback()
    sys.excepthook = show_traceback
    with safe_output():
        _run()


def _run() -> NoReturn:
    try:
        sys.exit(application(next(iter(sys.argv[1:]), None))(standalone_mode=False))
    except typer.TyperException as error:
        _exit_for_usage(error)
    except typer.Abort:
        note("Aborted.")
        sys.exit(1)
    except AnalyticsError as error:
        _exit_for_errors([error])
    except ExceptionGroup as group:
        # several loops of one process failed together; an unexpected error among them needs its traceback
        expected, unexpected = group.split(AnalyticsError)
        if expected is None or unexpected is not None:
            raise
        _exit_for_errors(_leaves(expected))


def _exit_for_usage(error: typer.TyperException) -> NoReturn:
    """Report a wrong command line. Typer's own report would not escape control characters in file names."""
    # without a command there is no message: typer has printed the help
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        say(*message.split("\n"), f"see {context.command_path if context else 'analytics'} --help")
    sys.exit(error.exit_code)


def _leaves(group: ExceptionGroup[AnalyticsError]) -> list[AnalyticsError]:
    nested = [_leaves(error) if isinstance(error, ExceptionGroup) else [error] for error in group.exceptions]
    return [error for errors in nested for error in errors]


def _exit_for_errors(errors: Sequence[AnalyticsError]) -> NoReturn:
    for text in dict.fromkeys(map(str, errors)):
        say(text)
    sys.exit(max(map(exit_code_for, errors)))


def exit_code_for(error: AnalyticsError) -> int:
    """Return the exit code of a process that fails with this error."""
    match error:
        case ConfigurationError():
            return 2
        case DependencyUnavailable():
            return 3
        case _:
            return 1


if __name__ == "__main__":
    main()
