"""The queue of a course: who moves up when a seat becomes free, and why somebody does not."""

import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

from studentcli.facts import CourseFact, Event, Facts, Move, StudentFact
from studentcli.requests import Change, Policy, Promotion, Refusal
from studentcli.rules.book import ALWAYS, CLEAR, DROPPING, FOR_A_SEAT, Verdict, judge
from studentcli.rules.case import NOTHING, Case
from studentcli.rules.seats import Seats, fills_two, judge_seat
from studentcli.vocabulary import EXTRA_SEATS, LIVE_STATUSES

LACKING: Final = frozenset({"corequisite-missing", "prerequisite-missing"})
"""What a seat in another course can mend."""


class Asked(NamedTuple):
    """The student on whose account queues are run, and what counts in them for that student.

    `changes` holds by course id what the request under way asks for: its overrides count;
    `together` is as in `Case`.
    """

    student_id: int = 0
    changes: Mapping[int, Change] = MappingProxyType({})
    together: Mapping[int, str] = NOTHING


NOBODY: Final = Asked()


def barriers(course: CourseFact, policy: Policy) -> set[str]:
    """Name the rules that keep the whole queue of a course where it is."""
    until = course.window[1]
    is_over = until is not None and policy.today(course.term.time_zone) > until
    closed = {"course-closed"} if course.status != "open" else set[str]()
    return closed | {"window-closed"} if is_over else closed


def candidates(
    course: CourseFact, facts: Facts, policy: Policy, asked: Asked = NOBODY
) -> list[int]:
    """List whom a run of the queue can promote, in the order of places.

    Without a free seat, in a closed course, or after the window only those whom an override lets
    through: the others are not considered, and without a free seat need not even be loaded.
    """
    queue = course.queue
    if not queue:
        return []
    closed = barriers(course, policy)
    if course.has_free_seat and not closed:
        return list(queue)
    found = []
    for student_id in queue if course.has_free_seat or course.has_extra_seats else ():
        student = facts.students.get(student_id)
        if student is None or not (student.grants or student_id == asked.student_id):
            continue
        allowed = promotion_case(student_id, course, facts, policy, asked).allowed
        if closed <= allowed and (course.has_free_seat or EXTRA_SEATS & allowed):
            found.append(student_id)
    return found


def promotion_case(
    student_id: int, course: CourseFact, facts: Facts, policy: Policy, asked: Asked = NOBODY
) -> Case:
    """Put the promotion of a queued student as a case: judged by the same rules, as of today."""
    student = facts.students[student_id]
    enrollment = course.queue[student_id]
    mine = asked if asked.student_id == student_id else NOBODY
    change = mine.changes.get(course.course_id) or Change("enroll", course.course_id)
    return Case(
        change, student, course, enrollment, policy.today(course.term.time_zone), policy,
        facts.courses, _given_up(student, course, facts, policy), mine.together,
    )  # fmt: skip


def _given_up(
    student: StudentFact, course: CourseFact, facts: Facts, policy: Policy
) -> CourseFact | None:
    """Give the course that a promotion gives up, as long as the student is enrolled in it."""
    old_id = course.queue[student.student_id].instead_of
    if (student.student_id, old_id) in policy.kept:
        return None
    old = None if old_id is None else student.enrollments.get(old_id)
    is_live = old is not None and old.status in LIVE_STATUSES
    return facts.courses[old_id] if is_live and old_id is not None else None


def judge_promotion(case: Case, seats: Seats) -> Verdict:
    """Judge a promotion: the rules, the drop of a course that is given up, then the seat."""
    verdict = judge(ALWAYS, case) + judge(FOR_A_SEAT, case) + judge_given_up(case)
    return verdict + judge_seat(case, seats)


def judge_given_up(case: Case) -> Verdict:
    """Judge whether the course of a swap can be dropped."""
    old = given_up_case(case)
    return CLEAR if old is None else judge(DROPPING, old)


def given_up_case(case: Case) -> Case | None:
    """Put the drop of the old course of a swap as a case, or none when nothing is given up."""
    old = case.given_up
    if old is None:
        return None
    enrollment = case.student.enrollments.get(old.course_id)
    change = Change("drop", old.course_id, reason=case.change.reason)
    change.overrides = case.change.overrides
    return case._replace(
        change=change, course=old, enrollment=enrollment, given_up=None,
        on=case.on if enrollment is None else max(case.on, enrollment.changed_on),
    )  # fmt: skip


def judge_queue(
    course: CourseFact,
    facts: Facts,
    policy: Policy,
    *,
    seats: Seats | None = None,
    only: Iterable[int] | None = None,
) -> dict[int, Verdict]:
    """Judge the queued students, in the order of places, as if those before had had their turn.

    Args:
        course: the course.
        facts: with the students of its queue.
        policy: how to judge.
        seats: gives out its seats in the mind; who is promoted is counted in.
        only: some of the queue, in the order of places.
    """
    seats = seats or Seats(course, policy.today(course.term.time_zone))
    found: dict[int, Verdict] = {}
    everybody = list(course.queue if only is None else only)
    waiting = everybody.copy()
    with facts.journaling() as start:
        while waiting:
            student_id = waiting.pop(0)
            case = promotion_case(student_id, course, facts, policy)
            found[student_id], _ = _judge_with_others(case, seats, facts, NOBODY)
            if not found[student_id].refusals:
                seats.take(case.student)
                if fills_two(case.student, course):
                    waiting = [other for other in everybody if _is_waiting(found.get(other))]
        facts.rewind(start)
    return found


def _is_waiting(verdict: Verdict | None) -> bool:
    return verdict is None or bool(verdict.refusals)


def turn_of(case: Case, facts: Facts) -> Verdict:
    """Judge whether a seat stays for a queued student when those before have had their turn."""
    course, me = case.course, case.student.student_id
    seats = Seats(course, case.today)
    if course.has_free_seat:
        before = itertools.takewhile(lambda student_id: student_id != me, course.queue)
        judge_queue(course, facts, case.policy, seats=seats, only=before)
    return judge_seat(case, seats)


def run_queue(
    course: CourseFact,
    facts: Facts,
    policy: Policy,
    asked: Asked = NOBODY,
    *,
    last: int | None = None,
) -> list[Promotion]:
    """Give the free seats of a course to its queue, first come first served.

    Whoever a rule blocks keeps the place and is passed over, with an event that names the rule.

    Args:
        course: the course.
        facts: with the students of its queue.
        policy: how to judge.
        asked: on whose account the queue is run.
        last: stops after this student, who alone may be given other courses with this one.

    Returns:
        Who got a seat: in this course, and in those that had to be given together with it.
    """
    promotions: list[Promotion] = []
    today = policy.today(course.term.time_zone)
    waiting, passed = candidates(course, facts, policy, asked), set[int]()
    while waiting and (course.has_free_seat or course.has_extra_seats):
        student_id = waiting.pop(0)
        case, seats = promotion_case(student_id, course, facts, policy, asked), Seats(course, today)
        if last is None or student_id == last:
            verdict, others = _judge_with_others(case, seats, facts, asked)
            promotions += others
        else:
            verdict = judge_promotion(case, seats)
        if not verdict.refusals:
            promotions.append(_promote(case, facts, verdict, today))
            if fills_two(case.student, course):
                waiting = candidates(course, facts, policy, asked)
        elif course.has_free_seat and student_id not in passed:
            passed.add(student_id)
            facts.events.append(_passed_over(case, verdict.refusals[0], today))
        if student_id == last:
            break
    return promotions


def _judge_with_others(
    case: Case, seats: Seats, facts: Facts, asked: Asked
) -> tuple[Verdict, list[Promotion]]:
    """Judge a promotion, with those that it can be given only together with.

    Courses can ask for each other: then nobody who waits in both gets a seat in either alone. What
    the student lacks and waits for, too, is promoted first, as if the seat here were given: by a
    run of that queue as far as the student. When it does not lead to a seat here, all of it is
    taken back.

    Returns:
        The verdict, and the promotions that it takes, which have been made.
    """
    first, taken = judge_promotion(case, seats), list[Promotion]()
    others = _lacking(case, first, facts)
    if not others:
        return first, taken
    student_id, verdict = case.student.student_id, first
    together = {**case.together, case.course.course_id: "seat"}
    changes = asked.changes if asked.student_id == student_id else NOBODY.changes
    with facts.journaling() as start:
        for other in others:
            before = facts.begin_journal()
            moved = run_queue(
                other, facts, case.policy, Asked(student_id, changes, together), last=student_id
            )
            judged = judge_promotion(case, seats)
            if student_id in other.queue or not lacks_only_others(judged):
                facts.rewind(before)
                continue
            verdict = judged
            taken += moved
            if not verdict.refusals:
                return verdict, taken
        facts.rewind(start)
    return first, []


def _lacking(case: Case, verdict: Verdict, facts: Facts) -> list[CourseFact]:
    """List what a student lacks for a seat and waits for too, when it is all that they lack."""
    if not verdict.refusals or not lacks_only_others(verdict):
        return []
    return [
        other
        for other in waits_of(case.student, facts)
        if other.is_locked
        and other.course_id not in case.together
        and other is not case.course
        and case.course.is_taken_with(other.code)
    ]


def lacks_only_others(verdict: Verdict) -> bool:
    """Tell whether seats in other courses are all that can be missing."""
    return all(refusal.code in LACKING for refusal in verdict.refusals)


def _promote(case: Case, facts: Facts, verdict: Verdict, today: date) -> Promotion:
    student, course, old = case.student, case.course, case.given_up
    if old is not None:
        give_up(facts, student, old, course, on=today)
    detail = detail_of(case, verdict.cleared)
    facts.move(student, course, Move("promote", "enrolled", today, detail=detail))
    return Promotion(
        student.number, course.ref, student.student_id, course.course_id,
        instead_of=None if old is None else old.ref, freed=None if old is None else old.course_id,
    )  # fmt: skip


def give_up(
    facts: Facts, student: StudentFact, old: CourseFact, new: CourseFact, *, on: date,
    line: int | None = None,
) -> None:  # fmt: skip
    """Drop the old course of a swap; the event says for which course.

    A swap can be dated back to before the old course was taken; the drop is not.
    """
    on = max(on, student.enrollments[old.course_id].changed_on)
    detail = json.dumps({"swap_to": new.ref}, ensure_ascii=False)
    facts.move(student, old, Move("drop", "dropped", on, line, detail=detail))


def detail_of(case: Case, cleared: frozenset[str], **more: object) -> str | None:
    """Keep with an event why it was, which rules were overridden, and by which grants, as JSON."""
    if not (cleared or more or case.change.reason):
        return None
    used = [
        grant.override_id
        for course in (case.course, case.given_up)
        if course is not None
        for grant in case.student.grants.get(course.course_id, ())
        if grant.is_active(case.today) and grant.rule in cleared - case.change.overrides
    ]
    detail = {
        "reason": case.change.reason, "overrides": sorted(cleared), "granted": used, **more,
    }  # fmt: skip
    kept = {name: value for name, value in detail.items() if value}
    return json.dumps(kept, ensure_ascii=False) if kept else None


def _passed_over(case: Case, refusal: Refusal, today: date) -> Event:
    student_id = case.student.student_id
    place = case.course.queue[student_id].place
    return Event(
        None, student_id, case.course.course_id, "pass-over", "waitlisted", "waitlisted", place,
        None, refusal.code, today, None,
    )  # fmt: skip


def run_queues(
    touched: Iterable[CourseFact], facts: Facts, policy: Policy, asked: Asked = NOBODY
) -> list[Promotion]:
    """Run queues until nobody moves any more: a promotion can free a seat or unblock another."""
    promotions: list[Promotion] = []
    waiting = list(touched)
    while waiting:
        course = waiting.pop(0)
        moved = run_queue(course, facts, policy, asked)
        promotions += moved
        for promotion in moved:
            student, new = facts.students[promotion.student_id], facts.courses[promotion.course_id]
            freed = None if promotion.freed is None else facts.courses[promotion.freed]
            also = [] if freed is None else [freed]
            also += [] if new is course else [new]
            also += [c for c in waits_of(student, facts) if freed or c.is_taken_with(new.code)]
            waiting += [course for course in also if course not in waiting]
    return promotions


def waits_of(student: StudentFact, facts: Facts) -> list[CourseFact]:
    """List the courses in whose queues a student waits, by id."""
    return [facts.courses[course_id] for course_id in sorted(student.enrollments.waiting())]
