"""What the student's other courses say: prerequisites, corequisites, sections, repeats."""

from collections.abc import Iterable

from studentcli.conditions import Required
from studentcli.facts import CourseFact, EnrollmentFact, TermFact
from studentcli.grades import scale
from studentcli.requests import Refusal
from studentcli.rules.case import Case

Taken = tuple[CourseFact, EnrollmentFact]


def prerequisite_is_missing(case: Case) -> Refusal | None:
    """Refuse a student who has not passed what the course requires, in whatever term.

    A course in progress counts where the course says so, unless its term begins later.
    """
    groups = case.course.requires
    if not groups:
        return None
    codes = {item.code for group in groups for item in group}
    taken: dict[str, list[Taken]] = {}
    courses, mine, old = case.courses, case.course, case.given_up
    for course_id, enrollment in case.student.enrollments.items():
        course = courses[course_id]
        if (
            course.code in codes
            and enrollment.is_seated
            and course is not mine
            and course is not old
        ):
            taken.setdefault(course.code, []).append((course, enrollment))
    added = case.added("seat")
    missing = [
        group
        for group in groups
        if not any(item.in_progress and item.code in added for item in group)
        and not any(
            _is_met(item, pair, mine.term) for item in group for pair in taken.get(item.code, ())
        )
    ]
    if not missing:
        return None
    wanted = ", and ".join(" or ".join(map(_spelled, group)) for group in missing)
    asked = dict.fromkeys(item.code for group in missing for item in group)
    have = [_evidence(pair, mine.term) for code in asked for pair in taken.get(code, ())]
    number = case.student.number
    evidence = f"{number} has {', '.join(have)}" if have else f"{number} has taken none of them"
    return Refusal(
        "prerequisite-missing",
        f"{case.course.ref} requires {wanted}; {evidence}",
        f"studentcli courses {number} lists what was taken",
    )


def _is_met(item: Required, taken: Taken, term: TermFact) -> bool:
    course, enrollment = taken
    if enrollment.status == "enrolled":
        return item.in_progress and not _begins_later(course.term, term)
    grade = enrollment.grade or ""
    grades = scale(course.term.grades)
    if item.min_grade is None:
        return grades.passes(grade)
    return grades.is_at_least(grade, item.min_grade)


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
    course, courses, old = case.course, case.courses, case.given_up
    if not course.has_sections:
        return None
    for course_id, enrollment in case.student.enrollments.items():
        other = courses[course_id]
        if (
            other.code == course.code
            and other.term is course.term
            and other is not course
            and other is not old
            and enrollment.is_seated
        ):
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
    done = [course.ref for course, _ in case.others("completed") if course.code == case.course.code]
    if len(done) <= limit:
        return None
    times = {0: "not be repeated", 1: "be repeated once"}.get(limit, f"be repeated {limit} times")
    return Refusal(
        "repeat-limit",
        f"{case.course.code} may {times}; {case.student.number} has completed {_listed(done)}",
    )
