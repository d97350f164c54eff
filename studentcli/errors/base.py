"""The root of the tree, and the exit codes of every command."""

from enum import IntEnum
from typing import ClassVar, Self


class ExitStatus(IntEnum):
    """The exit codes of every command, each with its meaning in the registrar's words."""

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a number that carries its meaning."""
        status = int.__new__(cls, number)
        status._value_ = number
        status.meaning = meaning
        return status

    DONE = 0, "done, or already so"
    UNEXPECTED = 1, "unexpected"
    USAGE = 2, "the command line or the file cannot be read"
    NOT_FOUND = 3, "not found, or ambiguous"
    REFUSED = (
        4,
        "refused by a rule (the others are applied unless --all-or-none), or a value that is none",
    )
    BUSY = 5, "busy: somebody else holds what is needed; try again"
    BATCH_REFUSED = 6, "a file was read and some of its rows were refused"
    DATABASE = 7, "the database is unavailable or not migrated"
    GUARD = 8, "held by a guard"
    INTERRUPTED = 130, "interrupted; rolled back"
    TERMINATED = 143, "terminated; rolled back"


class StudentcliError(Exception):
    """A problem that the user can act upon.

    Args:
        message: one sentence without a full stop, naming the thing that is wrong.
        hint: the next command to try; the class's own hint when left out.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED
    http_status: ClassVar[int] = 500
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
