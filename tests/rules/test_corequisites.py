"""Corequisites: together in one term, in one request in any order, and not left alone."""

from itertools import permutations

import pytest

from studentcli.requests import Change
from tests.rules.registry import Registry, change, promoted, results

# ── what is there already ──


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("enrolled", "enrolled"),
        ("completed", "enrolled"),
        ("waitlisted", "corequisite-missing"),  # a place is no seat
        ("dropped", "corequisite-missing"),
        ("withdrawn", "corequisite-missing"),
        (None, "corequisite-missing"),
    ],
)
def test_a_seat_needs_a_seat_in_the_course_that_it_is_taken_with(
    status: str | None, wanted: str
) -> None:
    registry = Registry()
    lab = registry.course("LAB", waitlist_capacity=9)
    if status:
        registry.put(registry.s1, lab, status)
    assert registry.enroll(registry.course("CS101", corequisites="LAB")) == wanted


@pytest.mark.parametrize("corequisites", ["CS101", "CS101|LAB", "LAB & CS101"])
def test_a_row_that_names_the_course_itself_lets_nobody_in_by_it(corequisites: str) -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites=corequisites)
    other = registry.course("ART")
    registry.put(registry.s1, registry.course("CS101", section="2"), "enrolled")
    assert "corequisite-missing" in registry.enroll(course)
    decision = registry.ask(change("enroll", course), change("enroll", other))
    assert "corequisite-missing" in results(decision)[0]


def test_the_company_of_a_course_that_names_itself_cannot_be_left_unnoticed() -> None:
    registry = Registry()
    lab = registry.course("LAB")
    course = registry.course("CS101", corequisites="CS101|LAB")
    registry.put(registry.s1, lab, "enrolled")
    registry.put(registry.s1, course, "enrolled")
    assert registry.one("drop", lab).warning is not None
    assert registry.one("drop", course).warning is None


def test_another_section_of_the_company_in_the_same_request_keeps_it() -> None:
    registry = Registry()
    old, new = registry.course("LAB"), registry.course("LAB", section="2")
    registry.put(registry.s1, registry.course("CS101", corequisites="LAB"), "enrolled")
    registry.put(registry.s1, old, "enrolled")
    decision = registry.ask(change("drop", old), change("enroll", new), strict=True)
    assert results(decision) == ["dropped", "enrolled"]


@pytest.mark.parametrize("status", ["enrolled", "completed"])
def test_the_same_code_in_another_term_is_not_taken_together(status: str) -> None:
    registry = Registry()
    registry.term("2026SP")
    registry.put(registry.s1, registry.course("LAB", term="2026SP"), status)
    course = registry.course("CS101", corequisites="LAB")
    assert registry.enroll(course) == "corequisite-missing"


@pytest.mark.parametrize(
    ("corequisites", "codes", "is_met"),
    [
        ("LAB|LAB2", ["LAB2"], True),
        ("LAB|LAB2", ["LAB3"], False),
        ("LAB & MATH", ["LAB"], False),
        ("LAB & MATH", ["LAB", "MATH"], True),
        ("LAB|LAB2 & MATH|ART", ["LAB2", "ART"], True),
        ("CS101", [], False),  # no course is its own company
    ],
)
def test_of_every_group_one_course_must_be_there(
    corequisites: str, codes: list[str], *, is_met: bool
) -> None:
    registry = Registry()
    for code in codes:
        registry.put(registry.s1, registry.course(code), "enrolled")
    course = registry.course("CS101", corequisites=corequisites)
    assert registry.enroll(course) == ("enrolled" if is_met else "corequisite-missing")


def test_any_section_of_the_code_will_do() -> None:
    registry = Registry()
    registry.course("LAB", "1")
    registry.put(registry.s1, registry.course("LAB", "2"), "enrolled")
    assert registry.enroll(registry.course("CS101", corequisites="LAB")) == "enrolled"


# ── in one request ──


def adds(*course_ids: int) -> list[Change]:
    return [change("enroll", course_id) for course_id in course_ids]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_chain_of_three_is_taken_in_one_request_in_any_order(order: tuple[int, ...]) -> None:
    registry = Registry()
    chain = [
        registry.course("A", corequisites="B"),
        registry.course("B", corequisites="C"),
        registry.course("C"),
    ]
    decision = registry.ask(*adds(*(chain[index] for index in order)))
    assert results(decision) == ["enrolled"] * 3
    assert [event.action for event in registry.events] == ["enroll"] * 3


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_when_the_end_of_a_chain_is_refused_nothing_of_it_is_taken(order: tuple[int, ...]) -> None:
    registry = Registry()
    chain = [
        registry.course("A", corequisites="B"),
        registry.course("B", corequisites="C"),
        registry.course("C", status="closed"),
    ]
    decision = registry.ask(*adds(*(chain[index] for index in order)))
    wanted = ["corequisite-missing", "corequisite-missing", "course-closed"]
    assert results(decision) == [wanted[index] for index in order]
    assert registry.facts.changed == {}
    assert [event.code for event in registry.events] == [wanted[index] for index in order]


def test_a_refused_partner_leaves_what_has_nothing_to_do_with_it() -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB")
    lab, art = registry.course("LAB", status="closed"), registry.course("ART")
    decision = registry.ask(*adds(course, art, lab))
    assert results(decision) == ["corequisite-missing", "enrolled", "course-closed"]
    assert registry.status(art) == "enrolled"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_courses_that_need_each_other_are_taken_together(order: tuple[int, int]) -> None:
    registry = Registry()
    pair = [registry.course("A", corequisites="B"), registry.course("B", corequisites="A")]
    assert results(registry.ask(*adds(*(pair[i] for i in order)))) == ["enrolled"] * 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_courses_that_need_each_other_are_refused_together(order: tuple[int, int]) -> None:
    registry = Registry()
    pair = [
        registry.course("A", corequisites="B"),
        registry.course("B", corequisites="A", capacity=0),
    ]
    found = results(registry.ask(*adds(*(pair[i] for i in order))))
    wanted = ["corequisite-missing", "corequisite-missing course-full"]
    assert found == [wanted[i] for i in order]
    assert registry.s1.enrollments == {}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_waitlisted_partner_does_not_give_the_seat_but_the_place(order: tuple[int, int]) -> None:
    for capacity, places, wanted in (
        (1, 0, "corequisite-missing"),
        (1, 9, "waitlisted"),
        (0, 9, "waitlisted"),
    ):
        registry = Registry()
        pair = [
            registry.course(
                "CS101", corequisites="LAB", capacity=capacity, waitlist_capacity=places
            ),
            registry.course("LAB", capacity=0, waitlist_capacity=9),
        ]
        found = results(registry.ask(*adds(*(pair[i] for i in order))))
        assert found == [[wanted, "waitlisted"][i] for i in order]


def test_who_waits_for_both_gets_the_second_seat_as_soon_as_the_first_is_there() -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB", capacity=1, waitlist_capacity=9)
    lab = registry.course("LAB", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(lab, 1)
    waiting = registry.queue(lab, "Q1")[0]
    registry.put(waiting, course, "waitlisted")
    decision = registry.ask(change("drop", lab), student=holder)
    assert [(p.student, p.course) for p in decision.promotions] == [
        ("Q1", "2026FA/LAB-1"),
        ("Q1", "2026FA/CS101-1"),
    ]


def test_a_place_without_the_partner_is_refused() -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB", capacity=0, waitlist_capacity=9)
    assert registry.enroll(course) == "corequisite-missing"


def test_a_course_of_another_term_in_the_same_request_is_not_taken_together() -> None:
    registry = Registry()
    registry.term("2027SP")
    course = registry.course("CS101", corequisites="LAB")
    later = registry.course("LAB", term="2027SP")
    assert results(registry.ask(*adds(course, later))) == ["corequisite-missing", "enrolled"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_section_is_enough_though_the_other_one_is_refused(order: tuple[int, ...]) -> None:
    registry = Registry()
    three = [
        registry.course("CS101", corequisites="LAB"),
        registry.course("LAB", "1", status="closed"),
        registry.course("LAB", "2"),
    ]
    wanted = ["enrolled", "course-closed", "enrolled"]
    found = results(registry.ask(*adds(*(three[index] for index in order))))
    assert [one.split()[0] for one in found] == [wanted[index] for index in order]


def test_a_partner_that_is_there_already_counts_in_a_request_that_names_it_again() -> None:
    registry = Registry()
    course, lab = registry.course("CS101", corequisites="LAB"), registry.course("LAB")
    registry.put(registry.s1, lab, "enrolled")
    assert results(registry.ask(*adds(course, lab))) == ["enrolled", "unchanged"]


def test_a_partner_dropped_in_the_same_request_is_gone() -> None:
    registry = Registry()
    course, lab = registry.course("CS101", corequisites="LAB"), registry.course("LAB")
    registry.put(registry.s1, lab, "enrolled")
    decision = registry.ask(change("enroll", course), change("drop", lab))
    assert results(decision) == ["corequisite-missing", "dropped"]


def test_all_or_none_takes_back_the_partners_too() -> None:
    registry = Registry()
    course, lab = registry.course("CS101", corequisites="LAB"), registry.course("LAB")
    closed = registry.course("ART", status="closed")
    decision = registry.ask(*adds(course, lab, closed), all_or_none=True)
    assert results(decision) == ["not-applied", "not-applied", "course-closed"]
    assert registry.s1.enrollments == {}


# ── leaving ──


def taken_together() -> tuple[Registry, int, int]:
    registry = Registry()
    course, lab = registry.course("CS101", corequisites="LAB"), registry.course("LAB")
    registry.put(registry.s1, course, "enrolled")
    registry.put(registry.s1, lab, "enrolled")
    return registry, course, lab


@pytest.mark.parametrize("action", ["drop", "withdraw"])
def test_leaving_what_another_course_is_taken_with_warns_and_is_done(action: str) -> None:
    registry, course, lab = taken_together()
    outcome = registry.one(action, lab)
    assert not outcome.is_refused
    assert "2026FA/CS101-1" in str(outcome.warning)
    assert registry.status(course) == "enrolled"


@pytest.mark.parametrize("action", ["drop", "withdraw"])
def test_strict_refuses_it_and_an_override_allows_it(action: str) -> None:
    registry, _, lab = taken_together()
    outcome = registry.one(action, lab, strict=True)
    assert [r.code for r in outcome.refusals] == ["corequisite-missing"]
    assert "studentcli drop S1 2026FA/CS101-1" in str(outcome.refusals[0].hint)
    allowed = registry.one(action, lab, strict=True, override="corequisite-missing", reason="dean")
    assert not allowed.is_refused
    assert '"overrides": ["corequisite-missing"]' in str(registry.events[-1].detail)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_leaving_both_together_is_fine(order: tuple[int, int], *, strict: bool) -> None:
    registry, course, lab = taken_together()
    changes = [change("drop", [course, lab][i]) for i in order]
    decision = registry.ask(*changes, strict=strict)
    assert results(decision) == ["dropped", "dropped"]
    assert [outcome.warning for outcome in decision.outcomes] == [None, None]


def test_leaving_the_one_that_needs_the_other_is_fine() -> None:
    registry, course, _ = taken_together()
    outcome = registry.one("drop", course, strict=True)
    assert (outcome.result, outcome.warning) == ("dropped", None)


@pytest.mark.parametrize("how", ["another course of the group", "another section", "same request"])
def test_leaving_is_fine_while_something_else_meets_the_corequisite(how: str) -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB|LAB2")
    lab = registry.course("LAB")
    code, section = {"another section": ("LAB", "2")}.get(how, ("LAB2", "1"))
    other = registry.course(code, section)
    registry.put(registry.s1, course, "enrolled")
    registry.put(registry.s1, lab, "enrolled")
    changes = [change("drop", lab)]
    if how == "same request":
        changes.append(change("enroll", other))
    else:
        registry.put(registry.s1, other, "enrolled")
    decision = registry.ask(*changes, strict=True)
    assert results(decision)[0] == "dropped"
    assert decision.outcomes[0].warning is None


@pytest.mark.parametrize("strict", [True, False])
def test_a_swap_that_leaves_a_course_alone_warns_or_is_refused(*, strict: bool) -> None:
    registry, _, lab = taken_together()
    outcome = registry.one("enroll", registry.course("ART"), instead_of=lab, strict=strict)
    assert outcome.is_refused == strict
    assert registry.status(lab) == ("enrolled" if strict else "dropped")
    if not strict:
        assert "2026FA/CS101-1" in str(outcome.warning)


def test_a_swap_for_another_section_leaves_nothing_alone() -> None:
    registry, _, lab = taken_together()
    outcome = registry.one("enroll", registry.course("LAB", "2"), instead_of=lab, strict=True)
    assert (outcome.result, outcome.warning) == ("enrolled", None)


def test_who_only_waits_for_a_course_loses_nothing_by_leaving_what_belongs_to_it() -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB", capacity=0, waitlist_capacity=9)
    lab = registry.course("LAB")
    registry.put(registry.s1, course, "waitlisted")
    registry.put(registry.s1, lab, "enrolled")
    outcome = registry.one("drop", lab, strict=True)
    assert (outcome.result, outcome.warning) == ("dropped", None)


def test_a_queued_student_whose_partner_is_gone_is_passed_over() -> None:
    registry = Registry()
    course = registry.course("CS101", corequisites="LAB", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    registry.queue(course, "Q1")
    decision = registry.ask(change("drop", course), student=holder)
    assert promoted(decision) == []
    assert ("pass-over", "Q1", "corequisite-missing") in registry.steps()
