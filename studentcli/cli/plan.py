"""plan and apply: decide a file, look at the decisions, carry out exactly these."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from studentcli import errors
from studentcli.cli import imports
from studentcli.cli.context import SHOWN, Cli
from studentcli.cli.framework import Group, command, new_app
from studentcli.render import Column, listing, note, safe_text

if TYPE_CHECKING:
    from studentcli.formats.plan import Plan, PlanCheck

PANEL = imports.PANEL
NOT_PLANNED: Final = frozenset({"file", "rejects", "run_id", "chunk"})
"""Options of import that decide nothing."""

NOTHING: Final = "nothing would be applied: rows are refused"
COUNTS = (Column("result", "Result", "status"), Column("rows", "Rows", "number"))
ROWS = (
    Column("line", "Line", "number"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("action", "Action"),
    Column("result", "Result", "status"),
    Column("change", "Change"),
    Column("message", "Message"),
)
RECORD_ROWS = (
    Column("line", "Line", "number"),
    Column("record", "Record", "key"),
    Column("result", "Result", "status"),
    Column("change", "Change"),
    Column("message", "Message"),
)
MOVED = (
    Column("line", "Line", "number"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("planned", "Planned"),
    Column("now", "Now"),
)
PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="What plan has written.")]


class _PlanGroup(Group):
    """`plan FILE` is short for `plan make FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front of a file."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


def _planned_parameters() -> list[inspect.Parameter]:
    """Give the parameters of import that decide something: all of them are planned."""
    parameters = inspect.signature(imports.import_).parameters.values()
    return [p for p in parameters if p.name not in NOT_PLANNED - {"file"}]


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app(
        "Plans: decide a file and look, before anything is changed.\n\n"
        "Example: studentcli plan fall.csv --out plan.jsonl",
        cls=_PlanGroup,
    )
    app.add_typer(group, name="plan", rich_help_panel=PANEL)

    def make(cli: Cli, file: str, *, out: Path, **options: Any) -> None:
        """Decide every row of a file and write the decisions down; change nothing.

        Example: studentcli plan make fall.csv --out plan.jsonl
        """
        _make(cli, file, out, options)

    out = Annotated[Path, typer.Option("--out", "-o", metavar="PLAN", help="Write the plan there.")]
    parameters = [
        *_planned_parameters(),
        inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, annotation=out),
    ]
    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command(group, "make")(make)

    @command(group, "show")
    def show(
        cli: Cli,
        plan: PlanArgument,
        *,
        rows: Annotated[
            bool, typer.Option("--rows", help="Every row that changes something or is refused.")
        ] = False,
        everything: Annotated[
            bool, typer.Option("--all", help="With --rows, also rows that change nothing.")
        ] = False,
    ) -> None:
        """Show what a plan would do: counts, or row by row.

        Example: studentcli plan show plan.jsonl --rows
        """
        _show(cli, plan, rows=rows or everything, everything=everything)

    @command(app, "apply", writes=True, panel=PANEL)
    def apply(
        cli: Cli,
        plan: PlanArgument,
        file: Annotated[str, typer.Argument(metavar="FILE", help="The file that was planned.")],
        *,
        rejects: imports.RejectsOption = None,
        run_id: imports.RunIdOption = None,
    ) -> None:
        """Carry out a plan whose decisions all still hold.

        Example: studentcli apply plan.jsonl fall.csv
        """
        _apply(cli, plan, {"file": file, "rejects": rejects, "run_id": run_id})


def _make(cli: Cli, file: str, out: Path, options: dict[str, Any]) -> None:
    """Import as a forecast whose decisions are written down."""
    from studentcli.formats.plan import PlanWriter

    if out.exists() and Path(file).exists() and out.samefile(file):
        raise errors.Usage(f"--out {out} is the file that is read", hint="name another")
    cli.options["dry_run"] = True
    cli.plan = plan = PlanWriter(out, options, cli.term)
    try:
        imports.import_(cli, file, **options)
        plan.keep()
    except BaseException:
        plan.discard()
        raise
    if not cli.quiet:
        following = f"next: studentcli apply {out} {file}" if plan.would_be_applied else NOTHING
        note(f"planned in {out}; {following}")


def _apply(cli: Cli, path: Path, more: dict[str, Any]) -> None:
    """Import with the options of the plan, as long as every row is decided as planned."""
    from studentcli.formats.plan import Plan, PlanCheck

    plan = Plan(path)
    with closing(PlanCheck(plan)) as check:
        cli.use_term(plan.header.get("term"))
        cli.plan = check
        more["run_id"] = more["run_id"] or f"plan:{plan.sha256}"
        known = {p.name for p in _planned_parameters()} - {"cli", "file"}
        options = plan.header["options"]
        if unknown := sorted(set(options) - known):
            raise errors.FileUnreadable(
                f"{path} has an option {unknown[0]!r}, which import has not"
            )
        _require_readable(path, options)
        try:
            imports.import_(cli, **more, **options)
        except (errors.TooManyDrops, errors.EmptyFile, errors.OlderFile) as error:
            error.hint = f"{error.hint}; these are options of plan: plan the file again with them"
            raise
        except errors.PlanMoved:
            done_as = _carried_out(cli, check) if check.is_as_done else None
            if done_as is None:
                _tell_moved(cli, check)
                raise
            cli.done(f"{more['file']}: applied already as batch {done_as}; nothing was changed")


def _require_readable(path: Path, options: dict[str, Any]) -> None:
    """Stop at an option that is not of the type which import declares."""
    declared = {p.name: get_args(p.annotation)[0] for p in _planned_parameters() if p.name != "cli"}
    for name, value in options.items():
        kind = declared[name]
        kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not (type(value) in kinds or (is_list and list[str] in kinds)):
            raise errors.FileUnreadable(
                f"{path} is damaged: its option {name!r} is {value!r}",
                hint="studentcli plan FILE --out PLAN makes it anew",
            )


def _carried_out(cli: Cli, check: "PlanCheck") -> int | None:
    """Find the batch that did what was planned, under a run id of its own: its number."""
    from studentcli.services.imports import find_carried_out

    plan = check.plan
    kind, sha256 = plan.header["kind"], plan.header["sha256"]
    return cli.database.read(
        lambda session: find_carried_out(session, kind, sha256, plan.planned_at)
    )


def _tell_moved(cli: Cli, check: "PlanCheck") -> None:
    """List what moved: as data where a format is named, else the first of them on stderr."""
    if cli.explicit_format:
        listing(check.differences(), MOVED, cli.explicit_format)
        return
    for count, row in enumerate(check.differences()):
        if count == SHOWN:
            note(f"… and {check.moved - SHOWN} more")
            break
        without = "absent" if row["student"] else "the waitlists"
        line = without if row["line"] is None else f"line {row['line']}"
        who = " in ".join(row[name] for name in ("student", "course") if row[name])
        told = f"{line}: {who and f'{who}: '}planned {row['planned']}; now {row['now']}"
        sys.stderr.write(f"{safe_text(told)}\n")
    database = check.plan.header["database"]
    if database != str(cli.named_database()):
        note(f"the plan was made for {database}")


def _show(cli: Cli, path: Path, *, rows: bool, everything: bool) -> None:
    from studentcli.formats.plan import Plan

    with closing(Plan(path)) as plan:
        header, last = plan.header, plan.last
        if rows:
            columns = ROWS if header["kind"] == "enrollments" else RECORD_ROWS
            listing(_rows(plan, everything=everything), columns, cli.fmt)
            return
        totals: dict[str, int] = last["totals"]
        listing(
            [{"result": result, "rows": count} for result, count in totals.items()],
            COUNTS,
            cli.fmt,
            title=_title(header),
        )
    if not last.get("would_be_applied", True) and not cli.quiet:
        note(NOTHING)


def _title(header: dict[str, Any]) -> str:
    scope = header["options"].get("scope")
    of = f" as the truth for {scope}" if scope else ""
    return f"{header['file']}{of} into {header['database']}, planned {header['planned_at']}"


def _rows(plan: "Plan", *, everything: bool) -> Iterator[dict[str, Any]]:
    """Give the rows of a plan for people, and whom the waitlists move up."""
    from studentcli.formats.plan import in_words

    for line in plan.rows():
        promotions = line.pop("promotions", [])
        line["line"] = line["line"] or None
        if everything or line["result"] not in {"unchanged", "superseded"}:
            yield {**line, "change": in_words(line)}
        yield from map(_moved_up, promotions)
    yield from map(_moved_up, plan.last.get("promotions", []))


def _moved_up(promotion: dict[str, Any]) -> dict[str, Any]:
    return {
        **promotion,
        "action": "promote",
        "result": "enrolled",
        "record": promotion["course"],
        "change": f"{promotion['student']} moves up into {promotion['course']}",
    }
