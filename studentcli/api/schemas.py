"""What requests hold and what answers look like, in the registrar's words."""

import re
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_ID: Final = 2**63 - 1
TEXT: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""No control characters. What else no name can hold names nobody, and is not found."""


def _decimals_up_to(limit: int) -> str:
    """Write the pattern of the decimal numbers from 1 to a limit of more than one digit."""
    digits = str(limit)
    size = len(digits)
    below = [
        f"{digits[:at]}[{0 if at else 1}-{int(digit) - 1}][0-9]{{{size - at - 1}}}"
        for at, digit in enumerate(digits)
        if int(digit) > (0 if at else 1)
    ]
    return f"^({'|'.join([f'[1-9][0-9]{{0,{size - 2}}}', *below, digits])})$"


ID_TEXT: Final = _decimals_up_to(MAX_ID)
_ID: Final = re.compile(ID_TEXT.rstrip("$"), re.ASCII)


def _id(value: Any) -> Any:
    # pydantic would also read +1, " 1", 1_000, 1.0 and Arabic digits. With zeros in front it is
    # more likely a student number than an id, and would mean another student.
    if not _ID.fullmatch(value):
        raise PydanticCustomError(
            "malformed_id", f"is no id: expected digits, 1 to {MAX_ID}, without a zero in front"
        )
    return int(value)


def _whole(value: Any) -> Any:
    # To JSON, and to OpenAPI's "integer", 12.0 is the number 12. Beyond 2^53 a float may already
    # be another id than the one that was sent.
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return value


Id = Annotated[
    int,
    BeforeValidator(_id),
    # As text, because OpenAPI's "integer" would let 1.0 through.
    WithJsonSchema({"type": "string", "pattern": ID_TEXT, "examples": ["12"]}),
]
StudentId = Annotated[Id, Path(description="The student's database id.")]
CourseId = Annotated[Id, Path(description="The course's database id.")]

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=TEXT)]
TermCode = Annotated[
    Word | None,
    WithJsonSchema(TypeAdapter(Word).json_schema()),  # it can be left out, but nobody sends null
    Query(description="Only this term.", examples=["2026FA"]),
]
StudentNumber = Annotated[
    Word, Query(description="The student number; zeros in front count.", examples=["S1042"])
]
CourseRef = Annotated[
    Word,
    Query(
        description="The course: TERM/CODE-SECTION, or less where that is clear: CS101.",
        examples=["2026FA/CS101-001"],
    ),
]

MOST_COURSES: Final = 50
CourseIds = Annotated[
    list[Id],
    Query(
        alias="course_id",
        min_length=1,
        max_length=MOST_COURSES,
        description="The courses' database ids; asked for together, as one request.",
    ),
]

Status = Literal["enrolled", "waitlisted", "dropped", "withdrawn", "completed"]


class Model(BaseModel):
    """A body, in which nothing unexpected may stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EnrollRequest(Model):
    """What to enroll the student in."""

    course_id: Annotated[int, Field(strict=True, ge=1, le=MAX_ID), BeforeValidator(_whole)] = Field(
        description="The course's database id: a JSON integer, not text.", examples=[12]
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


class RuleFinding(Model):
    """What one rule says about an enrollment."""

    rule: str = Field(description="The rule's code.", examples=["prerequisite-missing"])
    result: Literal["passed", "failed", "overridden", "blocks-promotion", "not-asked"] = Field(
        description="`blocks-promotion`: the student waits already, and it keeps the queue from"
        " giving the seat. `not-asked`: it does not count for where the enrollment leads; with a"
        " message when it would forbid a seat."
    )
    message: str | None = Field(description="The evidence; null when there is nothing to say.")
    hint: str | None = Field(description="What to do next.")
    override: str | None = Field(description="The command for the override that would clear it.")


class CourseExplanation(CourseKey):
    """What would come of enrolling a student in one course, and what every rule says."""

    would: Literal["enrolled", "waitlisted", "unchanged", "refused"]
    place: int | None = Field(description="The place in the waitlist, 1 = next.")
    status: Status | None = Field(description="How the student stands in it now; null = not.")
    rules: list[RuleFinding]


class ExplanationList(StudentKey):
    """What would come of a request, course by course; nothing was changed."""

    courses: list[CourseExplanation]


class Health(Model):
    """The service works: its database is reachable and has the right schema."""

    status: Literal["ok"]
    schema_revision: str = Field(examples=["0003"])
    version: str = Field(description="Of studentcli.")
