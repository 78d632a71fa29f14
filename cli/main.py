"""`analytics`: every command, and what each exit code means.

0 all is well, 1 the answer is no or the work failed, 2 wrong usage or settings, 3 something needed is not healthy.
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
from cli.output_streams import any_output
from cli.proxies import spare_loopback
from runtime.errors import AnalyticsError, ConfigurationError, DependencyUnavailable

_COMMANDS: Final = {
    "up": "cli.commands.up:up",
    "ingest": "cli.commands.services:ingest",
    "worker": "cli.commands.services:worker",
    "dashboard": "cli.commands.services:dashboard",
    "maintenance": "cli.commands.services:maintenance",
    "doctor": "cli.commands.doctor:doctor",
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
"""Where each command, or group of commands, is found."""


def application(name: str | None = None) -> typer.Typer:
    """Return the application; with the named command alone where there is one of that name.

    To import all of them takes most of the time of a short command, and memory of every service.
    """
    app = typer.Typer(
        name="analytics",
        help="StudyIn Analytics: learner events in over HTTP, dashboard answers out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for one in [name] if name in _COMMANDS else _COMMANDS:
        module, _, member = _COMMANDS[one].partition(":")
        command = getattr(import_module(module), member)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=one)
        else:
            app.command(one)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        show(version("studyin-analytics"))
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command named by the arguments; never returns."""
    exit_with_parent()
    spare_loopback()
    sys.excepthook = show_traceback
    with any_output():
        _run()


def _run() -> NoReturn:
    try:
        sys.exit(application(next(iter(sys.argv[1:]), None))(standalone_mode=False))
    except typer.TyperException as error:
        _refuse_usage(error)
    except typer.Abort:
        note("Aborted.")
        sys.exit(1)
    except AnalyticsError as error:
        _end([error])
    except ExceptionGroup as group:
        # Loops of one process that end together; a defect among them is worth its traceback.
        expected, defects = group.split(AnalyticsError)
        if expected is None or defects is not None:
            raise
        _end(_leaves(expected))


def _refuse_usage(error: typer.TyperException) -> NoReturn:
    """Say what was wrong with the command line, as typer would if it were to be trusted with file names of others."""
    # without a command there is no message: the help was shown
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        say(*message.split("\n"), f"see {context.command_path if context else 'analytics'} --help")
    sys.exit(error.exit_code)


def _leaves(group: ExceptionGroup[AnalyticsError]) -> list[AnalyticsError]:
    nested = [_leaves(error) if isinstance(error, ExceptionGroup) else [error] for error in group.exceptions]
    return [error for errors in nested for error in errors]


def _end(errors: Sequence[AnalyticsError]) -> NoReturn:
    for text in dict.fromkeys(map(str, errors)):
        say(text)
    sys.exit(max(map(exit_code, errors)))


def exit_code(error: AnalyticsError) -> int:
    """Return the code a process ends with after this error."""
    match error:
        case ConfigurationError():
            return 2
        case DependencyUnavailable():
            return 3
        case _:
            return 1


if __name__ == "__main__":
    main()
