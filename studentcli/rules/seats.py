"""A seat, a place in the queue, or neither; and who moves up when a seat becomes free."""

from datetime import date

from studentcli.facts import CourseFact, Event, Facts, Move, StudentFact
from studentcli.requests import Change, Policy, Promotion, Refusal
from studentcli.rules.admission import admission_refusals


def seat_or_refusal(
    course: CourseFact, change: Change, facts: Facts, policy: Policy
) -> str | Refusal:
    """Give `enrolled`, `waitlisted`, or the reason why neither is possible.

    Whenever a queue exists a newcomer joins its end, also in front of a free seat: then the queue
    is run, and whoever is eligible and first gets the seat (SEMANTICS, waitlist).
    """
    if "course-full" in change.overrides or (not course.queue and course.has_free_seat):
        return "enrolled"
    if queue_can_move(course, policy) and _free_after_queue(course, facts):
        return "waitlisted"
    may_join = policy.allow_waitlist and (
        len(course.queue) < course.waitlist_capacity or "waitlist-full" in change.overrides
    )
    return "waitlisted" if may_join else _no_place(course, policy)


def _no_place(course: CourseFact, policy: Policy) -> Refusal:
    """Say why there is neither a seat nor a place in the queue."""
    seats = f"{course.taken}/{course.capacity} seats taken"
    waiting = len(course.queue)
    full = f"{course.ref} is full ({seats})"
    if course.has_free_seat:
        full = f"the free seats of {course.ref} ({seats}) belong to its queue of {waiting}"
    if policy.allow_waitlist and course.waitlist_capacity:
        return Refusal(
            "waitlist-full",
            f"{full} and its waitlist is full too ({waiting}/{course.waitlist_capacity})",
            "try another section, or raise --waitlist with studentcli course edit",
        )
    hint = "try another section, or raise the capacity with studentcli course edit"
    if waiting < course.waitlist_capacity:
        hint = "leave out --no-waitlist to join the queue"
    return Refusal("course-full", full, hint)


def queue_can_move(course: CourseFact, policy: Policy) -> bool:
    """Tell whether anybody could move up: a free seat, an open course, the window not over."""
    if not course.queue or not course.has_free_seat or course.status != "open":
        return False
    until = course.term.enroll_until
    return until is None or policy.today(course.term.time_zone) <= until


def _free_after_queue(course: CourseFact, facts: Facts) -> bool:
    """Tell whether a seat stays free when everybody eligible in the queue has got one."""
    if course.capacity is None:
        return True
    eligible = sum(
        not admission_refusals(facts.students[student_id], course) for student_id in course.queue
    )
    return course.capacity - course.taken > eligible


def run_queue(course: CourseFact, facts: Facts, policy: Policy) -> list[Promotion]:
    """Give the free seats of a course to its queue, first come first served.

    Whoever a rule blocks keeps the place and is passed over, with an event that names the rule.
    """
    promotions: list[Promotion] = []
    if not queue_can_move(course, policy):
        return promotions
    today = policy.today(course.term.time_zone)
    for student_id in list(course.queue):
        if not course.has_free_seat:
            break
        student = facts.students[student_id]
        blocked = admission_refusals(student, course)
        if blocked:
            facts.events.append(_passed_over(student, course, blocked[0], today))
        else:
            facts.move(student_id, course, Move("promote", "enrolled", today))
            promotions.append(Promotion(student.number, course.ref, student_id))
    return promotions


def _passed_over(student: StudentFact, course: CourseFact, refusal: Refusal, today: date) -> Event:
    place = course.queue[student.student_id].place
    return Event(
        None, student.student_id, course.course_id, "pass-over", "waitlisted", "waitlisted",
        place, None, refusal.code, today, None,
    )  # fmt: skip
