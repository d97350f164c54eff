"""enroll, drop, withdraw, complete: one student and the courses named, as one request."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import CoursesArgument, ReasonOption, StudentArgument
from studentcli.cli.context import Cli
from studentcli.cli.framework import command

if TYPE_CHECKING:
    from studentcli.requests import Request

PANEL = "Enrollment"

OnOption = Annotated[
    str | None,
    typer.Option(
        "--on", metavar="DATE", help="Date it counts from, YYYY-MM-DD; today if left out."
    ),
]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        metavar="RULE",
        help="Break this rule; needs --reason.",
        autocompletion=complete.overridable,
    ),
]
InsteadOfOption = Annotated[
    str | None,
    typer.Option(
        "--instead-of",
        metavar="COURSE",
        help="Give this course up for the new one, as soon as there is a seat.",
        autocompletion=complete.courses,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse to leave what another course is taken together with."),
]
OptionalStudent = Annotated[
    str | None,
    typer.Argument(metavar="STUDENT", help="Student number.", autocompletion=complete.students),
]
OptionalCourses = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="COURSE...",
        help="CS101, CS101-002 or 2026FA/CS101-002.",
        autocompletion=complete.courses,
    ),
]
LIST = "{} with commas between them, or @FILE: a CSV file with a column {}, or one a line."
StudentList = Annotated[
    str | None, typer.Option("--students", metavar="LIST", help=LIST.format("Students", "student"))
]
CourseList = Annotated[
    str | None, typer.Option("--courses", metavar="LIST", help=LIST.format("Courses", "course"))
]
NoWaitlistOption = Annotated[
    bool, typer.Option("--no-waitlist", help="Refuse a full course instead of queueing.")
]
AllOrNoneOption = Annotated[
    bool, typer.Option("--all-or-none", help="Apply nothing when one course is refused.")
]


def _submit(
    cli: Cli,
    action: Any,
    student: str,
    courses: list[str],
    *,
    reason: str | None,
    policy: dict[str, bool],
    **change: Any,
) -> None:
    from studentcli import values

    reason = None if reason is None else values.reason(reason)
    request = _request(action, student, courses, reason=reason, **change)
    act = cli.act(action, reason=reason)
    cli.show_decisions([cli.carry_out(request, act, cli.policy(act, **policy))])


def _request(
    action: Any,
    student: str,
    courses: list[str],
    *,
    on: str | None,
    reason: str | None,
    override: list[str] | None = None,
    grade: str | None = None,
    instead_of: str | None = None,
) -> "Request":
    """Make the request of a student from what was typed."""
    from studentcli import errors, values
    from studentcli.formats.native import read_overrides
    from studentcli.requests import Change, CourseWord, Request

    effective_on = None if on is None else values.iso_date(on)
    overrides = read_overrides(override or [], reason)
    words = [CourseWord(values.identifier(word)) for word in dict.fromkeys(courses)]
    changes = [Change(action, word, effective_on, grade, reason, overrides) for word in words]
    if instead_of is not None:
        if len(changes) != 1:
            raise errors.Usage("--instead-of takes one course", hint="swap them one at a time")
        changes[0].instead_of = CourseWord(values.identifier(instead_of))
    return Request(values.identifier(student), changes)


def _enroll_cohort(
    cli: Cli, students: list[str], courses: list[str], policy: dict[str, bool], **change: Any
) -> None:
    """Enroll every student in every course."""
    from studentcli import values
    from studentcli.cli import cohorts

    reason = change.pop("reason")
    reason = None if reason is None else values.reason(reason)
    requests = [_request("enroll", s, courses, reason=reason, **change) for s in students]
    act = cli.act("enroll", reason=reason)
    cohorts.carry_out(cli, requests, act, cli.policy(act, **policy))


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""

    @command(app, writes=True, panel=PANEL)
    def enroll(
        cli: Cli,
        student: OptionalStudent = None,
        courses: OptionalCourses = None,
        *,
        on: OnOption = None,
        reason: ReasonOption = None,
        override: OverrideOption = None,
        no_waitlist: NoWaitlistOption = False,
        instead_of: InsteadOfOption = None,
        all_or_none: AllOrNoneOption = False,
        strict: StrictOption = False,
        students: StudentList = None,
        course_list: CourseList = None,
    ) -> None:
        """Enroll students in courses.

        Example: studentcli enroll S1042 CS101 MATH200

        Example: studentcli enroll S1042 MATH200 --instead-of CS101

        Example: studentcli enroll --students @class.csv --courses CS101,MATH200
        """
        policy = {
            "all_or_none": all_or_none,
            "allow_waitlist": not no_waitlist,
            "strict": strict,
        }
        change: dict[str, Any] = {
            "on": on,
            "reason": reason,
            "override": override,
            "instead_of": instead_of,
        }
        if students is None and course_list is None and student and courses:
            _submit(cli, "enroll", student, courses, policy=policy, **change)
            return
        from studentcli.cli.cohorts import read_list

        who = read_list(student, students, "student")
        if courses and course_list is None:
            what = courses
        else:
            what = read_list(courses[0] if courses else None, course_list, "course")
        _enroll_cohort(cli, who, what, policy, **change)

    @command(app, writes=True, panel=PANEL)
    def drop(
        cli: Cli,
        student: StudentArgument,
        courses: CoursesArgument,
        *,
        on: OnOption = None,
        reason: ReasonOption = None,
        override: OverrideOption = None,
        strict: StrictOption = False,
        all_or_none: AllOrNoneOption = False,
    ) -> None:
        """Drop courses; nothing stays on the transcript.

        Example: studentcli drop S1042 CS101
        """
        _submit(
            cli, "drop", student, courses, on=on, reason=reason, override=override,
            policy={"all_or_none": all_or_none, "strict": strict},
        )  # fmt: skip

    @command(app, writes=True, panel=PANEL)
    def withdraw(
        cli: Cli,
        student: StudentArgument,
        courses: CoursesArgument,
        *,
        on: OnOption = None,
        reason: ReasonOption = None,
        override: OverrideOption = None,
        strict: StrictOption = False,
        all_or_none: AllOrNoneOption = False,
    ) -> None:
        """Withdraw from courses; the transcript shows a W.

        Example: studentcli withdraw S1042 CS101
        """
        _submit(
            cli, "withdraw", student, courses, on=on, reason=reason, override=override,
            policy={"all_or_none": all_or_none, "strict": strict},
        )  # fmt: skip

    @command(app, writes=True, panel=PANEL)
    def complete(
        cli: Cli,
        student: StudentArgument,
        courses: CoursesArgument,
        *,
        grade: Annotated[str, typer.Option("--grade", metavar="GRADE", help="Such as B+.")],
        on: OnOption = None,
        reason: ReasonOption = None,
        all_or_none: AllOrNoneOption = False,
    ) -> None:
        """Record a grade.

        Example: studentcli complete S1042 CS101 --grade B+
        """
        from studentcli import values

        _submit(
            cli, "complete", student, courses, on=on, reason=reason, grade=values.grade(grade),
            policy={"all_or_none": all_or_none},
        )  # fmt: skip
