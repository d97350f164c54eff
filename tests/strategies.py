"""Random catalogues in which every rule has something to say, and random files for them.

Drawn from a seed and not value by value: hypothesis prefers the ends of every choice, and then
nearly every change would be refused by the first rule. A failing case is printed as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from studentcli.formats.native import ENROLLMENT_COLUMNS
from studentcli.rules import OVERRIDABLE
from tests import ledger
from tests.world import TODAY, World

STUDENTS = ("S1", "S2", "S3", "S4", "S5", "S6")
COURSES = (
    ("ALL", "A", "1"),
    ("ALL", "A", "2"),
    ("ALL", "B", "1"),
    ("ALL", "L", "1"),
    ("T2", "A", "1"),
    ("T2", "C", "1"),
)
REFS = tuple(f"{term}/{code}-{section}" for term, code, section in COURSES)
WORDS = ("A", "A-1", "A-2", "ALL/A-1", "B", "B-1", "L", "T2/A", "C")
"""`A` is one of three, by the term of the row and by what the student is enrolled in."""
PAST = "OLD"
PAST_COURSES = ((PAST, "A", "1"), (PAST, "B", "1"), (PAST, "L", "1"))
GONE = {
    "starts_on": "2025-08-01",
    "ends_on": "2026-02-01",
    "enroll_from": "2025-07-01",
    "enroll_until": "2025-09-01",
}
ACTIONS = (*["enroll"] * 8, *["drop"] * 3, "withdraw", "complete")
GRADES = ("A", "A", "B", "C", "F")
NOTHING = "-"
HEADER = ",".join(ENROLLMENT_COLUMNS) + "\n"

Cells = dict[str, Any]
Drawn = TypeVar("Drawn")


def on_a_database(examples: int) -> settings:
    """Draw as often, the same cases every time.

    Shrinking and explaining would run for minutes on a database; a failing case is small enough.
    """
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )


def drawn(draw: Callable[[Random], Drawn]) -> st.SearchStrategy[Drawn]:
    """Make a strategy of what draws from a generator of random numbers."""
    return st.randoms(use_true_random=True).map(draw)


def some(rng: Random, values: Sequence[Drawn], low: int, high: int) -> list[Drawn]:
    """Draw a number of different values."""
    return rng.sample(values, rng.randint(low, min(high, len(values))))


def often(usual: Any, *others: Any) -> tuple[Any, ...]:
    """Give the usual in half of the cases."""
    return (*[usual] * len(others), *others)


def days(*offsets: int) -> list[str]:
    """Write dates so many days from today."""
    return [str(TODAY + timedelta(days=offset)) for offset in offsets]


# ── what the rules look at ───────────────────────────────────────────────────────────────

SEATS: dict[str, Sequence[Any]] = {
    "capacity": (NOTHING, 0, 1, 1, 2, 2, 2, 3, 3),
    "waitlist": (0, 1, 2, 3, 4, 5),
    "status": (*["open"] * 14, "closed"),
}
RULES: dict[str, Sequence[Any]] = {
    "credits": (0, 1, 1, 2, 3),
    "meetings": (
        NOTHING, "MW 10:00-11:00", "M 10:30-12:00", "W 11:00-12:00; T 09:00-10:00"
    ),
    "requires": often(NOTHING, "B", "B:B", "L:in-progress", "A:C|B", "B:in-progress & L:D"),
    "corequisites": often(NOTHING, "L", "B|L", "A", "C"),
    "restricted": often(NOTHING, "senior", "!probation", "senior|honors & !probation"),
    "reserved": often(
        NOTHING, "honors=1", "honors=2", "honors=1; senior=1",
        *(f"senior=1 until {last}" for last in days(-1, 0)),
    ),
    "repeats": often(NOTHING, 0, 1),
}  # fmt: skip
CALENDAR: dict[str, Sequence[Any]] = {
    "enroll_from": often(NOTHING, *days(-9, -3, -1)),
    "enroll_until": often(NOTHING, *days(9, -1, 0, 1)),
    "drop_until": often(NOTHING, *days(-3, -1, 0, 1)),
    "withdraw_until": often(NOTHING, *days(-3, -1, 0, 1)),
}
OPEN = {"enroll_from": days(-9)[0], "enroll_until": days(9)[0]}
KINDS = (*RULES, "calendar")


def course(rng: Random, kinds: Sequence[str]) -> Cells:
    """Draw a course; only some kinds of rules say something, or nobody would get in anywhere."""
    cells = {name: rng.choice(values) for name, values in SEATS.items()}
    for name, values in RULES.items():
        cells[name] = rng.choice(values) if name in kinds else NOTHING
    return cells | calendar(rng, kinds)


def calendar(rng: Random, kinds: Sequence[str]) -> Cells:
    """Draw a window and deadlines, or none of them."""
    is_given = "calendar" in kinds and rng.random() < 0.4
    return {name: rng.choice(dates) if is_given else NOTHING for name, dates in CALENDAR.items()}


def term(rng: Random, kinds: Sequence[str]) -> Cells:
    """Draw the limits and the calendar of a term."""
    return {
        "max_credits": rng.randint(3, 7) if "credits" in kinds else NOTHING,
        "max_waitlists": rng.choice((*[NOTHING] * 9, 0, 1, 2)),
        "grades": rng.choice((NOTHING, NOTHING, "A B C | F")),
    } | calendar(rng, kinds)


def student(rng: Random) -> Cells:
    """Draw what the rules know about a student."""
    return {
        "status": rng.choice((*["active"] * 9, "inactive")),
        "max_credits": rng.choice((NOTHING, NOTHING, NOTHING, 1, 3, 6)),
        "tags": rng.choice((NOTHING, "honors", "senior", "honors senior", "probation")),
    }


@dataclass(frozen=True)
class Held:
    """A hold on a student."""

    student: str
    blocks: str
    from_on: str
    until_on: str | None


@dataclass(frozen=True)
class Granted:
    """An override of one rule for a student in a course."""

    student: str
    ref: str
    rule: str
    until_on: str | None


def held(rng: Random) -> Held:
    """Draw a hold that is, was or will be active."""
    until = rng.choice((None, *days(1, 2)))
    return Held(
        rng.choice(STUDENTS), rng.choice(("add", "add-drop")), rng.choice(days(-2, 0, 1)), until
    )


def granted(rng: Random) -> Granted:
    """Draw an override, of a seat more often than of another rule."""
    usual = ("course-full", "seat-reserved", "credit-load", "prerequisite-missing")
    rule = rng.choice((*sorted(OVERRIDABLE), *usual * 3))
    until = rng.choice((None, None, *days(0, 1)))
    return Granted(rng.choice(STUDENTS), rng.choice(REFS), rule, until)


# ── a whole catalogue ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Catalogue:
    """What stands in the database before a file arrives."""

    courses: tuple[Cells, ...]
    terms: tuple[Cells, ...]
    students: tuple[Cells, ...]
    passed: tuple[tuple[str, str, str], ...]
    holds: tuple[Held, ...]
    grants: tuple[Granted, ...]
    enrolled: tuple[tuple[str, str], ...]

    def fill(self, world: World) -> None:
        """Make it: first open to everybody, then with its rules, which run the queues."""
        world.clear()
        for code in ("T2", PAST):
            world.term(code)
        world.import_csv(table(("student",), [{"student": number} for number in STUDENTS]))
        bare = {"capacity": NOTHING, "waitlist": 0, "status": "open"}
        seats = [
            {**{name: cells[name] for name in bare}, "status": "open"} for cells in self.courses
        ]
        named = [*COURSES, *PAST_COURSES]
        world.import_csv(course_table(named, [*seats, *[bare] * len(PAST_COURSES)]))
        world.import_csv(self._history(), on_error="skip")
        for one in self.grants:
            ledger.grant(world, one.student, one.ref, one.rule, one.until_on)
        for hold in self.holds:
            ledger.place_hold(world, hold.student, hold.blocks, hold.from_on, hold.until_on)
        world.import_csv(self._enrolled(), on_error="skip")
        world.import_csv(table(("student",), _keyed("student", STUDENTS, self.students)))
        world.import_csv(table(("term",), _keyed("term", ("ALL", "T2"), self.terms)))
        world.term(PAST, **GONE)
        world.import_csv(course_table(COURSES, self.courses), on_error="skip")

    def _history(self) -> str:
        rows = [
            f"{action},{number},{code},{PAST},{grade if action == 'complete' else ''}\n"
            for number, code, grade in self.passed
            for action in ("enroll", "complete")
        ]
        return "action,student,course,term,grade\n" + "".join(rows)

    def _enrolled(self) -> str:
        return "student,course\n" + "".join(f"{number},{ref}\n" for number, ref in self.enrolled)


def _keyed(name: str, keys: tuple[str, ...], cells: tuple[Cells, ...]) -> list[Cells]:
    return [{name: key, **more} for key, more in zip(keys, cells, strict=True)]


def table(key: tuple[str, ...], rows: list[Cells]) -> str:
    """Write records as a file."""
    columns = [*key, *(name for name in rows[0] if name not in key)]
    lines = [",".join(str(row[name]) for name in columns) for row in rows]
    return "\n".join([",".join(columns), *lines, ""])


def course_table(named: Sequence[tuple[str, str, str]], cells: Sequence[Cells]) -> str:
    """Write courses as a file."""
    key = ("term", "course", "section")
    rows = [
        {**dict(zip(key, n, strict=True)), **more} for n, more in zip(named, cells, strict=True)
    ]
    return table(key, rows)


def catalogue(rng: Random) -> Catalogue:
    """Draw everything that stands before a file arrives."""
    kinds = some(rng, KINDS, 0, 4)
    pairs = [(number, ref) for number in STUDENTS for ref in REFS]
    past = [(number, code) for number in STUDENTS for _, code, _ in PAST_COURSES]
    t2 = {name: OPEN.get(name, v) if v == NOTHING else v for name, v in term(rng, kinds).items()}
    return Catalogue(
        courses=tuple(course(rng, kinds) for _ in COURSES),
        terms=(term(rng, kinds), t2),
        students=tuple(student(rng) for _ in STUDENTS),
        passed=tuple((*pair, rng.choice(GRADES)) for pair in some(rng, past, 0, 9)),
        holds=tuple(held(rng) for _ in range(rng.choice((0, 0, 1, 2)))),
        grants=tuple(granted(rng) for _ in range(rng.randint(0, 4))),
        enrolled=tuple(some(rng, pairs, 6, 24)),
    )


# ── a file of enrollments ────────────────────────────────────────────────────────────────


def word(rng: Random) -> str:
    """Draw a course as somebody writes it, seldom one that is not there."""
    return "Z" if rng.random() < 0.02 else rng.choice((*REFS, *REFS, *WORDS))


def row(rng: Random, number: str, on: str, mine: Sequence[str]) -> str:
    """Draw one row; what is left or given up is mostly one of the student's own courses."""
    action, old = rng.choice(ACTIONS), own(rng, mine)
    name = word(rng) if action == "enroll" else own(rng, mine)
    rules = rng.choice(("", "", "", "", "", "course-full", "already-withdrawn", "any"))
    override = rng.choice(sorted(OVERRIDABLE)) if rules == "any" else rules
    cells = {
        "action": action,
        "student": number,
        "course": name,
        "term": "" if "/" in name else rng.choice(("T2" if name == "C" else "ALL", "ALL", "")),
        "section": "1" if name in {"A", "C"} and rng.random() < 0.5 else "",
        "effective_on": on,
        "grade": rng.choice(GRADES) if action == "complete" else "",
        "override": override,
        "reason": "because" if override or rng.random() < 0.3 else "",
        "request": rng.choice(("", "", "", "r1", "r2")),
        "instead_of": old if action == "enroll" and rng.random() < 0.25 else "",
    }
    return ",".join(cells[name] for name in ENROLLMENT_COLUMNS) + "\n"


def own(rng: Random, mine: Sequence[str]) -> str:
    return rng.choice(mine) if mine and rng.random() < 0.7 else word(rng)


def rows(rng: Random, enrolled: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Draw a file: some rows of one student after the other."""
    found: list[str] = []
    for _ in range(rng.randint(4, 24)):
        number = "S9" if rng.random() < 0.01 else rng.choice(STUDENTS)
        mine = [ref for who, ref in enrolled if who == number]
        on = rng.choice(("", "", "", *days(-4, -1, 0, 0)))
        found += [row(rng, number, on, mine) for _ in range(rng.choice((1, 1, 2, 3)))]
    return tuple(found)
