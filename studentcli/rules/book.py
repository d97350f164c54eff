"""The rule book: every rule of registration as one row. All of them are always evaluated."""

from collections.abc import Callable, Hashable, Iterable
from typing import Final, Literal, NamedTuple

from studentcli import errors
from studentcli.facts import CourseFact, Courses
from studentcli.requests import Refusal
from studentcli.rules import admission, load, record
from studentcli.rules.case import Case, IsPlain


def every_course(_: CourseFact) -> bool:
    """Any course: what the rule looks at belongs to the student or to the day."""
    return True


def window(course: CourseFact) -> Hashable:
    """The enroll window of a course that has one."""
    return course.window if any(course.window) else None


class Rule(NamedTuple):
    """A rule: its stable code, the function that judges, for what it counts, and where.

    `always`: for a seat and for a place in the queue; `seat`: only for a seat, so that it is judged
    when the queue gives one; `place`: only for a place in the queue. `concerns` gives what of a
    course the rule looks at: where that is nothing, `judge` finds nothing, ever. `looks_at` tells
    at what else it looks: at the `day` alone; at the `person`, which is the student's status, tags
    and holds; or at the whole `record`. For equal days or persons it finds the same wherever
    `concerns` gives the same; a reason and overrides can only clear it. Of a record `is_plain`
    makes a quick test for a course: in whom that lets pass `judge` finds nothing.
    """

    code: str
    judge: Callable[[Case], Refusal | None]
    counts: Literal["always", "seat", "place"] = "always"
    concerns: Callable[[CourseFact], Hashable] = every_course
    looks_at: Literal["day", "person", "record"] = "record"
    is_plain: Callable[[CourseFact, Courses], IsPlain] | None = None


_INACTIVE: Final = Rule("student-inactive", admission.student_is_inactive, looks_at="person")
_HOLD: Final = Rule("hold", admission.hold_on_record, looks_at="person")
ADDING: Final = (
    _INACTIVE,
    Rule(
        "course-closed", admission.course_is_closed, "always", lambda c: c.status != "open", "day"
    ),
    _HOLD,
    Rule("window-closed", admission.window_is_closed, "always", window, "day"),
    Rule("restricted", admission.student_is_restricted, "always", lambda c: c.restricted, "person"),
    Rule(
        "prerequisite-missing",
        record.prerequisite_is_missing,
        "always",
        lambda c: c.requires,
        is_plain=record.has_what_is_required,
    ),
    Rule(
        "duplicate-section",
        record.section_is_a_duplicate,
        "always",
        lambda c: c.has_sections,
        is_plain=record.has_no_other_of_its_code,
    ),
    Rule(
        "repeat-limit",
        record.repeats_are_used_up,
        "always",
        lambda c: c.repeats is not None,
        is_plain=record.has_no_other_of_its_code,
    ),
    Rule("corequisite-missing", record.corequisite_is_missing, "seat", lambda c: c.corequisites),
    Rule("time-conflict", load.time_conflicts, "seat", lambda c: c.week, is_plain=load.is_free_in),
    Rule(
        "credit-load",
        load.credit_load_is_exceeded,
        "seat",
        lambda c: c.credit_hours,
        is_plain=load.has_hours_for,
    ),
    Rule("corequisite-missing", record.corequisite_is_unplanned, "place", lambda c: c.corequisites),
    Rule("waitlist-limit", load.waitlists_are_used_up, "place"),
)
DROPPING: Final = (
    _HOLD,
    Rule("drop-deadline", admission.drop_is_late),
)
WITHDRAWING: Final = (
    _HOLD,
    Rule("withdraw-deadline", admission.withdrawal_is_late),
)
LEAVING: Final = {"drop": DROPPING, "withdraw": WITHDRAWING}
SEATING: Final = ("course-full", "waitlist-full", "seat-reserved")
"""What `seats` says when there is neither a seat nor a place."""

ALWAYS: Final = tuple(rule for rule in ADDING if rule.counts == "always")
FOR_A_SEAT: Final = tuple(rule for rule in ADDING if rule.counts == "seat")
FOR_A_PLACE: Final = tuple(rule for rule in ADDING if rule.counts == "place")

OVERRIDABLE: Final = frozenset(
    {rule.code for rule in (*ADDING, *DROPPING, *WITHDRAWING)} | {*SEATING, "already-withdrawn"}
)


def require_overridable(code: str) -> str:
    """Give the code of a rule back that may be broken.

    Raises:
        errors.BadValue: for any other word, listing those that can.
    """
    if code not in OVERRIDABLE:
        raise errors.BadValue(
            f"override: {code!r} cannot be overridden",
            hint=f"these can: {', '.join(sorted(OVERRIDABLE))}",
        )
    return code


class Verdict(NamedTuple):
    """What rules say: the refusals that stand, and the codes that an override has cleared."""

    refusals: tuple[Refusal, ...] = ()
    cleared: frozenset[str] = frozenset()

    def __add__(self, other: "Verdict") -> "Verdict":  # type: ignore[override]
        """Take two verdicts together; what both refuse in the same words is said once."""
        refusals = self.refusals + other.refusals
        if self.refusals and other.refusals:
            refusals = tuple(dict.fromkeys(refusals))
        return Verdict(refusals, self.cleared | other.cleared)


CLEAR: Final = Verdict()


def rules_of(course: CourseFact, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Give those of some rules that can refuse anybody in a course."""
    return tuple(rule for rule in rules if rule.concerns(course))


def judge(rules: Iterable[Rule], case: Case) -> Verdict:
    """Judge a case by every one of some rules, not only by the first that fails."""
    found = [refusal for rule in rules if (refusal := rule.judge(case)) is not None]
    return weigh(found, case) if found else CLEAR


def weigh(found: Iterable[Refusal], case: Case) -> Verdict:
    """Tell the refusals that stand from those that an override clears."""
    allowed = case.allowed
    return Verdict(
        tuple(refusal for refusal in found if refusal.code not in allowed),
        frozenset(refusal.code for refusal in found if refusal.code in allowed),
    )
