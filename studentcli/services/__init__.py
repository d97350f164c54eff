"""The verbs: what every door (command, file, HTTP) calls. A service never commits."""

from studentcli.services.enrollment import (
    carry_out,
    enroll_student_in_course,
    retrieve_courses_for_student,
    submit,
)
from studentcli.services.operations import Act

__all__ = [
    "Act",
    "carry_out",
    "enroll_student_in_course",
    "retrieve_courses_for_student",
    "submit",
]
