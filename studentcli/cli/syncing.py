"""import --sync: its options, and what a guard says that stops it."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.context import SHOWN, Cli
from studentcli.render import Column, counted, listing, note, safe_text

if TYPE_CHECKING:
    from studentcli.formats.source import CsvSource
    from studentcli.formats.syncing import SyncReader
    from studentcli.services.syncing import SyncOptions

ABSENT = ("drop", "withdraw", "keep")
GUARDS = ("empty-file", "older-file")
FIGURES = (
    Column("name", "Course", "key"),
    Column("live", "Live", "number"),
    Column("drops", "To be dropped", "number"),
    Column("others", "Others named", "number"),
    Column("over", "Over the limit"),
)
SyncOption = Annotated[
    bool,
    typer.Option("--sync", help="Make the file, a list of enrollments, the truth for the scope."),
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        metavar="term=TERM[,course=PATTERN]",
        help="With --sync: what the file is the truth about.",
    ),
]
AbsentOption = Annotated[
    str | None,
    typer.Option(
        "--absent",
        metavar="|".join(ABSENT),
        help="With --sync: what becomes of who is not in the file; drop if left out.",
        autocompletion=complete.one_of(*ABSENT),
    ),
]
MaxDropsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--max-drops",
        metavar="SHARE%|NUMBER",
        help="With --sync: stop when more would be dropped; 5% unless another share is named.",
    ),
]
LastWinsOption = Annotated[
    bool, typer.Option("--last-wins", help="With --sync: of rows that disagree, the last counts.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="|".join(GUARDS),
        help="With --sync: let a file through that has no rows, or is older than the last one.",
        autocompletion=complete.one_of(*GUARDS),
    ),
]


def read_options(cli: Cli, given: dict[str, Any]) -> "SyncOptions | None":
    """Read the options of a sync; the term of its scope is the term of the file.

    Raises:
        errors.Usage: for options that do not go together, or cannot be read.
    """
    if not given.pop("sync"):
        named = [name for name, value in given.items() if value]
        if named:
            raise errors.Usage(f"--{named[0].replace('_', '-')} goes with --sync")
        return None
    from studentcli.services.syncing import SyncOptions, read_limits, read_scope

    absent, allowed = given["absent"] or ABSENT[0], given["allow"] or ()
    if absent not in ABSENT:
        raise errors.Usage(f"--absent {absent!r} is none of {', '.join(ABSENT)}")
    for name in allowed:
        if name not in GUARDS:
            raise errors.Usage(
                f"--allow {name!r} is no guard",
                hint=f"one of {', '.join(GUARDS)}; for drops there is --max-drops",
            )
    scope = read_scope(given["scope"])
    cli.use_term(scope.term)
    return SyncOptions(
        scope, absent, read_limits(given["max_drops"] or ()), frozenset(allowed), given["last_wins"]
    )


def sync_reader(cli: Cli, source: "CsvSource", sync: "SyncOptions", now: Any) -> "SyncReader":
    """Give the reader of the file of a sync.

    Every row is decided when somebody wants to see every row; never for a plan, which has to say
    the same whoever looks.

    Raises:
        errors.FileUnreadable, errors.Usage: as `SyncReader`.
    """
    from studentcli.formats.syncing import SyncReader
    from studentcli.services.syncing.scope import term_codes

    every_row = bool(cli.explicit_format) and cli.plan is None
    terms = cli.database.read(term_codes) if source.selection.where else ()
    return SyncReader(
        source, str(sync.scope), sync.scope.term, terms=terms, now=now, every_row=every_row
    )


def tell_kept(cli: Cli, sync: "SyncOptions", kept: int) -> None:
    """Say that who is absent was not dropped, and why."""
    if kept and sync.absent != "keep" and not cli.quiet:
        note(f"{counted(kept, 'enrollment')} kept although absent: a refused row may mean them")


def tell_drops(cli: Cli, error: errors.TooManyDrops) -> None:
    """Say what would have happened: as data where a format is named, else on stderr."""
    if cli.explicit_format:
        listing(error.figures, FIGURES, cli.explicit_format)
        return
    for count, row in enumerate(sorted(error.figures, key=lambda row: -row["drops"])):
        if count == SHOWN:
            note(f"… and {len(error.figures) - SHOWN} more courses")
            break
        over = " (over the limit)" if row["over"] else ""
        text = f"{row['name']}: {row['drops']} of {row['live']} would be dropped{over}"
        others = row["others"]
        named = f"; {counted(others, 'other')} {'is' if others == 1 else 'are'} named"
        sys.stderr.write(f"{safe_text(text)}{named if others else ''}\n")
