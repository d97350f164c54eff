"""Everything that can be refused or go wrong, as one tree with stable codes.

A leaf is named as the registrar says it. `code` and `exit_status` are what people script
against: they never change once released. Two places catch this tree: the boundary of the
command line and that of HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studentcli.errors.base import ExitStatus as ExitStatus
from studentcli.errors.base import StudentcliError as StudentcliError

# ── not found, ambiguous ─────────────────────────────────────────────────────────────────


class NotFound(StudentcliError):
    """A word names nothing, or more than one thing."""

    code = "not-found"
    exit_status = ExitStatus.NOT_FOUND
    http_status = 404


class UnknownStudent(NotFound):
    """No student has this number."""

    code = "unknown-student"
    default_hint = "studentcli student list shows the students"


class UnknownCourse(NotFound):
    """No course answers to this word."""

    code = "unknown-course"
    default_hint = "studentcli courses lists the courses"


class UnknownTerm(NotFound):
    """No term has this code, or today belongs to none or to several."""

    code = "unknown-term"
    default_hint = "name a term with --term; studentcli term list shows them"


class UnknownOperation(NotFound):
    """No operation has this number."""

    code = "unknown-operation"
    default_hint = "studentcli history lists the operations"


class UnknownHold(NotFound):
    """No hold has this number."""

    code = "unknown-hold"
    default_hint = "studentcli hold list shows the holds"


class UnknownOverride(NotFound):
    """No override has this number."""

    code = "unknown-override"
    default_hint = "studentcli override list shows the overrides"


class AmbiguousCourse(NotFound):
    """The word names several courses."""

    code = "ambiguous-course"
    http_status = 409
    default_hint = "write the course as TERM/CODE-SECTION"


# ── refused by a rule ────────────────────────────────────────────────────────────────────


class Refused(StudentcliError):
    """A rule forbids the change."""

    code = "refused"
    exit_status = ExitStatus.REFUSED
    http_status = 409


class StudentInactive(Refused):
    """An inactive student takes no seat."""

    code = "student-inactive"


class CourseClosed(Refused):
    """A closed or cancelled course takes nobody."""

    code = "course-closed"


class CourseFull(Refused):
    """No seat is free and the course has no waitlist to join."""

    code = "course-full"


class WaitlistFull(Refused):
    """No seat is free and the waitlist has reached its capacity."""

    code = "waitlist-full"


class HoldOnRecord(Refused):
    """A hold on the student blocks it, until it ends or is lifted."""

    code = "hold"


class WindowClosed(Refused):
    """The enroll window is not open on that day."""

    code = "window-closed"


class DropDeadline(Refused):
    """The last day for drops is over; a withdrawal leaves a W."""

    code = "drop-deadline"


class WithdrawDeadline(Refused):
    """The last day for withdrawals is over."""

    code = "withdraw-deadline"


class Restricted(Refused):
    """The course takes only students with other tags."""

    code = "restricted"


class PrerequisiteMissing(Refused):
    """What the course requires has not been passed."""

    code = "prerequisite-missing"


class CorequisiteMissing(Refused):
    """The course is taken together with another one."""

    code = "corequisite-missing"


class TimeConflict(Refused):
    """The course meets while another one of the student does."""

    code = "time-conflict"


class CreditLoad(Refused):
    """The student would have more credit hours in the term than allowed."""

    code = "credit-load"


class DuplicateSection(Refused):
    """The student is in another section of the same code in the term."""

    code = "duplicate-section"


class RepeatLimit(Refused):
    """The student has completed the code as often as it may be taken."""

    code = "repeat-limit"


class SeatReserved(Refused):
    """The free seats are reserved for students with a tag."""

    code = "seat-reserved"


class WaitlistLimit(Refused):
    """The student is on as many waitlists of the term as allowed."""

    code = "waitlist-limit"


class AlreadyWithdrawn(Refused):
    """The student has withdrawn from the course; the transcript shows a W."""

    code = "already-withdrawn"


class AlreadyCompleted(Refused):
    """The student has completed the course."""

    code = "already-completed"


class NotEnrolled(Refused):
    """The student is not enrolled in the course."""

    code = "not-enrolled"
    http_status = 404


class NotApplied(Refused):
    """Another change of an all-or-none request was refused."""

    code = "not-applied"


class AlreadyExists(Refused):
    """The key is taken by a record that says something else."""

    code = "already-exists"


class InUse(Refused):
    """What others depend on cannot be changed in this way."""

    code = "in-use"


class ChangedSince(Refused):
    """What is to be undone was changed since, or does not fit what is around it any more."""

    code = "changed-since"
    default_hint = "studentcli history shows the changes; --skip-changed leaves them out"


class SupersededChange(Refused):
    """A dated change is older than what is recorded (only an error with --strict)."""

    code = "superseded"


# ── values and files ─────────────────────────────────────────────────────────────────────


class BadValue(Refused):
    """A value cannot be read or is out of range."""

    code = "bad-value"
    http_status = 422


class UnknownGrade(BadValue):
    """The grade is missing or is no grade."""

    code = "unknown-grade"


class MalformedId(BadValue):
    """A number or code holds characters that none can hold."""

    code = "malformed-id"
    exit_status = ExitStatus.USAGE


class OutsideScope(BadValue):
    """A row of a sync is about a course outside its scope."""

    code = "outside-scope"


class RowsDisagree(BadValue):
    """Two rows of a sync say different things of one enrollment."""

    code = "rows-disagree"
    default_hint = "leave one of the rows out, or let the last one count with --last-wins"


class Usage(StudentcliError):
    """The command was called in a way that cannot be carried out."""

    code = "usage"
    exit_status = ExitStatus.USAGE
    http_status = 422


class FileUnreadable(Usage):
    """The file as a whole cannot be read: encoding, header, quotes, kind of file."""

    code = "file-unreadable"


class OutputFailed(StudentcliError):
    """The output cannot be written, for example because the disk is full."""

    code = "output-failed"


class BatchRefused(StudentcliError):
    """A file was read to its end and some of its rows were refused."""

    code = "batch-refused"
    exit_status = ExitStatus.BATCH_REFUSED
    http_status = 409


class PlanMoved(StudentcliError):
    """A decision is no longer what was planned; nothing was changed."""

    code = "plan-moved"
    exit_status = ExitStatus.GUARD
    http_status = 409
    default_hint = "studentcli plan decides anew, on what is there now"


class AnotherFile(StudentcliError):
    """The file is not the one that was planned, or that the run id was used for."""

    code = "another-file"
    exit_status = ExitStatus.GUARD
    http_status = 409


class TooManyDrops(StudentcliError):
    """A sync would drop more of the enrollments in its scope than it may; nothing was changed."""

    code = "too-many-drops"
    exit_status = ExitStatus.GUARD
    http_status = 409
    figures: Sequence[Mapping[str, Any]] = ()
    """What it went by: rows of the scope and of the courses that would lose somebody."""


class EmptyFile(StudentcliError):
    """The file of a sync has no rows; nothing was changed."""

    code = "empty-file"
    exit_status = ExitStatus.GUARD
    http_status = 409
    default_hint = "--allow empty-file lets it be the truth: nobody is enrolled"


class OlderFile(StudentcliError):
    """The file of a sync is older than the last one of its scope; nothing was changed."""

    code = "older-file"
    exit_status = ExitStatus.GUARD
    http_status = 409
    default_hint = "sync the newest file; --allow older-file takes this one"


# ── the database ─────────────────────────────────────────────────────────────────────────


class Busy(StudentcliError):
    """Somebody else holds what the command needs."""

    code = "busy"
    exit_status = ExitStatus.BUSY
    http_status = 503
    default_hint = "try again, or wait longer with --wait SECONDS"


class DatabaseUnavailable(StudentcliError):
    """The database cannot be reached, read or written."""

    code = "database-unavailable"
    exit_status = ExitStatus.DATABASE
    http_status = 503


class DatabaseMissing(DatabaseUnavailable):
    """The database file does not exist."""

    code = "database-missing"


class SchemaMismatch(DatabaseUnavailable):
    """The database's schema is not the one this version works with."""

    code = "schema-mismatch"


class DatabaseDamaged(DatabaseUnavailable):
    """The database holds what the rules cannot have written."""

    code = "database-damaged"
    default_hint = "restore a backup, or mend the rows by hand and run studentcli db check again"


def all_errors(root: type[StudentcliError] = StudentcliError) -> list[type[StudentcliError]]:
    """List every class of the tree below `root`, parents before children."""
    found: list[type[StudentcliError]] = []
    for child in root.__subclasses__():
        found.append(child)
        found.extend(all_errors(child))
    return found


BY_CODE: dict[str, type[StudentcliError]] = {error.code: error for error in all_errors()}
