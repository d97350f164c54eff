"""What a command works with: its settings, its database, and how it speaks."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from studentcli import errors
from studentcli.settings import (
    FORMATS,
    WAIT_AT_TERMINAL,
    WAIT_WITHOUT,
    Settings,
    load_settings,
)

if TYPE_CHECKING:
    from studentcli.database import Database
    from studentcli.formats.plan import PlanCheck, PlanWriter
    from studentcli.requests import Decision, Outcome, Policy, Promotion, Request
    from studentcli.services.operations import Act


SHOWN: Final = 50
"""How many consequences of one command are told one by one; the others are counted."""


@dataclass
class State:
    """What the boundary needs to know when a command ends in an unusual way."""

    fmt: str | None = None
    recorded: bool = False
    """Whether the command's change is committed."""
    signal: int | None = None
    """The signal that asked the process to stop, if one did."""
    place: tuple[int, int] | None = None
    """How many rows of a file are decided, and how many there are."""
    applied: int = 0
    """How many of them are committed, when that is done in parts."""


state = State()


@dataclass
class Cli:
    """One call of the command line.

    Args:
        options: the shared options that were given, by name; those of the command win over
            those in front of it.
    """

    options: dict[str, Any]
    plan: "PlanWriter | PlanCheck | None" = None
    """What an import is planned into, or has to agree with."""
    _settings: Settings | None = None
    _database: "Database | None" = None
    exit_status: errors.ExitStatus = field(default=errors.ExitStatus.DONE)

    @property
    def settings(self) -> Settings:
        """The settings, put together at the first use."""
        if self._settings is None:
            self._settings = load_settings(self.options)
        return self._settings

    @property
    def quiet(self) -> bool:
        """Whether success is to be silent."""
        return bool(self.options.get("quiet"))

    @property
    def dry_run(self) -> bool:
        """Whether this is a forecast."""
        return bool(self.options.get("dry_run"))

    @property
    def term(self) -> str | None:
        """The term named by option, environment or file.

        Raises:
            errors.MalformedId: when no term can have that code.
        """
        from studentcli.values import identifier

        named = self.settings.term
        return None if named is None else identifier(named)

    def use_term(self, term: str | None) -> None:
        """Let this be the term, whatever the settings name."""
        self._settings = replace(self.settings, term=term)

    @property
    def explicit_format(self) -> str | None:
        """The format that somebody named, or none."""
        named = self.settings.format
        if named is not None and named not in FORMATS:
            raise errors.Usage(f"{named!r} is no format", hint=f"one of {', '.join(FORMATS)}")
        return named

    def require_readable_settings(self) -> None:
        """Stop before anything is done when the output or the log could not be written."""
        state.fmt = self.explicit_format
        if self.settings.log_file is not None:
            from studentcli import audit

            audit.open_log(self.settings.log_file, self.settings.log_level or "info")

    @property
    def fmt(self) -> str:
        """The format: a table on a terminal, TSV in a pipe, unless named."""
        return self.explicit_format or ("table" if sys.stdout.isatty() else "tsv")

    @property
    def has_terminal(self) -> bool:
        """Whether somebody can be told things while they happen."""
        return sys.stderr.isatty()

    def named_database(self) -> "Database":
        """Give the database that the settings name, whether it exists or not."""
        from studentcli.database import Database, normalize_url

        if self._database is None:
            wait = self.settings.wait
            if wait is None:
                wait = WAIT_AT_TERMINAL if sys.stdin.isatty() else WAIT_WITHOUT
            self._database = Database(normalize_url(self.settings.database), wait=wait)
        return self._database

    @property
    def database(self) -> "Database":
        """The database; the default one is made when somebody sits at a terminal."""
        from pathlib import Path

        database = self.named_database()
        if self.settings.database_source == "default":
            path = Path(str(database.url.database))
            if not path.exists():
                if not (sys.stdin.isatty() and sys.stdout.isatty()):
                    raise errors.DatabaseMissing(
                        f"there is no database at {path}",
                        hint="studentcli db init creates it; STUDENTCLI_DATABASE_URL, --database or"
                        " studentcli.toml name another one",
                    )
                from studentcli.database import init_database

                init_database(str(path))
                sys.stderr.write(f"note: made a new, empty database at {path}\n")
        return database

    def act(self, kind: str, *, reason: str | None = None, **more: Any) -> "Act":
        """Describe what this call is about to do."""
        from studentcli import values
        from studentcli.services.operations import Act, system_actor

        actor = values.plain(self.settings.actor or "") or system_actor()
        reason = None if reason is None else values.reason(reason)
        return Act(kind, more.pop("channel", "cli"), actor, reason, **more)

    def policy(self, act: "Act | None" = None, **more: Any) -> "Policy":
        """Describe how this call wants to be judged."""
        from datetime import UTC, datetime

        from studentcli.requests import Policy

        return Policy(act.now if act else datetime.now(UTC), **more)

    def write(self, unit: Any) -> Any:
        """Run a unit of work and commit it, or forecast it with --dry-run."""
        result = self.database.write(unit, dry_run=self.dry_run)
        state.recorded = not self.dry_run
        return result

    def follow(self, unit: Any, act: "Act") -> Any:
        """Run an operation that is no request, with its lines in the log; or forecast it."""
        from studentcli.services.operations import follow

        result = follow(self.database, unit, act, dry_run=self.dry_run)
        state.recorded = not self.dry_run
        return result

    def carry_out(self, request: "Request", act: "Act", policy: "Policy") -> "Decision":
        """Carry an enrollment request out, or forecast it with --dry-run."""
        from studentcli import services

        decision = services.carry_out(
            self.database, request, act, policy=policy, term=self.term, dry_run=self.dry_run
        )
        state.recorded = not self.dry_run
        return decision

    def show_decisions(self, made: "Sequence[Decision]") -> None:
        """Print decisions, and set the exit status from the refusals among them."""
        from studentcli import render

        render.decisions(made, self.fmt, forecast=self.dry_run, quiet=self.quiet)
        outcomes = [outcome for decision in made for outcome in decision.outcomes]
        if any(outcome.is_refused for outcome in outcomes):
            self.exit_status = status_of(outcomes)

    def show_done(
        self, rows: Sequence[dict[str, Any]], columns: Sequence[Any], sentence: Callable[..., str]
    ) -> None:
        """Print what was done to records: a sentence for people, beside it a row for programs."""
        from studentcli import render

        if self.fmt != "table" and not self.quiet:
            render.listing(rows, columns, self.fmt)
        for row in rows:
            self.done(sentence(row, forecast=self.dry_run))

    def show_promotions(self, promotions: "Sequence[Promotion]", total: int | None = None) -> None:
        """Tell whom a change moved up from a waitlist; `total` when these are not all."""
        from studentcli import render

        if self.quiet:
            return
        for promotion in promotions[:SHOWN]:
            render.note(render.promotion_sentence(promotion, forecast=self.dry_run))
        untold = (len(promotions) if total is None else total) - SHOWN
        if untold > 0:
            render.note(f"… and {untold} more moved up from the waitlists")

    def show_warnings(self, warnings: "Sequence[str]") -> None:
        """Tell what was taken as written and does not fit."""
        from studentcli import render

        if self.quiet:
            return
        for text in warnings[:SHOWN]:
            render.note(f"warning: {text}")
        if len(warnings) > SHOWN:
            render.note(f"… and {len(warnings) - SHOWN} more warnings: studentcli db check")

    def show_kept(self, kept: "Sequence[tuple[str, Sequence[str]]]") -> None:
        """Tell what students who become inactive keep, with the commands that drop it."""
        from studentcli import render

        if self.quiet:
            return
        for number, refs in kept[:SHOWN]:
            for text in render.keeping_sentences(number, refs, forecast=self.dry_run):
                render.note(text)
        if len(kept) > SHOWN:
            render.note(f"… and {len(kept) - SHOWN} more who become inactive with courses")

    def done(self, message: str) -> None:
        """Print the one line of a change that went well."""
        from studentcli import render

        if not self.quiet:
            render.note(f"{'forecast, nothing was changed: ' if self.dry_run else ''}{message}")


def status_of(outcomes: "Sequence[Outcome]") -> errors.ExitStatus:
    """Tell a command of which nothing came, for its words name nothing, from one refused in part.

    A script that reads "not found" takes for granted that nothing was changed.
    """
    refusals = [outcome.refusals[0].error() for outcome in outcomes if outcome.is_refused]
    not_found = errors.ExitStatus.NOT_FOUND
    if len(refusals) == len(outcomes) and {error.exit_status for error in refusals} == {not_found}:
        return not_found
    return errors.ExitStatus.REFUSED


def install_signals() -> None:
    """Let SIGTERM roll back as Ctrl-C does; a SIGINT that is ignored (`nohup … &`) stays so."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop)


def _stop(signum: int, frame: object) -> None:
    """Leave through every `finally`; drivers cancel their query on this very exception."""
    del frame
    state.signal = signum
    raise KeyboardInterrupt


def open_streams() -> None:
    """Make the standard streams fit for any text, and stand in for those that are closed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """Let Python's own flush at the end find a place to write to."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
