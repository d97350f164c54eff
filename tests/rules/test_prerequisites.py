"""Prerequisites: and, or, minimum grades, courses in progress, in whatever term they were taken."""

from datetime import date, timedelta

import pytest

from tests.rules.registry import BEFORE, Registry, change, promoted

# ── which courses ──


def registry_with(*taken: tuple[str, str, str | None]) -> Registry:
    """Make a registry in which S1 has (code, status, grade), one term earlier."""
    registry = Registry()
    registry.term("2026SP")
    for number, (code, status, grade) in enumerate(taken):
        course = registry.course(code, section=str(number), term="2026SP")
        registry.put(registry.s1, course, status, grade=grade)
    return registry


def had(*codes: str) -> list[tuple[str, str, str | None]]:
    return [(code, "completed", "A") for code in codes]


@pytest.mark.parametrize(
    ("requires", "codes", "is_met"),
    [
        ("CS101", ["CS101"], True),
        ("CS101", [], False),
        ("CS101", ["CS1011"], False),
        ("CS101", ["cs101"], False),
        ("CS101|CS102", ["CS101"], True),
        ("CS101|CS102", ["CS102"], True),
        ("CS101|CS102", ["CS103"], False),
        ("CS101 & MATH100", ["CS101"], False),
        ("CS101 & MATH100", ["MATH100"], False),
        ("CS101 & MATH100", ["MATH100", "CS101"], True),
        ("CS101|CS102 & MATH100|MATH101", ["CS102", "MATH101"], True),
        ("CS101|CS102 & MATH100|MATH101", ["CS101", "CS102"], False),
        ("CS101|CS102 & CS102|CS103", ["CS102"], True),  # one course can meet both
        ("CS101|CS102 & MATH100 & ART", ["CS101", "MATH100"], False),
    ],
)
def test_of_every_group_one_course_must_have_been_passed(
    requires: str, codes: list[str], *, is_met: bool
) -> None:
    registry = registry_with(*had(*codes))
    course = registry.course("CS201", requires=requires)
    assert registry.enroll(course) == ("enrolled" if is_met else "prerequisite-missing")


# ── which state ──


@pytest.mark.parametrize(
    ("status", "grade", "passed", "in_progress"),
    [
        ("completed", "A", True, True),
        ("completed", "F", False, False),
        ("completed", None, False, False),
        ("enrolled", None, False, True),
        ("waitlisted", None, False, False),
        ("dropped", None, False, False),
        ("withdrawn", None, False, False),
        ("dropped", "A", False, False),
    ],
)
def test_only_what_was_passed_counts_and_what_is_in_progress_where_the_course_says_so(
    status: str, grade: str | None, *, passed: bool, in_progress: bool
) -> None:
    for requires, is_met in (("CS101", passed), ("CS101:in-progress", in_progress)):
        registry = registry_with(("CS101", status, grade))
        course = registry.course("CS201", requires=requires)
        assert (registry.enroll(course) == "enrolled") == is_met, requires


@pytest.mark.parametrize(
    ("status", "grade", "is_met"),
    [
        ("enrolled", None, True),  # in progress: there is no grade to look at yet
        ("completed", "B", True),
        ("completed", "C", False),
    ],
)
def test_a_minimum_grade_beside_in_progress_is_asked_of_the_finished_course(
    status: str, grade: str | None, *, is_met: bool
) -> None:
    registry = registry_with(("CS101", status, grade))
    course = registry.course("CS201", requires="CS101:B:in-progress")
    assert (registry.enroll(course) == "enrolled") == is_met


SPRING, FALL, NEXT = date(2026, 1, 12), date(2026, 8, 24), date(2027, 1, 11)


@pytest.mark.parametrize(
    ("theirs", "mine", "is_met"),
    [
        (SPRING, FALL, True),  # begun before: it goes on, or its grade is late
        (FALL, FALL, True),  # side by side
        (NEXT, FALL, False),  # it comes after what it should come before
        (FALL + timedelta(days=1), FALL, False),
        (FALL - timedelta(days=1), FALL, True),
        (None, FALL, True),  # of a term without dates nobody can say that it is later
        (NEXT, None, True),
        (None, None, True),
    ],
)
def test_a_course_in_progress_counts_unless_its_term_begins_later(
    theirs: date | None, mine: date | None, *, is_met: bool
) -> None:
    registry = Registry(starts_on=mine)
    registry.term("OTHER", starts_on=theirs)
    registry.put(registry.s1, registry.course("CS101", term="OTHER"), "enrolled")
    course = registry.course("CS201", requires="CS101:in-progress")
    outcome = registry.one("enroll", course)
    assert outcome.is_refused != is_met
    if not is_met:
        assert outcome.refusals[0].message == (
            "2026FA/CS201-1 requires CS101 (or in progress);"
            f" S1 has OTHER/CS101-1 only later, from {theirs}"
        )


def test_what_was_passed_counts_also_from_a_term_that_begins_later() -> None:
    registry = Registry(starts_on=FALL)
    registry.term("OTHER", starts_on=NEXT)
    done = registry.course("CS101", term="OTHER")
    registry.put(registry.s1, done, "completed", grade="A")
    course = registry.course("CS201", requires="CS101:in-progress")
    assert registry.enroll(course) == "enrolled"


def test_one_course_in_progress_in_time_is_enough_beside_one_that_is_later() -> None:
    registry = Registry(starts_on=FALL)
    registry.term("OTHER", starts_on=NEXT)
    for term in ("OTHER", "2026FA"):
        registry.put(registry.s1, registry.course("CS101", term=term), "enrolled")
    course = registry.course("CS201", requires="CS101:in-progress")
    assert registry.enroll(course) == "enrolled"


@pytest.mark.parametrize("terms", [("2026SP", "OTHER"), ("OTHER", "2026SP")])
def test_what_was_taken_is_told_in_one_order(terms: tuple[str, str]) -> None:
    """However the tables give it: the same refusal is the same text, today and in a plan."""
    registry = Registry()
    for term in terms:
        registry.term(term)
        done = registry.course("CS101", term=term)
        registry.put(registry.s1, done, "completed", grade="F")
    course = registry.course("CS201", requires="CS101")
    (refusal,) = registry.one("enroll", course).refusals
    assert refusal.message.endswith("S1 has 2026SP/CS101-1 with F, OTHER/CS101-1 with F")


@pytest.mark.parametrize("sections", [("1", "2"), ("2", "1")])
def test_of_two_other_sections_the_same_one_is_named(sections: tuple[str, str]) -> None:
    registry = Registry()
    for section in sections:
        registry.put(registry.s1, registry.course("CS101", section=section), "enrolled")
    third = registry.course("CS101", section="3", has_sections=True)
    (refusal,) = registry.one("enroll", third).refusals
    assert refusal.message == "S1 is enrolled in 2026FA/CS101-1 already"


def test_the_course_itself_is_not_its_own_prerequisite() -> None:
    registry = Registry()
    course = registry.course("CS101", requires="CS101")
    registry.put(registry.s1, course, "dropped")
    assert registry.enroll(course) == "prerequisite-missing"


# ── which grade ──


@pytest.mark.parametrize(
    ("minimum", "grade", "is_met"),
    [
        ("C", "C", True),  # at
        ("C", "C+", True),  # just above
        ("C", "C-", False),  # just below
        ("C", "A+", True),
        ("C", "F", False),
        ("A+", "A", False),
        ("D-", "D-", True),
        ("D-", "F", False),
        ("F", "F", True),  # a failing minimum is met by itself
        ("F", "D", True),
        ("C", "P", False),  # a pass says nothing about a C
        ("P", "P", True),
        ("P", "NP", False),
        ("P", "A", False),
        ("NP", "P", True),
        ("C", "Z", False),  # a grade that nobody knows is never a pass
        ("C", "c", False),
        ("C", None, False),
        (None, "P", True),
        (None, "NP", False),
        (None, "D-", True),
        (None, "F", False),
        (None, "Z", False),
        (None, "", False),
        ("Q", "A", False),  # a minimum that the scale does not have is met by nobody
    ],
)
def test_a_minimum_grade_is_met_by_itself_and_by_what_is_better_in_its_scale(
    minimum: str | None, grade: str | None, *, is_met: bool
) -> None:
    registry = registry_with(("CS101", "completed", grade))
    course = registry.course("CS201", requires=f"CS101:{minimum}" if minimum else "CS101")
    assert registry.enroll(course) == ("enrolled" if is_met else "prerequisite-missing")


@pytest.mark.parametrize(
    ("grade", "is_met"), [("1", True), ("4", True), ("5", False), ("A", False)]
)
def test_a_grade_is_read_by_the_scale_of_the_term_in_which_it_was_given(
    grade: str, *, is_met: bool
) -> None:
    registry = Registry(grades="A B C | F")
    registry.term("2026SP", grades="1 2 3 4 | 5")
    old = registry.course("CS101", term="2026SP")
    registry.put(registry.s1, old, "completed", grade=grade)
    course = registry.course("CS201", requires="CS101")
    assert (registry.enroll(course) == "enrolled") == is_met


@pytest.mark.parametrize(
    ("grades", "is_met"),
    [
        (["F", "B"], True),
        (["B", "F"], True),  # the better counts, not the later
        (["F", "F"], False),
        (["Z", "C"], True),
        (["C-", "D"], False),
        (["P", "C"], True),
    ],
)
def test_of_a_course_taken_more_than_once_the_best_grade_counts(
    grades: list[str], *, is_met: bool
) -> None:
    registry = registry_with(*[("CS101", "completed", grade) for grade in grades])
    course = registry.course("CS201", requires="CS101:C")
    assert (registry.enroll(course) == "enrolled") == is_met


# ── which term, and what is said ──


@pytest.mark.parametrize("term", ["2019FA", "2026FA", "2027SP"])
def test_a_prerequisite_may_have_been_taken_in_any_term(term: str) -> None:
    registry = Registry()
    if term not in registry.terms:
        registry.term(term)
    old = registry.course("CS101", term=term)
    registry.put(registry.s1, old, "completed", grade="A")
    assert registry.enroll(registry.course("CS201", requires="CS101")) == "enrolled"


def test_taking_both_in_one_request_is_not_taking_one_after_the_other() -> None:
    registry = Registry()
    first = registry.course("CS101")
    course = registry.course("CS201", requires="CS101")
    assert registry.enroll(first) == "enrolled"
    assert registry.enroll(course) == "prerequisite-missing"


def test_what_is_taken_in_progress_may_be_added_just_before() -> None:
    registry = Registry()
    first = registry.course("CS101")
    course = registry.course("CS201", requires="CS101:in-progress")
    assert registry.enroll(first) == "enrolled"
    assert registry.enroll(course) == "enrolled"


def test_a_missing_prerequisite_holds_for_a_place_in_the_queue_too() -> None:
    registry = Registry()
    course = registry.course("CS201", requires="CS101", capacity=0, waitlist_capacity=9)
    assert registry.enroll(course) == "prerequisite-missing"


def test_the_refusal_says_what_is_missing_and_what_there_is_instead() -> None:
    registry = registry_with(("CS101", "completed", "D"), ("MATH100", "completed", "Z"))
    course = registry.course("CS201", requires="CS101:C|CS102 & MATH100 & CS050:in-progress & ART")
    art = registry.course("ART", term="2026SP")
    registry.put(registry.s1, art, "completed", grade="A")
    message = registry.one("enroll", course).refusals[0].message
    assert message == (
        "2026FA/CS201-1 requires CS101 with C or better or CS102, and MATH100, and CS050 (or in"
        " progress); S1 has 2026SP/CS101-0 with D, 2026SP/MATH100-1 with Z (no grade of that term)"
    )


def test_a_promotion_asks_for_the_prerequisites_as_they_are_then() -> None:
    registry = Registry()
    course = registry.course("CS201", requires="CS101", capacity=1, waitlist_capacity=9)
    registry.put(registry.s1, course, "enrolled")
    first, second = registry.queue(course, "Q1", "Q2")
    done = registry.course("CS101")
    registry.put(second, done, "completed", grade="A")
    registry.one("drop", course)
    assert registry.status(course, first) == "waitlisted"
    assert registry.status(course, second) == "enrolled"
    assert ("pass-over", "Q1", "prerequisite-missing") in registry.steps()


def test_a_grade_lets_the_student_in_who_was_waiting_for_it() -> None:
    registry = Registry()
    done = registry.course("CS101")
    course = registry.course("CS201", requires="CS101", capacity=1, waitlist_capacity=9)
    registry.put(registry.s1, done, "enrolled")
    registry.put(registry.s1, course, "waitlisted")
    decision = registry.ask(change("complete", done, grade="A"))
    assert promoted(decision) == ["S1"]
    assert registry.s1.enrollments[course].enrolled_on == BEFORE
