"""What the student's other courses say: prerequisites, corequisites, sections, repeats."""

from collections.abc import Container, Iterable
from functools import lru_cache

from studentcli.conditions import Required
from studentcli.facts import (
    OWN,
    CourseFact,
    Courses,
    EnrollmentFact,
    StudentFact,
    TermFact,
)
from studentcli.grades import scale
from studentcli.requests import Refusal
from studentcli.rules.case import Case, IsPlain, everybody
from studentcli.vocabulary import SEATED_STATUSES

Taken = tuple[CourseFact, EnrollmentFact]


def prerequisite_is_missing(case: Case) -> Refusal | None:
    """Refuse a student who has not passed what the course requires, in whatever term.

    A course in progress counts where the course says so, unless its term begins later.
    """
    groups = case.course.requires
    if not groups:
        return None
    added, term = case.added("seat"), case.course.term
    missing = [group for group in groups if not _is_satisfied(group, case, added)]
    if not missing:
        return None
    wanted = ", and ".join(" or ".join(map(_spelled, group)) for group in missing)
    asked = dict.fromkeys(item.code for group in missing for item in group)
    have = [_evidence(pair, term) for code in asked for pair in _by_ref(_taken(case, code))]
    number = case.student.number
    evidence = f"{number} has {', '.join(have)}" if have else f"{number} has taken none of them"
    return Refusal(
        "prerequisite-missing",
        f"{case.course.ref} requires {wanted}; {evidence}",
        f"studentcli courses {number} lists what was taken",
    )


def has_what_is_required(course: CourseFact, courses: Courses) -> IsPlain:
    """Tell who meets the requirements of a course by the courses that there are now."""
    term = course.term
    groups = [
        [
            (other.mark, set[str](), item, other)
            for item in group
            for other in map(courses.__getitem__, courses.of_code(item.code))
        ]
        for group in course.requires
    ]

    def is_met(student: StudentFact) -> bool:
        enrollments = student.enrollments
        written = enrollments.written
        for group in groups:
            for mark, enough, item, other in group:
                at = written.find(mark)
                if at < 0:
                    continue
                if written[at + 1] in enough:  # the mark of a state that was judged before
                    break
                found = enrollments.find(mark)
                if found is None or found.status not in SEATED_STATUSES:
                    continue
                if _is_met(item, (other, found), term):
                    if written[at + 1] != OWN:
                        enough.add(written[at + 1])
                    break
            else:
                return False
        return True

    return is_met


def has_no_other_of_its_code(course: CourseFact, courses: Courses) -> IsPlain:
    """Tell who never was in another course of the code."""
    others = [other for other in courses.of_code(course.code) if other != course.course_id]
    if not others:
        return everybody
    return lambda student: not any(other in student.enrollments for other in others)


def _taken(case: Case, code: str) -> list[Taken]:
    """List the other courses of a code in which the student has a seat, or had; not the old one."""
    courses, mine, old = case.courses, case.course, case.given_up
    offered, enrollments = courses.of_code(code), case.student.enrollments
    return [
        (course, enrollment)
        for course_id in (offered if len(offered) < len(enrollments) else enrollments)
        if course_id in enrollments
        and course_id in offered
        and (enrollment := enrollments[course_id]).status in SEATED_STATUSES
        and (course := courses[course_id]) is not mine
        and course is not old
    ]


def _by_ref(taken: list[Taken]) -> list[Taken]:
    """Put courses in the order in which they are told: the tables give them in any."""
    return sorted(taken, key=lambda pair: pair[0].ref)


def _is_satisfied(group: Iterable[Required], case: Case, added: Container[str]) -> bool:
    # Plain loops: it is asked for every row of a file.
    for item in group:
        for taken in _taken(case, item.code):
            if _is_met(item, taken, case.course.term):
                return True
        if item.in_progress and item.code in added:
            return True
    return False


def _is_met(item: Required, taken: Taken, term: TermFact) -> bool:
    course, enrollment = taken
    if enrollment.status == "enrolled":
        return item.in_progress and not _begins_later(course.term, term)
    return _is_enough(course.term.grades, enrollment.grade or "", item.min_grade)


@lru_cache(maxsize=4096)
def _is_enough(grades: str | None, grade: str, least: str | None) -> bool:
    """Tell whether a grade of a scale is as good as the least one, or passes where none is named.

    There are few grades, and it is asked for every row of a file.
    """
    known = scale(grades)
    return known.passes(grade) if least is None else known.is_at_least(grade, least)


def _begins_later(term: TermFact, than: TermFact) -> bool:
    """Tell whether a term is known to begin after another; of one without dates nobody knows."""
    return (
        term.starts_on is not None
        and than.starts_on is not None
        and term.starts_on > than.starts_on
    )


def _spelled(item: Required) -> str:
    grade = f" with {item.min_grade} or better" if item.min_grade else ""
    return f"{item.code}{grade}{' (or in progress)' if item.in_progress else ''}"


def _evidence(taken: Taken, term: TermFact) -> str:
    course, enrollment = taken
    if enrollment.status == "enrolled":
        if _begins_later(course.term, term):
            return f"{course.ref} only later, from {course.term.starts_on}"
        return f"{course.ref} in progress"
    known = scale(course.term.grades).knows(enrollment.grade or "")
    return f"{course.ref} with {enrollment.grade}{'' if known else ' (no grade of that term)'}"


def corequisite_is_missing(case: Case) -> Refusal | None:
    """Refuse a seat without the courses that belong to it, in the same term or request."""
    return _missing_corequisite(case, ("seat",), ("enrolled", "completed"))


def corequisite_is_unplanned(case: Case) -> Refusal | None:
    """Refuse a place in the queue unless what belongs to the course is at least queued for."""
    return _missing_corequisite(case, ("seat", "place"), ("enrolled", "completed", "waitlisted"))


def _missing_corequisite(
    case: Case, ranks: tuple[str, ...], statuses: tuple[str, ...]
) -> Refusal | None:
    groups = case.course.corequisites
    if not groups:
        return None
    have = case.added(*ranks)
    have.update(course.code for course, _ in case.this_term(*statuses))
    have.discard(case.course.code)  # no course is its own company, whatever its row says
    missing = [group for group in groups if have.isdisjoint(group)]
    if not missing:
        return None
    wanted = ", and ".join(" or ".join(group) for group in missing)
    number, ref = case.student.number, case.course.ref
    also = " ".join(group[0] for group in missing)
    if not case.is_waiting:
        also = f"{ref} {also}"
    return Refusal(
        "corequisite-missing",
        f"{ref} is taken together with {wanted}; {number} is not enrolled in it",
        f"studentcli enroll {number} {also}",
    )


def corequisite_is_left(case: Case) -> Refusal | None:
    """Find the courses that lose what they are taken together with."""
    code = case.course.code
    kept = [pair for pair in case.this_term("enrolled") if pair[0].course_id not in case.leaving]
    if not any(course.corequisites for course, _ in kept):
        return None
    have = {course.code for course, _ in kept} | case.added("seat")
    broken = [
        course.ref
        for course, _ in kept
        if any(
            code in group and (have - {course.code}).isdisjoint(group)
            for group in course.corequisites
        )
    ]
    if not broken:
        return None
    return Refusal(
        "corequisite-missing",
        f"{case.student.number} stays in {_listed(broken)}, taken together with {case.course.ref}",
        f"studentcli drop {case.student.number} {' '.join(broken)}",
    )


def _listed(refs: Iterable[str]) -> str:
    return ", ".join(sorted(refs))


def section_is_a_duplicate(case: Case) -> Refusal | None:
    """Refuse a second section of one code in one term."""
    course = case.course
    if not course.has_sections:
        return None
    for other, enrollment in _by_ref(_taken(case, course.code)):
        if other.term is course.term:
            number = case.student.number
            swap = f"studentcli enroll {number} {course.ref} --instead-of {other.ref}"
            return Refusal(
                "duplicate-section",
                f"{number} is {enrollment.status} in {other.ref} already",
                # To who waits already, asking again changes nothing.
                f"studentcli drop {number} {other.ref}" if case.is_waiting else swap,
            )
    return None


def repeats_are_used_up(case: Case) -> Refusal | None:
    """Refuse a code that the student has completed too often."""
    limit = case.course.repeats
    if limit is None:
        return None
    taken = _taken(case, case.course.code)
    done = [course.ref for course, enrollment in taken if enrollment.status == "completed"]
    if len(done) <= limit:
        return None
    times = {0: "not be repeated", 1: "be repeated once"}.get(limit, f"be repeated {limit} times")
    return Refusal(
        "repeat-limit",
        f"{case.course.code} may {times}; {case.student.number} has completed {_listed(done)}",
    )
