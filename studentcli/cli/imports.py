"""import: a whole file in one transaction, with an outcome for every row."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete, syncing
from studentcli.cli.context import Cli, state
from studentcli.cli.framework import command
from studentcli.cli.progress import Progress
from studentcli.cli.sources import (
    DelimiterOption,
    EncodingOption,
    FileOptions,
    MapOption,
    RowsOption,
    WhereOption,
    opened,
)
from studentcli.render import DECISION_COLUMNS, Column, listing, note, safe_text
from studentcli.render import error as tell_error

if TYPE_CHECKING:
    from studentcli.formats.native import EnrollmentReader, RecordReader
    from studentcli.formats.report import Report
    from studentcli.formats.source import CsvSource
    from studentcli.services.batches import BatchOptions, BatchResult
    from studentcli.services.operations import Act

PANEL = "Files"
ENROLLMENT_OUTCOMES = (Column("line", "Line", "number"), *DECISION_COLUMNS)
RECORD_OUTCOMES = (
    Column("line", "Line", "number"),
    Column("record", "Record"),
    Column("result", "Result", "status"),
    Column("student", "Moved up"),
    Column("code", "Code"),
    Column("message", "Message"),
)
ON_ERROR = ("abort", "skip")
NO_ROWS = {"promoted", "kept"}
"""Totals that count no rows of the file."""
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="CSV file; - is standard input.")]
OnErrorOption = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar="|".join(ON_ERROR),
        help="All rows or none; or the good ones.",
        autocompletion=complete.one_of(*ON_ERROR),
    ),
]
RejectsOption = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", help="Write the refused rows there."),
]
NoWaitlistOption = Annotated[
    bool, typer.Option("--no-waitlist", help="Refuse full courses instead of queueing.")
]
AllOrNoneOption = Annotated[
    bool, typer.Option("--all-or-none", help="Apply no part of a request refused in part.")
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse rows older than recorded, and leaving what is taken together."
    ),
]
RunIdOption = Annotated[
    str | None,
    typer.Option(
        "--run-id", metavar="ID", help="Name the run; once it is done, it is not done again."
    ),
]
CommitEveryOption = Annotated[
    int | None,
    typer.Option(
        "--commit-every",
        metavar="ROWS",
        min=1,
        help="Commit in parts, so that others need not wait; not one atomic change.",
    ),
]
ExclusiveOption = Annotated[
    bool,
    typer.Option(
        "--exclusive", help="Load with the tables for itself: for files large beside them."
    ),
]
ChunkOption = Annotated[
    int, typer.Option("--chunk", min=1, hidden=True, help="Rows decided together.")
]


def _reader_and_act(
    cli: Cli, source: "CsvSource", options: "BatchOptions"
) -> "tuple[EnrollmentReader | RecordReader, Act]":
    """Find out what kind of file it is, and describe what is about to be done with it."""
    from studentcli.formats.native import reader_of
    from studentcli.services.syncing.earlier import KIND

    reader = reader_of(source)
    kind = reader.kind.plural if reader.kind else "enrollments"
    name = f"import-{kind}" if options.sync is None else KIND
    act = cli.act(name, channel="csv", source=source.name, source_sha256=source.sha256)
    if options.sync is None:
        return reader, act
    if reader.kind is not None:
        raise errors.FileUnreadable(
            f"{source.name} holds {kind}: a sync takes a list of enrollments",
            hint="import it without --sync, which changes records and removes none",
        )
    options.sync = replace(options.sync, written_at=source.written_at)
    return syncing.sync_reader(cli, source, options.sync, act.now), act


@contextmanager
def _shown(cli: Cli, progress: Progress, name: str) -> Iterator[None]:
    """Take the bar away at the end; when that comes too early, say what is applied all the same."""
    try:
        yield
    except errors.StudentcliError as error:
        if isinstance(error, errors.TooManyDrops):
            syncing.tell_drops(cli, error)
        if state.applied:
            note(f"the first {state.applied} rows of {name} are applied")
        raise
    finally:
        progress.stop()


def _run_import(
    cli: Cli, source: "CsvSource", report: "Report", options: "BatchOptions"
) -> "BatchResult":
    from studentcli.formats.plan import Unplanned
    from studentcli.formats.report import rows_of
    from studentcli.services import batches
    from studentcli.services.syncing.batch import SyncBatch

    reader, act = _reader_and_act(cli, source, options)
    kind = reader.kind.plural if reader.kind else "enrollments"
    plan = cli.plan or Unplanned()
    options.planned_at = plan.begin(kind, source, act.now, str(cli.named_database()))
    reader.keeps_cells = report.rejects is not None
    survey = reader.survey()
    shown = cli.has_terminal and not cli.quiet
    progress = Progress(survey.rows, None if cli.dry_run else act, shown=shown)

    def sink_for() -> batches.Sink:
        report.restart()
        progress.restart()
        plan.restart()
        if batch.went_on_after:
            note(f"{source.name}: {batch.went_on_after} rows are done; going on after them")
            if batch.refused_before is not None:
                note(f"studentcli batch rejects {batch.refused_before} lists those refused before")
            progress.advance(batch.went_on_after)

        def take(results: list[Any], cells: dict[int, list[str]]) -> None:
            report.take(results, cells)
            plan.take(results)
            progress.total = survey.rows + batch.unasked
            progress.advance(sum(map(rows_of, results)))
            if options.commit_every:
                state.applied = progress.done

        return take

    def verify() -> None:
        source.require_unchanged()
        plan.verify()

    kind_of_batch = batches.Batch if options.sync is None else SyncBatch
    batch = kind_of_batch(reader, survey, act, options, sink_for, verify, plan.confirm)
    with _shown(cli, progress, source.name):
        result = batch.run(cli.database, dry_run=cli.dry_run)
    state.recorded = not (cli.dry_run or result.aborted or result.done_as)
    report.take_promotions(result.promotions, of_records=reader.kind is not None)
    plan.finish(dict(result.totals), result.promotions, aborted=result.aborted)
    return result


def _import(cli: Cli, file: FileOptions, rejects: Path | None, options: dict[str, Any]) -> None:
    """Open the file and where its rejects go, carry it through, and tell what came of it."""
    from studentcli.formats.report import RejectsFile, Report
    from studentcli.services.batches import BatchOptions

    path = Path(file.name)
    with opened(cli, file) as source:
        if rejects and rejects.exists() and path.exists() and rejects.samefile(path):
            raise errors.Usage(f"--rejects {rejects} is the file that is read", hint="name another")
        kept = RejectsFile(rejects, source.columns, source.header) if rejects else None
        report = Report(kept, every_row=bool(cli.explicit_format), forecast=cli.dry_run)
        try:
            result = _run_import(cli, source, report, BatchOptions(term=cli.term, **options))
            if kept is not None and result.done_as is None:
                kept.keep()
            elif kept is not None:
                kept.discard()
        except BaseException:
            report.close()
            if kept is not None:
                kept.discard()
            raise
    with closing(report):
        _tell(cli, source, report, result)
        if options["sync"] is not None:
            syncing.tell_kept(cli, options["sync"], result.totals["kept"])
    if result.refused:
        cli.exit_status = errors.ExitStatus.BATCH_REFUSED


def _tell(cli: Cli, source: "CsvSource", report: "Report", result: "BatchResult") -> None:
    """Say what came of the file: outcomes as data, refusals and the summary on stderr."""
    if cli.explicit_format:
        is_enrollments = {"student", "course"} <= set(source.header)
        columns = ENROLLMENT_OUTCOMES if is_enrollments else RECORD_OUTCOMES
        listing(report.rows(aborted=result.aborted), columns, cli.explicit_format)
    if result.done_as is not None:
        verb = "applied" if cli.plan else "done"
        nothing = "" if cli.dry_run else "; nothing was changed"
        cli.done(f"{source.name}: {verb} already as batch {result.done_as}{nothing}")
        return
    _tell_refused(cli, report)
    late = errors.DropDeadline.code
    if any(line == 0 and refusal.code == late for line, refusal in report.refused):
        note("hint: --absent withdraw withdraws who is absent, --absent keep leaves them")
    untold = result.refused - len(report.refused)
    if untold > 0:
        counts = ", ".join(f"{count} {code}" for code, count in report.codes.most_common())
        note(f"… and {untold} more refused rows; in all {counts}")
        if report.rejects is None:
            note("hint: --rejects FILE holds them all")
    if cli.quiet and not result.refused:
        return
    _tell_superseded(report, result)
    if result.went_online:
        note(f"loaded beside others, which takes longer: {result.went_online}")
    note(_summary(cli, source, result, report.absent))
    if not result.aborted:
        _tell_consequences(cli, report, result)
    else:
        error = errors.BatchRefused(
            f"nothing was applied: {result.refused} rows of {source.name} were refused",
            hint="mend the rows, or apply the good ones with --on-error skip --rejects FILE",
        )
        tell_error(error, cli.explicit_format)


def _tell_refused(cli: Cli, report: "Report") -> None:
    """Tell the refused rows, and what there is instead of what was not found: never taken."""
    from studentcli.services.near import find_near

    near: dict[Any, list[str]] = {}
    if report.missed:
        near = cli.database.read(lambda session: find_near(session, report.missed.values()))
    for line, refusal in report.refused:
        names = near.get(report.missed.get(line), [])
        exists = f"; {' and '.join(names)} exist{'s' * (len(names) == 1)}" if names else ""
        where = f"line {line}" if line else "absent"
        sys.stderr.write(f"{where}: {safe_text(refusal.message + exists)} [{refusal.code}]\n")


def _tell_superseded(report: "Report", result: "BatchResult") -> None:
    for text in report.superseded:
        note(f"superseded: {text}")
    if (more := result.totals["superseded"] - len(report.superseded)) > 0:
        note(f"… and {more} more superseded")


def _tell_consequences(cli: Cli, report: "Report", result: "BatchResult") -> None:
    """Name whom the file moved up, and what its students keep who become inactive."""
    from studentcli.services import views

    cli.show_promotions(report.promotions, result.totals["promoted"])
    cli.show_warnings(result.warnings)
    if report.inactive and not cli.quiet:
        kept = cli.database.read(lambda session: views.list_live(session, report.inactive))
        cli.show_kept(kept)


def _summary(cli: Cli, source: "CsvSource", result: "BatchResult", absent: int) -> str:
    rows = sum(count for name, count in result.totals.items() if name not in NO_ROWS) - absent
    others = f" and {absent} absent from them" if absent else ""
    counts = ", ".join(f"{count} {name}" for name, count in result.totals.items()) or "no rows"
    if cli.dry_run:
        verb = "forecast, nothing was changed: would be "
    elif result.aborted:
        verb = "nothing was applied; without the refused rows: "
    else:
        verb = ""
    number = f", batch {result.operation_id}" if result.operation_id else ""
    same = f", same file as batch {result.same_as}" if result.same_as else ""
    left = f", {source.passed_over} left out" if source.passed_over else ""
    target = cli.named_database()
    return f"{source.name}: {verb}{counts} of {rows} rows{others}{left} into {target}{number}{same}"


def _require_sensible(on_error: str, commit_every: int | None, *, is_whole: bool) -> None:
    """Refuse options that do not go together; a bulk load and a sync are whole, or nothing."""
    if on_error not in ON_ERROR:
        raise errors.Usage(f"--on-error {on_error!r} is neither {' nor '.join(ON_ERROR)}")
    if commit_every and (on_error != "skip" or is_whole):
        raise errors.Usage(
            "--commit-every needs --on-error skip, and goes without --exclusive and --sync",
            hint="what is committed stays applied, whatever the rows after it are",
        )


def import_(
    cli: Cli,
    file: FileArgument,
    *,
    on_error: OnErrorOption = "abort",
    rejects: RejectsOption = None,
    no_waitlist: NoWaitlistOption = False,
    all_or_none: AllOrNoneOption = False,
    strict: StrictOption = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    mapping: MapOption = None,
    rows: RowsOption = None,
    where: WhereOption = None,
    run_id: RunIdOption = None,
    commit_every: CommitEveryOption = None,
    exclusive: ExclusiveOption = False,
    chunk: ChunkOption = 20_000,
    sync: syncing.SyncOption = False,
    scope: syncing.ScopeOption = None,
    absent: syncing.AbsentOption = None,
    max_drops: syncing.MaxDropsOption = None,
    last_wins: syncing.LastWinsOption = False,
    allow: syncing.AllowOption = None,
) -> None:
    """Import students, terms, courses or enrollments.

    Example: studentcli import fall.csv -n
    """
    _require_sensible(on_error, commit_every, is_whole=exclusive or sync)
    options = {
        "on_error": on_error,
        "chunk": chunk,
        "allow_waitlist": not no_waitlist,
        "all_or_none": all_or_none,
        "strict": strict,
        "run_id": run_id,
        "commit_every": commit_every,
        "exclusive": exclusive,
        "sync": syncing.read_options(
            cli,
            {"sync": sync, "scope": scope, "absent": absent, "max_drops": max_drops,
             "last_wins": last_wins, "allow": allow},
        ),
    }  # fmt: skip
    source = FileOptions(file, encoding, delimiter, mapping, rows, where)
    _import(cli, source, rejects, options)


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(app, "import", writes=True, panel=PANEL)(import_)
