"""The verbs: what every door (command, file, HTTP) calls. A service never commits."""

from studentcli.services.enrollment import (
    carry_out,
    carry_out_all,
    enroll_student_in_course,
    retrieve_courses_for_student,
    submit,
)
from studentcli.services.operations import Act

__all__ = [
    "Act",
    "carry_out",
    "carry_out_all",
    "enroll_student_in_course",
    "retrieve_courses_for_student",
    "submit",
]
