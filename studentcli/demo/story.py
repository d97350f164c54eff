"""What the demo shows, step by step.

The terms have no enroll window and no deadlines: the story must come out the same on any day.
Every command can be typed again after the end and gives the same exit code: whoever drops a course
finds a place in its queue when the file is imported again, and the queue of the refusal stays full.
"""

from dataclasses import dataclass
from typing import Final

from studentcli.errors import ExitStatus

TERM: Final = "2026FA"
"""The term that the story is about; its commands need not name it."""


@dataclass(frozen=True)
class Step:
    """One command of the story.

    Args:
        words: what the reader is told before it.
        command: the command line without the program's name; `{folder}` stands for the folder.
        exit_status: how it ends.
        shows: whether it takes a format, so that a pipe can show a table too.
    """

    words: str
    command: str
    exit_status: ExitStatus = ExitStatus.DONE
    shows: bool = True

    def arguments(self, folder: str, fmt: str | None) -> list[str]:
        """Give the command line.

        Args:
            folder: as it is typed in front of a file's name.
            fmt: the format to name; none leaves it to the command.
        """
        words = [word.format(folder=folder) for word in self.command.split()]
        return [*words, "--format", fmt] if self.shows and fmt else words


FIRST: Final = Step("A database is one file.", "db init", shows=False)
"""What makes the database."""

STORY: Final = (
    Step("Two terms, twelve courses, 32 students.", "import {folder}/terms.csv", shows=False),
    Step("", "import {folder}/courses.csv", shows=False),
    Step("", "import {folder}/students.csv", shows=False),
    Step(
        "A file enrolls many at once, by the rules that a typed command obeys.",
        "import {folder}/enrollments.csv",
        shows=False,
    ),
    Step("The courses of the term. Two are full, and students wait for them.", "courses"),
    Step("A drop: the first in the queue gets the seat.", "drop S1032 ART130"),
    Step("Ada King takes two courses; for the full one she joins the queue.",
         "enroll S1042 MATH210 PSY110-001"),
    Step("Doing it again does no harm.", "enroll S1042 MATH210"),
    Step("What she has now.", "courses S1042"),
    Step("Who sits in the full course, and who waits in which order.", "roster PSY110-001"),
    Step("One more is refused. The hint says what to try.", "enroll S1033 PSY110-001",
         ExitStatus.REFUSED),
    Step("So the other section it is.", "enroll S1033 PSY110-002"),
    Step("Everything is on record: who did what, and when.", "history --student S1042"),
)  # fmt: skip
"""What happens in it."""

NEXT: Final = (
    "studentcli courses S1011",
    "studentcli enroll S1020 CS101-002 --dry-run",
    "studentcli history",
    "studentcli --help",
)
"""What the reader could try afterwards."""
