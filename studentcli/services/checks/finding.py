"""What the doctor says, and how it goes through tables that do not fit into memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Executable, select
from sqlalchemy.orm import Session

from studentcli.models import Course, Student, Term
from studentcli.records import COURSE, STUDENT, RecordKind

CHUNK: Final = 10_000
BY_HAND: Final = "restore a backup, or mend the row by hand"

Severity = Literal["damage", "attention"]
"""`damage`: what no command can have written. `attention`: what came about in an allowed way, or
with time, and is not as the rules would have it today."""

Key = TypeVar("Key", int, tuple[int, int])
Left = TypeVar("Left")
Right = TypeVar("Right")


@dataclass(frozen=True)
class Finding:
    """Something that should not be, and the command that mends it."""

    check: str
    subject: str
    finding: str
    mend: str = BY_HAND
    severity: Severity = "damage"

    def as_row(self) -> dict[str, str]:
        """Give the finding as a row of a listing."""
        return {
            "check": self.check,
            "subject": self.subject,
            "finding": self.finding,
            "severity": self.severity,
            "mend": self.mend,
        }


def attention(check: str, subject: str, finding: str, mend: str) -> Finding:
    """Find something that is no damage."""
    return Finding(check, subject, finding, mend, "attention")


# ── names ────────────────────────────────────────────────────────────────────────────────


def name_student(session: Session, student_id: int) -> str | None:
    """Give the number of a student, or none when the student does not exist."""
    return session.scalar(select(Student.student_number).where(Student.id == student_id))


def name_course(session: Session, course_id: int) -> str | None:
    """Give a course as TERM/CODE-SECTION, or none when it does not exist."""
    ref = Term.code + "/" + Course.code + "-" + Course.section
    query = select(ref).join(Course, Course.term_id == Term.id).where(Course.id == course_id)
    return session.scalar(query)


def name_record(session: Session, kind: RecordKind, record_id: int) -> str | None:
    """Give the word by which people know a record, or none when it has none."""
    if kind is STUDENT:
        return name_student(session, record_id)
    if kind is COURSE:
        return name_course(session, record_id)
    return session.scalar(select(Term.code).where(Term.id == record_id))


def name_enrollment(session: Session, student_id: int, course_id: int) -> str:
    """Name an enrollment, also one whose student or course is gone."""
    number = name_student(session, student_id) or f"student id {student_id}"
    return f"{number} in {name_course(session, course_id) or f'course id {course_id}'}"


# ── streams ──────────────────────────────────────────────────────────────────────────────


def stream(session: Session, query: Executable) -> Iterator[Any]:
    """Give the rows of a query, a chunk at a time."""
    return iter(session.execute(query, execution_options={"yield_per": CHUNK}))


def merge(
    left: Iterable[tuple[Key, Left]], right: Iterable[tuple[Key, Right]]
) -> Iterator[tuple[Key, Left | None, Right | None]]:
    """Pair two streams that are sorted by key; none stands for what one of them lacks."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None  # noqa: S101  (the loop looks)
            yield one[0], one[1], None
            one = next(lefts, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(rights, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(lefts, None), next(rights, None)
