"""The arguments that several commands share, each with its help and its completion."""

from typing import Annotated

import typer

from studentcli.cli import complete

StudentArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDENT",
        help="Student number.",
        show_default=False,
        autocompletion=complete.students,
    ),
]
CourseArgument = Annotated[
    str,
    typer.Argument(
        metavar="COURSE",
        help="CS101, CS101-002 or 2026FA/CS101-002.",
        show_default=False,
        autocompletion=complete.courses,
    ),
]
CoursesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="COURSE...",
        help="CS101, CS101-002 or 2026FA/CS101-002.",
        show_default=False,
        autocompletion=complete.courses,
    ),
]
CodeArgument = Annotated[
    str,
    typer.Argument(
        metavar="TERM",
        help="Code of the term, such as 2026FA.",
        show_default=False,
        autocompletion=complete.terms,
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; recorded with the change.")
]
