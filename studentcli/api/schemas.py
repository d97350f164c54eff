"""What requests hold and what answers look like, in the registrar's words."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
TEXT = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""No control characters. What else no name can hold names nobody, and is not found."""


def _digits(value: Any) -> Any:
    # pydantic would also read +1, " 1", 1_000 and Arabic digits. With zeros in front it is more
    # likely a student number than an id, and would mean another student.
    if isinstance(value, str) and not _ID.fullmatch(value):
        raise PydanticCustomError(
            "malformed_id", "is no id: expected digits without a zero in front, such as 12"
        )
    return value


# 2^63 and not 2^63-1 as the bound: OpenAPI's numbers are floats, and this one is exact.
Id = Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_digits)]
StudentId = Annotated[Id, Path(description="The student's database id.")]
CourseId = Annotated[Id, Path(description="The course's database id.")]
TermCode = Annotated[
    str | SkipJsonSchema[None],  # left out is none, but nobody can send null
    Query(min_length=1, max_length=64, pattern=TEXT, description="Only this term, such as 2026FA."),
]
StudentNumber = Annotated[
    str,
    Query(
        min_length=1,
        max_length=64,
        pattern=TEXT,
        description="The student number, such as S1042 or 00731.",
    ),
]
CourseRef = Annotated[
    str,
    Query(
        min_length=1,
        max_length=64,
        pattern=TEXT,
        description="The course: 2026FA/CS101-002, CS101-002 or CS101.",
    ),
]

Status = Literal["enrolled", "waitlisted", "dropped", "withdrawn", "completed"]


class Model(BaseModel):
    """A body, in which nothing unexpected may stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EnrollRequest(Model):
    """What to enroll the student in."""

    course_id: int = Field(
        strict=True,
        ge=1,
        lt=2**63,
        description="The course's database id: a JSON integer, neither text nor 12.0.",
        examples=[12],
    )


class StudentKey(Model):
    """Which student."""

    student_id: int
    student_number: str = Field(examples=["S1042"])


class CourseKey(Model):
    """Which course."""

    course_id: int
    course_ref: str = Field(description="TERM/CODE-SECTION.", examples=["2026FA/CS101-001"])


class Standing(Model):
    """How a student stands in a course."""

    status: Status = Field(description="How the student stands in the course.")
    position: int | None = Field(
        description="The place in the waitlist, 1 = next; null unless waitlisted."
    )
    enrolled_on: date = Field(description="The day of the last enrollment, in the term's zone.")
    status_since: date = Field(description="The day from which the status counts.")


class Enrollment(Standing, CourseKey, StudentKey):
    """One student in one course, and what the change did to others."""

    promoted: list[str] = Field(
        description="Numbers of the other students whom the waitlist gave a seat by this change."
    )


class CourseOfStudent(Standing, CourseKey):
    """One course of a student."""

    title: str
    credits: float = Field(description="Credit hours.")
    grade: str | None = Field(description="Null unless completed.")


class StudentCourseList(StudentKey):
    """A student's courses in every state, by term, code and section."""

    courses: list[CourseOfStudent]


class Student(StudentKey):
    """A student, without name or address: this door does not know yet who asks."""

    status: Literal["active", "inactive"]


class Course(CourseKey):
    """A course offering with its seats."""

    term: str
    code: str
    section: str
    title: str
    credits: float = Field(description="Credit hours.")
    status: Literal["open", "closed", "cancelled"]
    capacity: int | None = Field(description="Seats; null = unlimited.")
    taken: int = Field(description="Seats taken, by enrolled and completed students.")
    waitlist_capacity: int = Field(description="Places in the waitlist; 0 = no waitlist.")
    waiting: int = Field(description="Students in the waitlist.")


class RosterEntry(Standing, StudentKey):
    """One student of a course."""


class Roster(Course):
    """A course and its students: enrolled, completed, then the waitlist by place."""

    students: list[RosterEntry]


class Health(Model):
    """The service works: its database is reachable and has the right schema."""

    status: Literal["ok"]
    schema_revision: str = Field(examples=["0002"])
    version: str = Field(description="Of studentcli.")
