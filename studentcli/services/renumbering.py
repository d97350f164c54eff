"""Giving a student another number: enrollments and history follow."""

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import Student
from studentcli.services.operations import Act, Recorder
from studentcli.services.resolve import find_student


def renumber_student(session: Session, old: str, new: str, act: Act) -> None:
    """Give a student another number; enrollments and history follow.

    Raises:
        errors.UnknownStudent: when nobody has the old number.
        errors.AlreadyExists: when somebody has the new one.
    """
    recorder = Recorder(session, act)
    # Locked, then looked up in a new statement: somebody else may be renumbering the same student.
    if not recorder.is_forecast:
        lock = select(Student.id).where(Student.student_number == old)
        session.execute(lock.with_for_update(key_share=True))
    student = find_student(session, old)
    taken = session.scalar(select(Student.id).where(Student.student_number == new))
    if taken == student.student_id:
        return
    if taken is not None:
        raise errors.AlreadyExists(f"student {new} exists already")
    if recorder.is_forecast:
        return
    session.execute(
        update(Student)
        .where(and_(Student.id == student.student_id, Student.student_number == old))
        .values(student_number=new)
    )
    recorder.operation_id({"changed": 1})
    recorder.record_change("student", student.student_id, "renumbered", {"student": [old, new]})
