"""courses and roster: what registrars look at all day."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli.arguments import CourseArgument, OptionalStudentArgument
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.render import Column, Seats, listing

PANEL = "Look up"

OFFERING_COLUMNS = (
    Column("ref", "Course", "key"),
    Column("title", "Title"),
    Column("credits", "Credits", "hours"),
    Column("seats", "Seats", "seats"),
    Column("waiting", "Waiting", "number"),
    Column("status", "Status", "status"),
)
OFFERING_DATA = (
    Column("ref", ""), Column("term", ""), Column("course", ""), Column("section", ""),
    Column("title", ""), Column("credits", ""), Column("taken", ""), Column("capacity", ""),
    Column("waiting", ""), Column("waitlist", ""), Column("status", ""),
)  # fmt: skip
STUDENT_COLUMNS = (
    Column("course", "Course", "key"),
    Column("title", "Title"),
    Column("credits", "Credits", "hours"),
    Column("status", "Status", "status"),
    Column("grade", "Grade"),
    Column("since", "Since", "date"),
)
STUDENT_DATA = (
    Column("course", ""), Column("title", ""), Column("credits", ""), Column("status", ""),
    Column("position", ""), Column("grade", ""), Column("enrolled_on", ""), Column("since", ""),
)  # fmt: skip
WEEK_DATA = (
    Column("day", ""), Column("starts", ""), Column("ends", ""), Column("course", ""),
    Column("title", ""), Column("room", ""), Column("first", ""), Column("last", ""),
    Column("status", ""),
)  # fmt: skip
ROSTER_COLUMNS = (
    Column("student", "Student", "key"),
    Column("name", "Name"),
    Column("status", "Status", "status"),
    Column("grade", "Grade"),
    Column("since", "Since", "date"),
)
ROSTER_DATA = (
    Column("student", ""), Column("given_name", ""), Column("family_name", ""),
    Column("status", ""), Column("position", ""), Column("grade", ""), Column("enrolled_on", ""),
    Column("since", ""),
)  # fmt: skip


def _shown(columns: tuple[Column, ...], rows: list[dict[str, Any]]) -> list[Column]:
    """Leave the grades out as long as nobody has one: the table then fits into 80 columns."""
    has_grades = any(row["grade"] for row in rows)
    return [column for column in columns if has_grades or column.name != "grade"]


def _status(row: dict[str, Any], fmt: str) -> str:
    """Say the place beside the status where people read it."""
    queued = fmt == "table" and row["position"]
    return f"{row['status']}, place {row['position']}" if queued else str(row["status"])


def _courses_of_student(cli: Cli, number: str) -> None:
    from studentcli import values
    from studentcli.services.standing import courses_of_student

    student, courses = cli.database.read(
        lambda session: courses_of_student(session, values.identifier(number), term=cli.term)
    )
    rows = [
        {
            "course": course.ref,
            "title": course.title,
            "credits": course.credit_hours,
            "status": course.status,
            "position": course.position,
            "grade": course.grade,
            "enrolled_on": course.enrolled_on,
            "since": course.status_since,
        }
        for course in courses
    ]
    for row in rows:
        row["status"] = _status(row, cli.fmt)
    listing(
        rows,
        _shown(STUDENT_COLUMNS, rows) if cli.fmt == "table" else STUDENT_DATA,
        cli.fmt,
        title=_headed(student),
        footer=_credit_totals(courses),
    )


def _headed(student: dict[str, Any]) -> str:
    """Say above a table whose it is."""
    name = " ".join(filter(None, (student["given_name"], student["family_name"])))
    inactive = "" if student["status"] == "active" else f" ({student['status']})"
    return f"{student['student']}  {name}{inactive}"


def _week_of_student(cli: Cli, number: str) -> None:
    from studentcli import values
    from studentcli.render import week
    from studentcli.services.timetable import week_of_student

    found = cli.database.read(
        lambda session: week_of_student(
            session, values.identifier(number), cli.policy(), term=cli.term
        )
    )
    if cli.fmt != "table":
        listing(found.rows, WEEK_DATA, cli.fmt)
        return
    said = week.notes(found.rows, found.without, found.elsewhere)
    title = "  ".join(filter(None, (_headed(found.student), found.term)))
    week.week(week.layout(found.rows), title, said)


def _credit_totals(courses: list[Any]) -> str:
    """Add up the credits by what they count as; dropped and withdrawn ones count for nothing."""
    from studentcli.render import counted, plain

    parts = []
    for status in ("enrolled", "waitlisted", "completed"):
        of_status = [course.credit_hours for course in courses if course.status == status]
        if of_status:
            parts.append(f"{plain(sum(of_status, Decimal(0)))} credits {status}")
    return ", ".join([counted(len(courses), "course"), *parts])


def offerings(cli: Cli) -> None:
    """List the courses of the term, or of all, with their seats."""
    from studentcli.services import views

    rows = cli.database.read(lambda session: views.list_courses(session, term=cli.term))
    if cli.fmt != "table":
        listing(rows, OFFERING_DATA, cli.fmt)
        return
    for row in rows:
        row["seats"] = Seats(row["taken"], row["capacity"])
    taken = sum(row["taken"] for row in rows)
    footer = f"{len(rows)} courses, {taken} seats taken"
    listing(rows, OFFERING_COLUMNS, "table", title=cli.term, footer=footer)


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""

    @command(app, panel=PANEL)
    def courses(
        cli: Cli,
        student: OptionalStudentArgument = None,
        *,
        week: Annotated[
            bool, typer.Option("--week", help="The student's weekly timetable of one term.")
        ] = False,
    ) -> None:
        """List the courses with their seats, or those of a student.

        Example: studentcli courses S1042

        Example: studentcli courses S1042 --week
        """
        if student is None and week:
            raise errors.Usage(
                "--week shows the week of a student, and none is named",
                hint="studentcli courses STUDENT --week",
            )
        if student is None:
            offerings(cli)
        elif week:
            _week_of_student(cli, student)
        else:
            _courses_of_student(cli, student)

    @command(app, panel=PANEL)
    def roster(
        cli: Cli,
        course: CourseArgument,
        *,
        everybody: Annotated[
            bool, typer.Option("--all", help="Also who has dropped or withdrawn.")
        ] = False,
    ) -> None:
        """List the students of a course and its waitlist.

        Example: studentcli roster 2026FA/CS101
        """
        from studentcli import values
        from studentcli.services import views

        word = values.identifier(course)
        found, rows = cli.database.read(
            lambda session: views.list_roster(
                session, word, cli.policy(), term=cli.term, everybody=everybody
            )
        )
        for row in rows:
            row["since"] = row["status_since"]
            row["name"] = ", ".join(filter(None, (row["family_name"], row["given_name"])))
            if row["student_status"] != "active":
                row["name"] += f" ({row['student_status']})"
            row["status"] = _status(row, cli.fmt)
        seats = Seats(found["taken"], found["capacity"])
        waiting = f", {found['waiting']}/{found['waitlist']} waiting" if found["waitlist"] else ""
        listing(
            rows,
            _shown(ROSTER_COLUMNS, rows) if cli.fmt == "table" else ROSTER_DATA,
            cli.fmt,
            title=f"{found['ref']}  {found['title']}  ({found['status']})",
            footer=f"{seats} seats taken{waiting}",
        )
