"""The tables. Every constraint has a name; statuses and ranges are checked by the database."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from studentcli.column_types import Day, Hours, Id, UtcDateTime, Whole
from studentcli.vocabulary import (
    COURSE_STATUSES,
    ENROLLMENT_STATUSES,
    HOLD_BLOCKS,
    OPERATION_OUTCOMES,
    STUDENT_STATUSES,
)


class Base(DeclarativeBase):
    """The declarative base; its naming convention names every constraint."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (read once by SQLAlchemy)
        str: Text,
        date: Day,
        datetime: UtcDateTime,
        Decimal: Hours,
        dict[str, Any]: JSON(none_as_null=True),
    }


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Student(Base):
    """A person who can be enrolled, known to people by the student number."""

    __tablename__ = "students"
    __table_args__ = (
        UniqueConstraint("student_number"),
        _one_of("status", STUDENT_STATUSES),
        CheckConstraint("max_credit_hours >= 0", name="max_credit_hours"),
    )

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str | None]
    """The name as tables from before enrollment hold it; kept as it was, never written."""
    email: Mapped[str | None]
    student_number: Mapped[str]
    given_name: Mapped[str]
    family_name: Mapped[str]
    status: Mapped[str]
    max_credit_hours: Mapped[Decimal | None]
    created_at: Mapped[datetime]
    tags: Mapped[str | None]
    """What restrictions and reserved seats look at, as `conditions.read_tags` gives it."""

    enrollments: Mapped[list["StudentCourses"]] = relationship(
        back_populates="student", lazy="raise"
    )


class Term(Base):
    """An academic period with its calendar; dates are inclusive, in the term's time zone."""

    __tablename__ = "terms"
    __table_args__ = (
        UniqueConstraint("code"),
        CheckConstraint("ends_on >= starts_on", name="runs_forward"),
        CheckConstraint("enroll_until >= enroll_from", name="window_forward"),
        CheckConstraint("max_credits >= 0", name="max_credits"),
        CheckConstraint("max_waitlists >= 0", name="max_waitlists"),
    )

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str]
    name: Mapped[str]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    enroll_from: Mapped[date | None]
    enroll_until: Mapped[date | None]
    drop_until: Mapped[date | None]
    withdraw_until: Mapped[date | None]
    max_credits: Mapped[Decimal | None]
    time_zone: Mapped[str]
    grades: Mapped[str | None]
    """The grade scale, as `grades.read_scale` gives it; none = the usual one."""
    max_waitlists: Mapped[int | None] = mapped_column(Whole)
    """How many waitlists of the term a student may be on; none = any number."""

    courses: Mapped[list["Course"]] = relationship(back_populates="term", lazy="raise")


class Course(Base):
    """An offering that students enroll in: term + code + section."""

    __tablename__ = "courses"
    __table_args__ = (
        UniqueConstraint("term_id", "code", "section"),
        Index(None, "code"),
        _one_of("status", COURSE_STATUSES),
        CheckConstraint("credit_hours >= 0", name="credit_hours"),
        CheckConstraint("capacity >= 0", name="capacity"),
        CheckConstraint("waitlist_capacity >= 0", name="waitlist_capacity"),
        CheckConstraint("repeats >= 0", name="repeats"),
        CheckConstraint("enroll_until >= enroll_from", name="window_forward"),
    )

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    title: Mapped[str]
    term_id: Mapped[int] = mapped_column(Id, ForeignKey("terms.id", ondelete="RESTRICT"))
    code: Mapped[str]
    section: Mapped[str]
    credit_hours: Mapped[Decimal]
    capacity: Mapped[int | None] = mapped_column(Whole)
    """Seats; none = unlimited."""
    waitlist_capacity: Mapped[int] = mapped_column(Whole)
    status: Mapped[str]
    # What the rules read, in the canonical text of `conditions` and `meetings`.
    requires: Mapped[str | None]
    corequisites: Mapped[str | None]
    meetings: Mapped[str | None]
    restricted: Mapped[str | None]
    reserved: Mapped[str | None]
    repeats: Mapped[int | None] = mapped_column(Whole)
    """How often a student who has completed the code may take it again; none = any number."""
    # The course's own calendar, where it differs from the term's.
    enroll_from: Mapped[date | None]
    enroll_until: Mapped[date | None]
    drop_until: Mapped[date | None]
    withdraw_until: Mapped[date | None]

    term: Mapped[Term] = relationship(back_populates="courses", lazy="raise")
    enrollments: Mapped[list["StudentCourses"]] = relationship(
        back_populates="course", lazy="raise"
    )


class StudentCourses(Base):
    """The state of one student in one course: the many-to-many of students and courses."""

    __tablename__ = "student_courses"
    __table_args__ = (
        Index(None, "course_id", "status"),
        _one_of("status", ENROLLMENT_STATUSES),
        CheckConstraint("(status = 'waitlisted') = (queue_place IS NOT NULL)", name="queue_place"),
        CheckConstraint("instead_of_id IS NULL OR status = 'waitlisted'", name="instead_of_id"),
    )

    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    status: Mapped[str]
    enrolled_on: Mapped[date]
    """The date of the add that led to this state; a promotion keeps it."""
    status_since: Mapped[date]
    queue_place: Mapped[int | None] = mapped_column(Integer)
    """The queue key of the waitlist: lower is earlier; gaps are normal."""
    grade: Mapped[str | None]
    instead_of_id: Mapped[int | None] = mapped_column(Id)
    """The course that is given up when the queue gives a seat. No foreign key: it is none in nearly
    every row, and would cost every load; `db check` looks instead."""

    student: Mapped[Student] = relationship(back_populates="enrollments", lazy="raise")
    course: Mapped[Course] = relationship(back_populates="enrollments", lazy="raise")


class Hold(Base):
    """What blocks a student's registration, from a day until another or until it is lifted."""

    __tablename__ = "holds"
    __table_args__ = (
        Index(None, "student_id"),
        _one_of("blocks", HOLD_BLOCKS),
        CheckConstraint("until_on >= from_on", name="runs_forward"),
    )

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    student_id: Mapped[int] = mapped_column(Id, ForeignKey("students.id", ondelete="RESTRICT"))
    kind: Mapped[str]
    blocks: Mapped[str]
    reason: Mapped[str]
    from_on: Mapped[date]
    until_on: Mapped[date | None]
    """The last day; none = until it is lifted."""
    placed_by: Mapped[str]
    placed_at: Mapped[datetime]
    lifted_by: Mapped[str | None]
    lifted_at: Mapped[datetime | None]


class Override(Base):
    """Permission to break one rule for one student in one course."""

    __tablename__ = "overrides"
    __table_args__ = (Index(None, "student_id", "course_id"),)

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    student_id: Mapped[int] = mapped_column(Id, ForeignKey("students.id", ondelete="RESTRICT"))
    course_id: Mapped[int] = mapped_column(Id, ForeignKey("courses.id", ondelete="RESTRICT"))
    rule: Mapped[str]
    reason: Mapped[str]
    until_on: Mapped[date | None]
    """The last day on which it counts; none = until it is revoked."""
    granted_by: Mapped[str]
    granted_at: Mapped[datetime]
    revoked_by: Mapped[str | None]
    revoked_at: Mapped[datetime | None]


class Operation(Base):
    """One act of somebody: a command, a request over HTTP, a batch."""

    __tablename__ = "operations"
    __table_args__ = (UniqueConstraint("request_key"), _one_of("outcome", OPERATION_OUTCOMES))

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    kind: Mapped[str]
    channel: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str | None]
    source: Mapped[str | None]
    source_sha256: Mapped[str | None] = mapped_column(Text, index=True)
    request_key: Mapped[str | None]
    outcome: Mapped[str]
    undone_by: Mapped[int | None] = mapped_column(
        Id, ForeignKey("operations.id", ondelete="RESTRICT")
    )
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    totals: Mapped[dict[str, Any]]


class EnrollmentEvent(Base):
    """One recorded change or refusal: append-only, outlives what it describes (no foreign keys)."""

    __tablename__ = "enrollment_events"
    __table_args__ = (
        Index(None, "student_id", "course_id"),
        Index(None, "course_id"),
        Index(None, "operation_id"),
    )

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    operation_id: Mapped[int] = mapped_column(Id)
    line: Mapped[int | None] = mapped_column(Integer)
    student_id: Mapped[int | None] = mapped_column(Id)
    course_id: Mapped[int | None] = mapped_column(Id)
    action: Mapped[str]
    from_status: Mapped[str | None]
    to_status: Mapped[str | None]
    queue_place: Mapped[int | None] = mapped_column(Integer)
    grade: Mapped[str | None]
    code: Mapped[str | None]
    effective_on: Mapped[date | None]
    recorded_at: Mapped[datetime]
    detail: Mapped[str | None]


class CatalogEvent(Base):
    """One recorded change of a student, term or course record: append-only."""

    __tablename__ = "catalog_events"
    __table_args__ = (Index(None, "operation_id"), Index(None, "kind", "record_id"))

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    operation_id: Mapped[int] = mapped_column(Id)
    line: Mapped[int | None] = mapped_column(Integer)
    kind: Mapped[str]
    record_id: Mapped[int] = mapped_column(Id)
    action: Mapped[str]
    changes: Mapped[dict[str, Any]]
    """Field name → [before, after], as text."""
    recorded_at: Mapped[datetime]


def complete_metadata() -> MetaData:
    """Give the metadata with what only the schema needs: the index that keeps places apart.

    Declared here and not in the class: naming a dialect in an index loads that dialect, and
    every command would pay for PostgreSQL's.
    """
    name = "uq_student_courses_course_id_queue_place"
    table = Base.metadata.tables["student_courses"]
    if name not in {index.name for index in table.indexes}:
        queued = text("queue_place IS NOT NULL")
        Index(
            name,
            table.c.course_id,
            table.c.queue_place,
            unique=True,
            sqlite_where=queued,
            postgresql_where=queued,
        )
    return Base.metadata
