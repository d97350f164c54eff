"""The arguments that several commands share, each with its help and its completion."""

from typing import Annotated

import typer

from studentcli import errors
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
OptionalStudentArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDENT]",
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


def record_number(text: str, of: str, hint: str) -> int:
    """Read the number of a record: digits alone, as the listings write it.

    Args:
        text: as typed.
        of: what it is the number of, with its article.
        hint: the command that shows the numbers.

    Raises:
        errors.Usage: for anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):
        raise errors.Usage(f"{text!r} is no number of {of}", hint=hint)
    return int(text)
