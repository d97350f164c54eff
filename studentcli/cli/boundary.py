"""The edge of the command line: the only place that turns what happened into an exit code."""

import contextlib
import itertools
import os
import signal
import sys
from typing import cast

import typer
from typer.core import TyperGroup

from studentcli import errors
from studentcli.cli.context import install_signals, silence_stdout, state
from studentcli.cli.shells import answer, is_asked
from studentcli.errors import ExitStatus


def run(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command line; gives the exit code."""
    if is_asked():
        return answer(_group(app))
    install_signals()
    state.fmt, state.recorded, state.signal = _format_of(arguments), False, None
    state.place, state.applied = None, 0
    code = _run(app, arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        return _report(_output_failed(error))
    return code


def _run(app: typer.Typer, arguments: list[str]) -> int:
    try:
        _require_text(arguments)
        code = _call(_group(app), arguments)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if state.signal is not None:  # what fails while everything is left is no news
            return _interrupted()
        if isinstance(error, errors.StudentcliError):
            return _report(error)
        raise
    return _interrupted() if code == ExitStatus.INTERRUPTED else code


def _group(app: typer.Typer) -> TyperGroup:
    return cast("TyperGroup", typer.main.get_command(app))


def _call(group: TyperGroup, arguments: list[str]) -> int:
    from typer import Abort

    try:
        result = group.main(arguments, prog_name="studentcli", standalone_mode=False)
    except Abort:
        return ExitStatus.INTERRUPTED
    except Exception as error:
        usage = _usage_error(error)
        if usage is None:
            if isinstance(error, BrokenPipeError):
                silence_stdout()
                return ExitStatus.DONE
            if isinstance(error, OSError) and error.filename is None:
                raise _output_failed(error) from error
            raise
        raise usage from None
    return result if isinstance(result, int) else ExitStatus.DONE


def _usage_error(error: Exception) -> errors.Usage | None:
    """Word typer's complaints about a command line in our own form."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{message()}\n")
        return errors.Usage("a command is missing", hint="studentcli --help lists them")
    path = context.command_path if context is not None else "studentcli"
    return errors.Usage(message().rstrip("."), hint=f"{path} --help")


def _require_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="surrogateescape")
            raise errors.Usage(
                f"{shown!r} is no valid UTF-8", hint="check the terminal's character encoding"
            ) from None


def _format_of(arguments: list[str]) -> str | None:
    """Find a format in arguments that may not be readable as a whole."""
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == "--format":
            return following
        if word.startswith("--format="):
            return word.partition("=")[2]
    return os.environ.get("STUDENTCLI_FORMAT")


def _report(error: errors.StudentcliError) -> int:
    from studentcli import render

    with contextlib.suppress(OSError):
        render.error(error, state.fmt)
    return error.exit_status


def _interrupted() -> int:
    terminated = state.signal == signal.SIGTERM
    word = "terminated" if terminated else "interrupted"
    outcome = "rolled back, nothing was changed"
    if state.recorded:
        outcome = "the change was already recorded"
    elif state.applied:
        outcome = "these rows are applied, the others are not; a run with an id goes on there"
    place = ""
    if state.place is not None and not state.recorded:
        place = " at row {:,} of {:,}".format(*state.place)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{word}{place}: {outcome}\n")
    return ExitStatus.TERMINATED if terminated else ExitStatus.INTERRUPTED


def _output_failed(error: OSError) -> errors.OutputFailed:
    done = "; the change was recorded" if state.recorded else ""
    return errors.OutputFailed(f"the output cannot be written: {error.strerror}{done}")
