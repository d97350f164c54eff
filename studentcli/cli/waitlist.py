"""waitlist: who waits and why, the story of one place, what more seats would do, offering seats."""

import re
import shlex
from functools import partial
from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.arguments import CourseArgument, ReasonOption, StudentArgument
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, Seats, counted, listing

PANEL = "Look up"

QUEUE_TABLE = (
    Column("place", "Place", "number"),
    Column("student", "Student", "key"),
    Column("name", "Name"),
    Column("since", "Since", "date"),
    Column("instead_of", "Instead of", "key"),
    Column("now", "Now"),
)
QUEUE_DATA = (
    Column("place", ""), Column("student", ""), Column("given_name", ""), Column("family_name", ""),
    Column("since", ""), Column("instead_of", ""), Column("may_sit", ""), Column("rules", ""),
    Column("message", ""),
)  # fmt: skip
SIMULATION_TABLE = (
    Column("place", "Place", "number"),
    Column("student", "Student", "key"),
    Column("name", "Name"),
    Column("result", "Would be", "status"),
    Column("message", "Why"),
)
SIMULATION_DATA = (
    Column("place", ""), Column("student", ""), Column("given_name", ""), Column("family_name", ""),
    Column("result", ""), Column("rule", ""), Column("message", ""),
)  # fmt: skip
STORY_TABLE = (
    Column("on", "Date", "date"),
    Column("operation", "No.", "number"),
    Column("place", "Place", "number"),
    Column("message", "What happened"),
    Column("actor", "Who"),
)
STORY_DATA = (
    Column("on", ""), Column("operation", ""), Column("actor", ""), Column("event", ""),
    Column("place", ""), Column("rule", ""), Column("message", ""),
)  # fmt: skip
OFFER_DATA = (
    Column("course", ""), Column("student", ""), Column("result", ""), Column("rule", ""),
    Column("message", ""),
)  # fmt: skip


def _named(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["name"] = ", ".join(filter(None, (row["family_name"], row["given_name"])))


def _filled(rows: list[dict[str, Any]], columns: tuple[Column, ...]) -> list[Column]:
    """Leave out of a table what no row says."""
    kept = {"place", "student", "message"}
    return [c for c in columns if c.name in kept or any(row.get(c.name) for row in rows)]


def _show(cli: Cli, word: str) -> None:
    from studentcli import values
    from studentcli.services.waitlists import show_waitlist

    course = values.identifier(word)
    shown, rows = cli.database.read(
        lambda session: show_waitlist(session, course, cli.policy(), term=cli.term)
    )
    if cli.fmt != "table":
        listing(rows, QUEUE_DATA, cli.fmt)
        return
    _named(rows)
    for row in rows:
        row["now"] = "may sit" if row["may_sit"] == "yes" else row["rules"].replace(" ", ", ")
    seats = Seats(shown["taken"], shown["capacity"])
    listing(
        rows,
        _filled(rows, QUEUE_TABLE),
        "table",
        title=f"{shown['ref']}  {shown['title']}  ({shown['status']})",
        footer=f"{seats} seats taken, {shown['waiting']}/{shown['waitlist']} waiting",
    )


def _story(cli: Cli, student: str, word: str) -> None:
    from studentcli import values
    from studentcli.services.stories import story_of_place

    number, course = values.identifier(student), values.identifier(word)
    story = cli.database.read(
        lambda session: story_of_place(session, number, course, cli.policy(), term=cli.term)
    )
    if cli.fmt != "table":
        listing(story.rows, STORY_DATA, cli.fmt)
        return
    for row in story.rows:
        row["message"] = f"now: {row['message']}" if row["event"] == "now" else row["message"]
    title = f"{story.student} in the waitlist of {story.course}"
    listing(story.rows, STORY_TABLE, "table", title=title)


def _capacity(text: str) -> Any:
    """Read a capacity to try: 35, +5, or - for no limit.

    Raises:
        errors.BadValue: for anything else.
    """
    from studentcli.services.waitlists import Capacity

    written = text.strip()
    if written == "-":
        return Capacity(None)
    if not re.fullmatch(r"\+?[0-9]{1,9}", written, re.ASCII):
        raise errors.BadValue(f"{text!r} is no capacity (expected such as 35, +5 or -)")
    return Capacity(int(written), is_more=written.startswith("+"))


def _simulate(cli: Cli, word: str, capacity: str) -> None:
    from studentcli import render, values
    from studentcli.services.waitlists import simulate_waitlist

    course, tried = values.identifier(word), _capacity(capacity)
    found = cli.database.read(
        lambda session: simulate_waitlist(session, course, tried, cli.policy(), term=cli.term)
    )
    promoted = sum(row["result"] == "promoted" for row in found.rows)
    if cli.fmt != "table":
        listing(found.rows, SIMULATION_DATA, cli.fmt)
    else:
        _named(found.rows)
        seats = Seats(found.course["taken"] + promoted, found.course["capacity"])
        listing(
            found.rows,
            _filled(found.rows, SIMULATION_TABLE),
            "table",
            title=f"{found.course['ref']}  {found.course['title']}",
            footer=f"{promoted} of {len(found.rows)} would get a seat, {seats} seats taken",
        )
    if cli.quiet:
        return
    for promotion in found.elsewhere:
        render.note(render.promotion_sentence(promotion, forecast=True))
    render.note("forecast only: nothing was changed")


def _run(cli: Cli, words: list[str] | None, reason: str | None) -> None:
    from studentcli import render, values
    from studentcli.services.waitlists import run_waitlists

    named = None if words is None else [values.identifier(word) for word in words]
    act = cli.act("waitlist-run", reason=reason)
    offered = cli.follow(partial(run_waitlists, words=named, act=act, term=cli.term), act)
    if not cli.quiet:
        rows = [
            {
                "course": promotion.course, "student": promotion.student, "result": "promoted",
                "message": render.promotion_sentence(promotion, forecast=cli.dry_run),
            }
            for promotion in offered.promotions
        ]  # fmt: skip
        rows += offered.passed_over
        if cli.fmt == "table":
            render.offers(rows, forecast=cli.dry_run)
        else:
            listing(rows, OFFER_DATA, cli.fmt)
    verb = "would move" if cli.dry_run else "moved"
    waitlists = counted(offered.courses, "waitlist")
    cli.done(
        f"{waitlists}: {len(offered.promotions)} {verb} up, {len(offered.passed_over)} passed over"
    )


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app(
        "Waitlists: who waits and why, what more seats would do.\n\n"
        "Example: studentcli waitlist show CS101"
    )
    app.add_typer(group, name="waitlist", rich_help_panel=PANEL)

    @command(group)
    def show(cli: Cli, course: CourseArgument) -> None:
        """Show the queue of a course: who may sit down now, who is blocked by which rule.

        Example: studentcli waitlist show CS101
        """
        _show(cli, course)

    @command(group)
    def explain(cli: Cli, student: StudentArgument, course: CourseArgument) -> None:
        """Tell the whole story of one place: every run of the queue that considered it.

        Example: studentcli waitlist explain S1042 CS101
        """
        _story(cli, student, course)

    @command(group)
    def simulate(
        cli: Cli,
        course: CourseArgument,
        *,
        capacity: Annotated[
            str,
            typer.Option(
                "--capacity", metavar="SEATS", help="35, +5 for so many more, - for no limit."
            ),
        ],
    ) -> None:
        """Say who would get in with another capacity; change nothing.

        Example: studentcli waitlist simulate CS101 --capacity +5
        """
        _simulate(cli, course, capacity)

    @command(group, writes=True)
    def run(
        cli: Cli,
        courses: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[COURSE]...",
                help="CS101, CS101-002 or 2026FA/CS101-002.",
                show_default=False,
                autocompletion=complete.courses,
            ),
        ] = None,
        *,
        everything: Annotated[
            bool, typer.Option("--all", help="Every waitlist, of the term if one is named.")
        ] = False,
        reason: ReasonOption = None,
    ) -> None:
        """Offer free seats to the waitlists, for when only time has passed.

        Example: studentcli waitlist run --all
        """
        if everything == bool(courses):
            named = cli.options.get("term")
            of_term = ["--term", named] if named else []
            raise errors.Usage(
                "name the courses whose waitlists to run, or give --all",
                hint=shlex.join(["studentcli", "waitlist", "run", "--all", *of_term]),
            )
        _run(cli, None if everything else courses, reason)
