"""The straight way gives what the full one gives, or nothing: it never lets anybody past a rule."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from random import Random
from typing import Any

import pytest
from hypothesis import given

from studentcli.columns import Column
from studentcli.facts import Courses, Facts, StudentFact
from studentcli.formats.native import ENROLLMENT_COLUMNS
from studentcli.requests import Adds, Change, Decision, Policy, Refusal, Request, Wanted
from studentcli.rules import Decider, SeatedRows, decide, one_by_one
from studentcli.rules.book import ADDING
from studentcli.rules.case import Case, IsPlain
from studentcli.services.loading import Deciding
from tests.rules.registry import Registry, change
from tests.strategies import HEADER, REFS, STUDENTS, days, drawn, on_a_database
from tests.test_batch_equals_singles import EXAMPLES, case, requests_of
from tests.test_batch_equals_singles import Case as Example
from tests.world import World


@dataclass
class Desk:
    """The requests of a file, who asks, and the facts under them."""

    requests: list[Request]
    students: list[StudentFact | Refusal]
    deciding: Deciding

    @property
    def facts(self) -> Facts:
        """The facts."""
        return self.deciding.facts

    def decide(self, number: int, look: Any = None) -> Decision:
        """Decide a request in full."""
        deciding = self.deciding
        return decide(
            self.requests[number], self.students[number], deciding.index.find_for, self.facts,
            deciding.policy, look=look,
        )  # fmt: skip


@pytest.fixture(scope="module")
def sqlite_stage(new_database: Callable[..., str]) -> Iterator[World]:
    """Give one database for all the drawn cases: the rules know no engine."""
    world = World(new_database("sqlite"))
    yield world
    world.database.dispose()


@pytest.fixture(scope="module")
def went() -> Iterator[Counter[str]]:
    """Count what went straight; both ways must have been taken often."""
    counted: Counter[str] = Counter()
    yield counted
    assert counted["straight"] > EXAMPLES
    assert counted["in full"] > EXAMPLES
    assert min(counted[result] for result in ("enrolled", "unchanged", "waitlisted")) > 0, counted


@pytest.fixture(scope="module")
def seated() -> Iterator[Counter[str]]:
    """Count what rows came to."""
    counted: Counter[str] = Counter()
    yield counted
    assert min(counted[what] for what in ("enrolled", "unchanged", "one by one")) > 0, counted


@pytest.fixture(scope="module")
def quick() -> Iterator[Counter[str]]:
    """Count whom quick tests let pass; each must have done so, and not done so."""
    counted: Counter[str] = Counter()
    yield counted
    tested = [rule.code for rule in ADDING if rule.is_plain is not None]
    assert tested
    for code in tested:
        assert min(counted[f"{code} True"], counted[f"{code} False"]) > 0, counted


def easy(rng: Random) -> Example:
    """Draw a catalogue with room, and a file in which every student adds many courses alone."""
    drawn_case = case(rng)
    before = drawn_case.catalogue
    courses = tuple(
        {**cells, "capacity": rng.choice((cells["capacity"], 2, 3, 4))} for cells in before.courses
    )
    asked = [(number, ref) for number in STUDENTS for ref in REFS]
    rng.shuffle(asked)
    more = [
        add(rng, number, ref) for number, ref in asked if rng.random() < 0.7
    ]  # fmt: skip
    return replace(
        drawn_case, rows=(*more, *drawn_case.rows),
        catalogue=replace(before, courses=courses, enrolled=before.enrolled[:9]),
    )  # fmt: skip


def add(rng: Random, number: str, ref: str) -> str:
    """Write a row that adds one course, now and then with what such a row can have beside it."""
    cells = {
        "action": "enroll", "student": number, "course": ref,
        "effective_on": rng.choice(("", *days(-1, 0, 0, 1))),
        "override": rng.choice((*[""] * 9, "credit-load", "course-full")),
    }  # fmt: skip
    cells["reason"] = "because" if cells["override"] or rng.random() < 0.2 else ""
    return ",".join(cells.get(name, "") for name in ENROLLMENT_COLUMNS) + "\n"


def desks(world: World, example: Example, folder: Any, number: int) -> list[Desk]:
    """Load the facts of a random file over a random catalogue, anew for each desk."""
    example.catalogue.fill(world)
    requests = requests_of(HEADER + "".join(example.rows), folder)
    wanted = Wanted()
    for request in requests:
        wanted.add(request)
    policy = Policy(
        world.now, allow_waitlist=example.allow_waitlist, all_or_none=example.all_or_none,
        strict=example.strict,
    )  # fmt: skip
    found = []
    for _ in range(number):
        with world.database.session(writes=False) as session:
            deciding = Deciding(session, policy)
            deciding.lock(wanted)
            found.append(Desk(requests, deciding.load(requests), deciding))
    return found


def state_of(facts: Facts) -> dict[str, Any]:
    """Write down all that decisions move."""
    return {
        "events": facts.told(),
        "changed": facts.changed,
        "seats": {c.course_id: (c.taken, c.filled, list(c.queue)) for c in facts.locked()},
        "students": {s.student_id: s.enrollments for s in facts.students.values()},
        "waits": {s.student_id: s.enrollments.waits for s in facts.students.values()},
        "loads": {
            s.student_id: (s.count(facts.courses).week, s.hours) for s in facts.students.values()
        },
    }


@on_a_database(EXAMPLES)
@given(example=drawn(easy))
def test_the_straight_way_gives_what_the_full_one_gives(
    sqlite_stage: World, tmp_path_factory: pytest.TempPathFactory, went: Counter[str],
    example: Example,
) -> None:  # fmt: skip
    one, other = desks(sqlite_stage, example, tmp_path_factory.getbasetemp(), 2)
    decider = Decider(one.deciding.index.find_for, one.facts, one.deciding.policy)
    for number, request in enumerate(one.requests):
        before = copy.deepcopy(state_of(one.facts))
        full = other.decide(number)
        decision = decider.straight(request, one.students[number])
        if decision is None:
            assert state_of(one.facts) == before
            decision = one.decide(number)
            went["in full"] += 1
        else:
            went["straight"] += 1
            went[decision.outcomes[0].result] += 1
        assert asdict(decision) == asdict(full)
        assert state_of(one.facts) == state_of(other.facts)


def in_columns(requests: list[Request]) -> list[Request | Adds]:
    """Put the requests that are plainly adds together, as the reader of a file does."""
    tables: tuple[list[Any], ...] = ([], [], [])
    items: list[Request | Adds] = []
    for plain, alike in groupby(requests, is_plain):
        some = list(alike)
        if not plain:
            items += some
            continue
        changes = [request.changes[0] for request in some]
        cells = (
            [request.student for request in some], [change.course for change in changes],
            [change.effective_on for change in changes],
        )  # fmt: skip
        columns = [column_of(*each) for each in zip(tables, cells, strict=True)]
        items.append(Adds([change.line or 0 for change in changes], *columns))
    return items


def is_plain(request: Request) -> bool:
    (one, *more), bare = request.changes, Change("enroll", 0)
    words = (one.action, one.reason, one.overrides, one.instead_of, one.grade)
    return not more and words == (bare.action, None, bare.overrides, None, None)


def column_of(table: list[Any], cells: Any) -> Column:
    table += dict.fromkeys(cell for cell in cells if cell not in table)
    return Column(table, [table.index(cell) for cell in cells])


@on_a_database(EXAMPLES)
@given(example=drawn(easy))
def test_rows_in_columns_give_what_their_requests_give(
    sqlite_stage: World, tmp_path_factory: pytest.TempPathFactory, seated: Counter[str],
    example: Example,
) -> None:  # fmt: skip
    one, other = desks(sqlite_stage, example, tmp_path_factory.getbasetemp(), 2)
    items, whose = in_columns(one.requests), iter(one.students)
    found: list[Any] = []
    for item in items:
        by = [next(whose) for _ in range(len(item))] if isinstance(item, Adds) else next(whose)
        came = one.deciding.decide_next(item, by)
        for result in came:
            if isinstance(result, SeatedRows):
                seated.update(result.results)
            elif isinstance(item, Adds):
                seated["one by one"] += 1
        found += one_by_one(came)
    full = [other.decide(number) for number in range(len(other.requests))]
    assert list(map(asdict, found)) == list(map(asdict, full))
    assert state_of(one.facts) == state_of(other.facts)


@on_a_database(EXAMPLES)
@given(example=drawn(easy))
def test_whom_a_quick_test_lets_pass_its_rule_finds_nothing_in(
    sqlite_stage: World, tmp_path_factory: pytest.TempPathFactory, quick: Counter[str],
    example: Example,
) -> None:  # fmt: skip
    (desk,) = desks(sqlite_stage, example, tmp_path_factory.getbasetemp(), 1)
    made: dict[Any, IsPlain] = {}

    def look(case: Case) -> None:
        student = case.student
        if case.enrollment is not None or case.given_up is not None or case.together:
            return
        for rule in ADDING if case.change.action == "enroll" else ():
            if rule.is_plain is not None and rule.concerns(case.course):
                key = rule, case.course.course_id, len(case.courses)
                if key not in made:  # as long as the courses are the same, for everybody
                    made[key] = rule.is_plain(case.course, case.courses)
                passes = made[key](student.count(case.courses))
                quick[f"{rule.code} {passes}"] += 1
                assert not passes or rule.judge(case) is None, rule.code

    for number in range(len(desk.requests)):
        desk.decide(number, look)


@on_a_database(EXAMPLES)
@given(example=drawn(easy))
def test_a_rule_finds_nothing_in_a_course_that_does_not_concern_it(
    sqlite_stage: World, tmp_path_factory: pytest.TempPathFactory, example: Example
) -> None:
    (desk,) = desks(sqlite_stage, example, tmp_path_factory.getbasetemp(), 1)
    judged: list[Case] = []

    def look(case: Case) -> None:
        judged.append(case)
        for rule in ADDING:
            assert rule.concerns(case.course) or rule.judge(case) is None, rule.code

    for number in range(len(desk.requests)):
        desk.decide(number, look)
    assert judged


@on_a_database(EXAMPLES)
@given(example=drawn(easy))
def test_a_rule_looks_only_at_what_its_row_says(
    sqlite_stage: World, tmp_path_factory: pytest.TempPathFactory, example: Example
) -> None:
    """Then its answer about one day, or one kind of person, is good for all of them."""
    (desk,) = desks(sqlite_stage, example, tmp_path_factory.getbasetemp(), 1)
    nobody = StudentFact(0, "nobody", "active", is_loaded=True)
    looked: Counter[str] = Counter()
    findings: dict[Any, bool] = {}

    def look(case: Case) -> None:
        plain = case._replace(change=replace(case.change, reason=None, overrides=frozenset()))
        person = replace(
            nobody, status=case.student.status, tags=case.student.tags, holds=case.student.holds
        )
        alike = {"day": nobody, "person": person}
        for rule in ADDING if case.change.action == "enroll" else ():
            if rule.looks_at == "record":
                continue
            looked[rule.looks_at] += 1
            bare = plain._replace(
                student=alike[rule.looks_at], courses=Courses(), enrollment=None, given_up=None
            )
            if rule.looks_at == "person":
                bare = bare._replace(on=case.today)
            found, said = rule.judge(bare), rule.judge(plain)
            assert (found is None) == (said is None), rule.code
            who = (person.status, person.tags, person.holds)
            seen = rule.code, rule.concerns(case.course), case.today, bare.on, who
            assert findings.setdefault(seen, found is None) == (found is None), rule.code
            assert rule.judge(case) is None or said is not None, rule.code

    for number in range(len(desk.requests)):
        desk.decide(number, look)
    assert min(looked["day"], looked["person"]) > 0


def test_an_add_that_lets_its_student_move_up_elsewhere_does_not_go_straight() -> None:
    registry = Registry()
    lab = registry.course("LAB", corequisites="LEC")
    lecture = registry.course("LEC")
    registry.put(registry.s1, lab, "waitlisted")
    facts = registry.facts
    decider = Decider(lambda asked, _: facts.courses[asked.course], facts, Policy(registry.now))  # type: ignore[index]
    request = Request(registry.s1.number, [change("enroll", lecture)])

    assert decider.straight(request, registry.s1) is None
    decision = decider.decide(request, registry.s1)

    assert [promotion.course_id for promotion in decision.promotions] == [lab]


@pytest.mark.parametrize(
    ("free", "places", "has_grant"), [(0, 2, False), (1, 2, False), (0, 1, False), (0, 2, True)]
)
def test_the_end_of_a_queue_is_straight_ahead_only_where_nobody_can_move(
    free: int, places: int, *, has_grant: bool
) -> None:
    registry = Registry()
    full = registry.course("FULL", capacity=1 + free, waitlist_capacity=places)
    registry.fill(full, 1)
    (first,) = registry.queue(full, "W1")
    if has_grant:
        registry.grant(first, full, "course-full")
    facts = registry.facts
    decider = Decider(lambda asked, _: facts.courses[asked.course], facts, Policy(registry.now))  # type: ignore[index]
    request = Request(registry.s1.number, [change("enroll", full)])

    decision = decider.straight(request, registry.s1)

    is_plain = not free and places == 2 and not has_grant
    positions = [] if decision is None else [each.position for each in decision.outcomes]
    assert positions == ([2] if is_plain else [])
    assert len(facts.courses[full].queue) == 1 + is_plain


def test_what_is_known_of_a_person_is_known_for_one_time_zone() -> None:
    """A hold of today is over where it is tomorrow already, and nowhere else."""
    registry = Registry(datetime(2026, 10, 5, 12, tzinfo=UTC), time_zone="Pacific/Kiritimati")
    registry.term("2026SP", time_zone="Pacific/Pago_Pago")
    there, here = registry.course("ART"), registry.course("BIO", term="2026SP")
    registry.hold(registry.s1, date(2026, 9, 1), date(2026, 10, 5))
    facts = registry.facts
    decider = Decider(lambda asked, _: facts.courses[asked.course], facts, Policy(registry.now))  # type: ignore[index]

    decisions = [
        decider.decide(Request("S1", [change("enroll", course_id)]), registry.s1)
        for course_id in (there, here)
    ]

    assert [d.outcomes[0].result for d in decisions] == ["enrolled", "refused"]
    assert decisions[1].outcomes[0].refusals[0].code == "hold"
