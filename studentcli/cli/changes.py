"""enroll, drop, withdraw, complete: one student and the courses named, as one request."""

from typing import Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import CoursesArgument, ReasonOption, StudentArgument
from studentcli.cli.context import Cli
from studentcli.cli.framework import command

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
AllOrNoneOption = Annotated[
    bool, typer.Option("--all-or-none", help="Apply nothing when one course is refused.")
]


def _submit(
    cli: Cli,
    action: Any,
    student: str,
    courses: list[str],
    *,
    on: str | None,
    reason: str | None,
    override: list[str] | None = None,
    grade: str | None = None,
    instead_of: str | None = None,
    **policy: bool,
) -> None:
    from studentcli import errors, values
    from studentcli.formats.native import read_overrides
    from studentcli.requests import Change, CourseWord, Request

    effective_on = None if on is None else values.iso_date(on)
    reason = None if reason is None else values.reason(reason)
    overrides = read_overrides(override or [], reason)
    words = [CourseWord(values.identifier(word)) for word in dict.fromkeys(courses)]
    changes = [Change(action, word, effective_on, grade, reason, overrides) for word in words]
    if instead_of is not None:
        if len(changes) != 1:
            raise errors.Usage("--instead-of takes one course", hint="swap them one at a time")
        changes[0].instead_of = CourseWord(values.identifier(instead_of))
    request = Request(values.identifier(student), changes)
    act = cli.act(action, reason=reason)
    decision = cli.carry_out(request, act, cli.policy(act, **policy))
    cli.show_decisions([decision])


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""

    @command(app, writes=True, panel=PANEL)
    def enroll(
        cli: Cli,
        student: StudentArgument,
        courses: CoursesArgument,
        *,
        on: OnOption = None,
        reason: ReasonOption = None,
        override: OverrideOption = None,
        no_waitlist: Annotated[
            bool, typer.Option("--no-waitlist", help="Refuse a full course instead of queueing.")
        ] = False,
        instead_of: InsteadOfOption = None,
        all_or_none: AllOrNoneOption = False,
    ) -> None:
        """Enroll a student in courses.

        Example: studentcli enroll S1042 CS101 MATH200

        Example: studentcli enroll S1042 MATH200 --instead-of CS101
        """
        _submit(
            cli, "enroll", student, courses, on=on, reason=reason, override=override,
            instead_of=instead_of, all_or_none=all_or_none, allow_waitlist=not no_waitlist,
        )  # fmt: skip

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
            all_or_none=all_or_none, strict=strict,
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
            all_or_none=all_or_none, strict=strict,
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
            all_or_none=all_or_none,
        )  # fmt: skip
