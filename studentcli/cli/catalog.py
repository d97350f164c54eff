"""course, term: adding, editing, listing, showing, cancelling; how a record is saved."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli.cli.arguments import (
    CodeArgument,
    CourseArgument,
    ReasonOption,
)
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.records import COURSE, TERM, RecordKind
from studentcli.render import Column, Seats, listing, record

PANEL = "Catalogue"

NewCodeArgument = Annotated[
    str, typer.Argument(metavar="TERM", help="Code of the new term.", show_default=False)
]
NewCourseArgument = Annotated[
    str,
    typer.Argument(
        metavar="COURSE", help="CS101 or 2026FA/CS101, without section.", show_default=False
    ),
]

TERM_COLUMNS = (
    Column("term", "Term", "key"),
    Column("name", "Name"),
    Column("starts_on", "Starts", "date"),
    Column("ends_on", "Ends", "date"),
    Column("enroll_from", "Enroll from", "date"),
    Column("enroll_until", "Enroll until", "date"),
    Column("courses", "Courses", "number"),
)
TERM_DATA = (
    *TERM_COLUMNS[:6],
    Column("drop_until", "Drop until"),
    Column("withdraw_until", "Withdraw until"),
    Column("max_credits", "Max credits"),
    Column("max_waitlists", "Max waitlists"),
    Column("grades", "Grades"),
    Column("time_zone", "Time zone"),
    Column("courses", "Courses"),
)
COURSE_DATA = (
    Column("ref", "Course", "key"),
    Column("title", "Title"),
    Column("credits", "Credits"),
    Column("seats", "Seats taken"),
    Column("waiting", "Waiting"),
    Column("waitlist", "Waitlist places"),
    Column("status", "Status"),
)
COURSE_RULES = tuple(Column(field.name, field.heading) for field in COURSE.of_rules)


def save(cli: Cli, kind: RecordKind, cells: dict[str, str], mode: Any, reason: str | None) -> None:
    """Add or edit one record from text cells, and say what came of it."""
    from studentcli import render
    from studentcli.records import read_row
    from studentcli.services.catalog import save_record

    row = read_row(kind, cells)
    verb = {"add": "add", "edit": "edit"}[mode]
    act = cli.act(f"{kind.name}-{verb}", reason=reason)
    saved = cli.follow(
        partial(save_record, kind=kind, row=row, act=act, mode=mode, term=cli.term), act
    )
    outcome = saved.require().outcomes[0]
    name = "/".join(outcome.key[:2]) + (f"-{outcome.key[2]}" if len(outcome.key) > 2 else "")
    seats = None if saved.taken is None else Seats(saved.taken, outcome.changes["capacity"][1])
    said = render.record_sentence(
        kind.name, name, outcome.result, list(outcome.changes), forecast=cli.dry_run
    )
    cli.done(said if seats is None else f"{said} ({seats} seats taken)")
    cli.show_promotions(saved.promotions)
    cli.show_warnings(saved.warnings)
    crowded = seats and render.crowding_sentence(name, seats, forecast=cli.dry_run)
    if crowded and not cli.quiet:
        render.note(crowded)


def _course_cells(
    cli: Cli, written: str, section: str | None, fields: dict[str, str]
) -> dict[str, str]:
    """Split a new course, written TERM/CODE or CODE, the section apart.

    Raises:
        errors.Usage: for CODE-SECTION, which is two things as long as nobody names the section.
        errors.UnknownTerm: for what looks like a term and is none, unless --term names one.
    """
    from studentcli import errors, values
    from studentcli.services import views

    word = values.identifier(written)
    with_slash = cli.options.get("term") is not None
    term, code = cli.database.read(
        lambda session: views.split_course(session, word, cli.policy(), with_slash=with_slash)
    )
    head, _, tail = code.rpartition("-")
    if section is None and head and tail:
        of = f"{term}/" if term else ""
        raise errors.Usage(
            f"{word} could be section {tail} of {of}{head}, or a course with the code {code}",
            hint=f"studentcli course add {of}{head} --section {tail};"
            f" for the code {code}: studentcli course add {word} --section 1",
        )
    named = {"course": code, "section": "" if section is None else values.identifier(section)}
    return {**fields, **named, **({"term": term} if term else {})}


def _add_terms(app: typer.Typer) -> None:
    group = new_app("Terms: add, edit, look up.\n\nExample: studentcli term list")
    app.add_typer(group, name="term", rich_help_panel=PANEL)

    @command(group, "add", writes=True, fields_of=TERM)
    def add(
        cli: Cli, code: NewCodeArgument, *, fields: dict[str, str], reason: ReasonOption = None
    ) -> None:
        """Add a term.

        Example: studentcli term add 2027SP --starts-on 2027-01-11
        """
        save(cli, TERM, {**fields, "term": code}, "add", reason)

    @command(group, "edit", writes=True, fields_of=TERM)
    def edit(
        cli: Cli, code: CodeArgument, *, fields: dict[str, str], reason: ReasonOption = None
    ) -> None:
        """Change a term; - clears a field.

        Example: studentcli term edit 2026FA --name 'Fall 2026'
        """
        save(cli, TERM, {**fields, "term": code}, "edit", reason)

    @command(group, "list")
    def list_(cli: Cli) -> None:
        """List the terms.

        Example: studentcli term list
        """
        from studentcli.services import views

        rows = cli.database.read(views.list_terms)
        listing(rows, TERM_COLUMNS if cli.fmt == "table" else TERM_DATA, cli.fmt)

    @command(group, "show")
    def show(cli: Cli, code: CodeArgument) -> None:
        """Show a term.

        Example: studentcli term show 2026FA
        """
        from studentcli import values
        from studentcli.services import views

        wanted = values.identifier(code)
        row = cli.database.read(lambda session: views.show_term(session, wanted))
        record(row, TERM_DATA, cli.fmt)


SectionOption = Annotated[
    str | None, typer.Option("--section", metavar="SECTION", help="Section; 1 if left out.")
]


def _add_courses(app: typer.Typer) -> None:
    group = new_app("Courses: add, edit, cancel, look up.\n\nExample: studentcli course show CS101")
    app.add_typer(group, name="course", rich_help_panel=PANEL)

    @command(group, "add", writes=True, fields_of=COURSE)
    def add(
        cli: Cli, course: NewCourseArgument, *, fields: dict[str, str],
        section: SectionOption = None, reason: ReasonOption = None,
    ) -> None:  # fmt: skip
        """Add a course.

        Example: studentcli course add 2026FA/CS102 --section 001 --capacity 30
        """
        save(cli, COURSE, _course_cells(cli, course, section, fields), "add", reason)

    @command(group, "edit", writes=True, fields_of=COURSE)
    def edit(
        cli: Cli, course: CourseArgument, *, fields: dict[str, str], reason: ReasonOption = None
    ) -> None:
        """Change a course; - clears a field.

        Example: studentcli course edit CS101-001 --capacity 35
        """
        from studentcli import values
        from studentcli.services import views

        word = values.identifier(course)
        found = cli.database.read(
            lambda session: views.show_course(session, word, cli.policy(), term=cli.term)
        )
        cells = {**fields, **{name: found[name] for name in ("term", "course", "section")}}
        save(cli, COURSE, cells, "edit", reason)

    @command(group, "cancel", writes=True)
    def cancel(
        cli: Cli,
        course: CourseArgument,
        *,
        reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    ) -> None:
        """Cancel a course and drop everybody.

        Example: studentcli course cancel CS101-001 --reason 'no room'
        """
        from studentcli import values
        from studentcli.services.cancelling import cancel_course

        act = cli.act("course-cancel", reason=reason)
        word = values.identifier(course)
        cancelled = cli.follow(partial(cancel_course, word=word, act=act, term=cli.term), act)
        dropped = cancelled.decisions
        cli.show_decisions(dropped)
        would = "would be" if cli.dry_run else "is"
        cli.done(f"{cancelled.course} {would} cancelled, {len(dropped)} students dropped")

    @command(group, "list")
    def list_(cli: Cli) -> None:
        """List the courses with their seats.

        Example: studentcli course list --term 2026FA
        """
        from studentcli.cli.lists import offerings

        offerings(cli)

    @command(group, "show")
    def show(cli: Cli, course: CourseArgument) -> None:
        """Show a course.

        Example: studentcli course show 2026FA/CS101-001
        """
        from studentcli import values
        from studentcli.services import views

        word = values.identifier(course)
        row = cli.database.read(
            lambda session: views.show_course(session, word, cli.policy(), term=cli.term)
        )
        row["seats"] = Seats(row["taken"], row["capacity"])
        asked = [c for c in COURSE_RULES if cli.fmt != "table" or row[c.name] is not None]
        record(row, [*COURSE_DATA, *asked], cli.fmt)


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    _add_courses(app)
    _add_terms(app)
