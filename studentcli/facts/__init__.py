"""What the rules read: the state of students, courses and enrollments, held in memory.

Loaded under lock by the services, moved forward by every decision, so that the next request of
the same operation sees the one before. `Facts.move` is the only place where a state changes.
"""

from studentcli.facts.courses import CourseFact, Courses, TermFact
from studentcli.facts.moving import (
    FIRST_SEAT,
    SHORT,
    Event,
    Facts,
    FirstSeat,
    JournalEntry,
    Key,
    Mark,
    Move,
    first_event,
    written_out,
)
from studentcli.facts.people import (
    NO_GRANTS,
    NO_HOURS,
    NO_TERMS,
    Grant,
    HoldFact,
    StudentFact,
)
from studentcli.facts.standing import (
    OWN,
    EnrollmentFact,
    Enrollments,
    States,
    mark_of_course,
)

__all__ = [
    "FIRST_SEAT",
    "NO_GRANTS",
    "NO_HOURS",
    "NO_TERMS",
    "OWN",
    "SHORT",
    "CourseFact",
    "Courses",
    "EnrollmentFact",
    "Enrollments",
    "Event",
    "Facts",
    "FirstSeat",
    "Grant",
    "HoldFact",
    "JournalEntry",
    "Key",
    "Mark",
    "Move",
    "States",
    "StudentFact",
    "TermFact",
    "first_event",
    "mark_of_course",
    "written_out",
]
