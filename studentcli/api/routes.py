"""The addresses: each parses, calls one service function, and answers."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from studentcli import __version__, values
from studentcli.api import schemas
from studentcli.api.limits import only_query, require_json
from studentcli.api.problems import documented, require_granted
from studentcli.database import REVISION, Database
from studentcli.requests import Policy
from studentcli.services import explaining, standing, views
from studentcli.services.operations import Act

router = APIRouter()


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _caller(request: Request) -> str:
    """Name who asks: nobody is authenticated, so the address it comes from."""
    return f"http:{request.client.host if request.client else 'unknown'}"


Served = Annotated[Database, Depends(_database)]
Caller = Annotated[str, Depends(_caller)]


@router.post(
    "/students/{student_id}/enroll",
    tags=["Enrollment"],
    summary="Enroll a student in a course",
    status_code=201,
    response_description="Enrolled, or waitlisted with the place in the queue.",
    responses={
        200: {"model": schemas.Enrollment, "description": "Already enrolled or waitlisted."},
        **documented(400, 404, 409, 415),
    },
    dependencies=[Depends(only_query()), Depends(require_json)],
)
def enroll(
    student_id: schemas.StudentId,
    wanted: schemas.EnrollRequest,
    response: Response,
    database: Served,
    caller: Caller,
) -> schemas.Enrollment:
    """Give the student a seat, or a place in the waitlist when the course is full and has one.

    Asking again changes nothing and answers 200. A refusal names every rule that forbids it.
    """
    act = Act("enroll", "http", caller)
    changed = standing.enroll_one(database, student_id, wanted.course_id, act)
    if changed.outcome.result == "unchanged":
        response.status_code = 200
    return _enrollment(changed)


@router.delete(
    "/students/{student_id}/courses/{course_id}",
    tags=["Enrollment"],
    summary="Drop a course",
    response_description="Dropped, now or before.",
    responses=documented(404, 409),
    dependencies=[Depends(only_query())],
)
def drop(
    student_id: schemas.StudentId, course_id: schemas.CourseId, database: Served, caller: Caller
) -> schemas.Enrollment:
    """Drop the course for the student; nothing stays on the transcript.

    The waitlist gets the seat at once: `promoted` says who. Dropping again changes nothing.
    """
    act = Act("drop", "http", caller)
    return _enrollment(standing.drop_one(database, student_id, course_id, act))


def _enrollment(changed: standing.Changed) -> schemas.Enrollment:
    outcome = require_granted(changed.outcome)
    return schemas.Enrollment.model_validate(
        {
            **vars(changed.standing),
            "student_id": outcome.student_id,
            "student_number": outcome.student,
            "course_id": outcome.course_id,
            "course_ref": outcome.course,
            "promoted": changed.promoted,
        }
    )


@router.get(
    "/students/{student_id}/courses",
    tags=["Look up"],
    summary="List a student's courses",
    response_description="The courses, by term, code and section.",
    responses=documented(404),
    dependencies=[Depends(only_query("term"))],
)
def list_courses_of_student(
    student_id: schemas.StudentId,
    database: Served,
    term: schemas.TermCode = None,
) -> schemas.StudentCourseList:
    """List the courses of a student in every state, also those dropped or withdrawn from."""
    student, courses = database.read(
        lambda session: standing.courses_of_student(session, student_id, term=term)
    )
    listed = [
        {
            "course_id": course.course_id,
            "course_ref": course.ref,
            "title": course.title,
            "credits": course.credit_hours,
            "grade": course.grade,
            "status": course.status,
            "position": course.position,
            "enrolled_on": course.enrolled_on,
            "status_since": course.status_since,
        }
        for course in courses
    ]
    return schemas.StudentCourseList.model_validate({**_student(student), "courses": listed})


@router.get(
    "/students/{student_id}/explain",
    tags=["Look up"],
    summary="Explain what would come of enrolling",
    response_description="Every rule for every course, also when the enrollment would be refused.",
    responses=documented(404),
    dependencies=[Depends(only_query(lists="course_id"))],
)
def explain(
    student_id: schemas.StudentId, course_ids: schemas.CourseIds, database: Served
) -> schemas.ExplanationList:
    """Evaluate every rule for enrolling the student in the courses, and change nothing."""
    policy = _policy()
    found = database.read(
        lambda session: explaining.explain(session, student_id, course_ids, policy)
    )
    names = ("rule", "result", "message", "hint", "override")
    courses = [
        {
            "course_id": each.outcome.course_id,
            "course_ref": each.outcome.course,
            "would": each.outcome.result,
            "place": each.outcome.position,
            "status": each.status,
            "rules": [{name: row[name] for name in names} for row in each.rows()],
        }
        for each in found
    ]
    return schemas.ExplanationList.model_validate(
        {
            "student_id": student_id,
            "student_number": found[0].outcome.student,
            "courses": courses,
        }
    )


@router.get(
    "/students",
    tags=["Look up"],
    summary="Find a student's id",
    response_description="The student.",
    responses=documented(404),
    dependencies=[Depends(only_query("student_number"))],
)
def find_student(database: Served, student_number: schemas.StudentNumber) -> schemas.Student:
    """Find the student of a student number. A number that nobody has is suggested near ones."""
    number = values.normal(student_number)
    student = database.read(lambda session: views.show_student(session, number))
    return schemas.Student.model_validate({**_student(student), "status": student["status"]})


def _student(row: views.Row) -> dict[str, Any]:
    return {"student_id": row["student_id"], "student_number": row["student"]}


@router.get(
    "/courses",
    tags=["Look up"],
    summary="Find a course's id",
    response_description="The course with its seats.",
    responses=documented(404, 409),
    dependencies=[Depends(only_query("ref"))],
)
def find_course(database: Served, ref: schemas.CourseRef) -> schemas.Course:
    """Find the one course that a word means, with its seats. One that could mean two is refused."""
    word, policy = values.normal(ref), _policy()
    row = database.read(lambda session: views.show_course(session, word, policy))
    return schemas.Course.model_validate(_course(row))


@router.get(
    "/courses/{course_id}/roster",
    tags=["Look up"],
    summary="List the students of a course",
    response_description="The course and its students.",
    responses=documented(404),
    dependencies=[Depends(only_query())],
)
def show_roster(course_id: schemas.CourseId, database: Served) -> schemas.Roster:
    """List the students who have a seat, and the waitlist in its order."""
    policy = _policy()
    course, rows = database.read(lambda session: views.list_roster(session, course_id, policy))
    shown = ("student_id", "status", "position", "enrolled_on", "status_since")
    students = [
        {**{name: row[name] for name in shown}, "student_number": row["student"]} for row in rows
    ]
    return schemas.Roster.model_validate({**_course(course), "students": students})


def _course(row: views.Row) -> dict[str, Any]:
    same = ("course_id", "term", "section", "title", "credits", "status", "capacity", "taken",
            "waiting")  # fmt: skip
    return {
        **{name: row[name] for name in same},
        "course_ref": row["ref"],
        "code": row["course"],
        "waitlist_capacity": row["waitlist"],
    }


def _policy() -> Policy:
    return Policy(datetime.now(UTC))


@router.get(
    "/health",
    tags=["Service"],
    summary="Tell whether the service works",
    response_description="It works.",
    responses=documented(),
    dependencies=[Depends(only_query())],
)
def show_health(database: Served) -> schemas.Health:
    """Reach the database and compare its schema with the one this version works with."""
    database.read(lambda _session: None)
    return schemas.Health(status="ok", schema_revision=REVISION, version=__version__)
