"""The texts that rules read: what is written, what is stored, what is refused and how."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studentcli import conditions, errors, values
from studentcli.conditions import Required, Reservation, TagTerm

CASES: dict[str, tuple[Callable[[str], str], dict[str, str]]] = {
    "prerequisites": (
        conditions.read_requirements,
        {
            "CS101": "CS101",
            " CS101:C|CS102&MATH100 ": "CS101:C|CS102 & MATH100",
            "CS101 : C | CS102  &  MATH100": "CS101:C|CS102 & MATH100",
            "CS101:in-progress": "CS101:in-progress",
            "CS101 : 1.7 : in-progress": "CS101:1.7:in-progress",
            "A|B|A & A|B": "A|B",
            "A:C|A": "A:C|A",
            "COMP 2/3-X, lab|ART (studio)": "COMP 2/3-X, lab|ART (studio)",
            "cafe\u0301": "caf\u00e9",
            "-1": "-1",
            "in-progress": "in-progress",
        },
    ),
    "corequisites": (
        conditions.read_corequisites,
        {"CS101L": "CS101L", "CS101L&M1 | M2": "CS101L & M1|M2", "A|A & A": "A"},
    ),
    "tags": (
        conditions.read_tags,
        {
            "level:senior major:CS": "level:senior major:CS",
            "major:CS,level:senior": "major:CS level:senior",
            " , a ,\tb  a,": "a b",
            "honors Honors": "honors Honors",
            "a" * 64: "a" * 64,
            "_x .y :z 0-9": "_x .y :z 0-9",
        },
    ),
    "restriction": (
        conditions.read_restriction,
        {
            "level:senior | level:junior&!probation": "level:senior|level:junior & !probation",
            "! probation": "!probation",
            "a|!a": "a|!a",
            "a & a & !a": "a & !a",
        },
    ),
    "reserved seats": (
        conditions.read_reservations,
        {
            "honors=5": "honors=5",
            "honors = 05 until 2026-09-01 ;level:freshman=10": (
                "honors=5 until 2026-09-01; level:freshman=10"
            ),
            "a=1  until  2024-02-29": "a=1 until 2024-02-29",
            "a=1\u037eb=2": "a=1; b=2",
            "until=1 until 2026-01-01": "until=1 until 2026-01-01",
            "a=999999999": "a=999999999",
        },
    ),
}


@pytest.mark.parametrize(
    ("read", "written", "stored"),
    [(read, *case) for read, cases in CASES.values() for case in cases.items()],
)
def test_what_is_written_is_stored_in_one_form(
    read: Callable[[str], str], written: str, stored: str
) -> None:
    assert read(written) == stored
    assert read(stored) == stored


REFUSED = [
    # reader, what is written, code, sentence
    (conditions.read_requirements, "", "bad-value", "text of the prerequisites is empty"),
    (conditions.read_requirements, "A &", "bad-value", "'A &' has a & or | with nothing on one"),
    (conditions.read_requirements, "A || B", "bad-value", "with nothing on one side"),
    (conditions.read_requirements, "A && B", "bad-value", "with nothing on one side"),
    (conditions.read_requirements, "|", "bad-value", "with nothing on one side"),
    (conditions.read_requirements, "(A|B) & C", "bad-value", "parentheses, which are not read"),
    (conditions.read_requirements, "(A)", "bad-value", "parentheses, which are not read"),
    (conditions.read_requirements, "A|B:C)", "bad-value", "parentheses, which are not read"),
    (conditions.read_requirements, "A:", "unknown-grade", "'' in 'A:' is no grade"),
    (conditions.read_requirements, "A:C or B", "unknown-grade", "'C or B' in 'A:C or B' is no"),
    (conditions.read_requirements, "A:-", "unknown-grade", "'-' in 'A:-' is no grade"),
    (conditions.read_requirements, "A:In-Progress", "unknown-grade", "CS101:in-progress"),
    (conditions.read_requirements, "A:C:B", "bad-value", "'A:C:B' is no prerequisite"),
    (conditions.read_requirements, "A:in-progress:C", "bad-value", "CODE:GRADE:in-progress"),
    (conditions.read_requirements, ":C", "bad-value", "':C' is no prerequisite"),
    (conditions.read_requirements, "-", "bad-value", "'-' is no course code"),
    (conditions.read_requirements, "A\u202eB", "malformed-id", "control or invisible character"),
    (conditions.read_requirements, "A" * 65, "malformed-id", "longer than 64 characters"),
    (
        conditions.read_requirements,
        "&".join(f"CS{number:03}" for number in range(200)),
        "bad-value",
        "the prerequisites, 'CS000 & CS001 & CS00'…, is longer than 1000 characters",
    ),
    (conditions.read_corequisites, " ", "bad-value", "text of the corequisites is empty"),
    (conditions.read_corequisites, "A|", "bad-value", "with nothing on one side"),
    (conditions.read_corequisites, "A:C", "bad-value", "a course code without a grade"),
    (conditions.read_corequisites, "-", "bad-value", "'-' is no course code"),
    (conditions.read_tags, "", "bad-value", "text of the tags is empty"),
    (conditions.read_tags, " , ", "bad-value", "text of the tags is empty"),
    (conditions.read_tags, "a -b", "bad-value", "'-b' is no tag"),
    (conditions.read_tags, "!a", "bad-value", "'!a' is no tag"),
    (conditions.read_tags, "a" * 65, "bad-value", "'aaaaaaaaaaaaaaaaaaaa'… is no tag"),
    (conditions.read_tags, "caf\u00e9", "bad-value", "is no tag"),
    (conditions.read_tags, "a=b", "bad-value", "expected up to 64 letters, digits"),
    (conditions.read_tags, "a\x00b", "bad-value", r"'a\x00b' is no tag"),
    (conditions.read_restriction, "", "bad-value", "text of the restriction is empty"),
    (conditions.read_restriction, "a b", "bad-value", "'a b' is no tag"),
    (conditions.read_restriction, "!", "bad-value", "'!' excludes no tag"),
    (conditions.read_restriction, "!!a", "bad-value", "'!a' is no tag"),
    (conditions.read_restriction, "(a|b)", "bad-value", "parentheses, which are not read"),
    (conditions.read_reservations, "", "bad-value", "text of the reserved seats is empty"),
    (conditions.read_reservations, "a=1;", "bad-value", "'a=1;' has a ; with nothing on one"),
    (conditions.read_reservations, "a", "bad-value", "'a' reserves no seats"),
    (conditions.read_reservations, "a=", "bad-value", "'a=' reserves no seats"),
    (conditions.read_reservations, "=5", "bad-value", "'' is no tag"),
    (conditions.read_reservations, "a=0", "bad-value", "expected 1 or more"),
    (conditions.read_reservations, "a=-1", "bad-value", "'-1' is no number"),
    (conditions.read_reservations, "a=\u0665", "bad-value", "is no number"),
    (conditions.read_reservations, "a=1 until", "bad-value", "TAG=SEATS until YYYY-MM-DD"),
    (conditions.read_reservations, "a=1 to 2026-09-01", "bad-value", "TAG=SEATS until"),
    (conditions.read_reservations, "a=1 until 2026-02-29", "bad-value", "'2026-02-29' is no"),
    (conditions.read_reservations, "a=1; a=2", "bad-value", "'a' has reserved seats twice"),
]


@pytest.mark.parametrize(("read", "written", "code", "sentence"), REFUSED)
def test_a_refusal_names_what_was_written_and_what_is_expected(
    read: Callable[[str], str], written: str, code: str, sentence: str
) -> None:
    with pytest.raises(errors.BadValue, match=re.escape(sentence)) as refusal:
        read(written)
    assert refusal.value.code == code
    assert refusal.value.message.isprintable()


def test_nothing_stored_asks_for_nothing() -> None:
    assert conditions.parse_requirements(None) == ()
    assert conditions.parse_corequisites(None) == ()
    assert conditions.parse_restriction(None) == ()
    assert conditions.parse_reservations(None) == ()
    assert conditions.parse_tags(None) == frozenset()


def test_the_parts_of_a_text_are_what_the_rules_look_at() -> None:
    assert conditions.parse_requirements("CS101:C|CS102:in-progress & M 1:B+:in-progress") == (
        (Required("CS101", "C"), Required("CS102", in_progress=True)),
        (Required("M 1", "B+", in_progress=True),),
    )
    assert conditions.parse_corequisites("L & M1|M2") == (("L",), ("M1", "M2"))
    assert conditions.parse_tags("b a") == {"a", "b"}
    assert conditions.parse_restriction("a|b & !c") == (
        (TagTerm("a"), TagTerm("b")),
        (TagTerm("c", is_excluded=True),),
    )
    assert conditions.parse_reservations("a=5 until 2026-09-01; b=10") == (
        Reservation("a", 5, date(2026, 9, 1)),
        Reservation("b", 10),
    )


@pytest.mark.parametrize(
    ("restriction", "tags", "missing"),
    [
        (None, "", None),
        ("a", "a", None),
        ("a", "", "a"),
        ("a", "A", "a"),
        ("a|b", "b", None),
        ("a|b", "c", "a|b"),
        ("!a", "", None),
        ("!a", "a", "!a"),
        ("a|!b", "", None),
        ("a|!b", "b", "a|!b"),
        ("a|!b", "a b", None),
        ("a & b", "a", "b"),
        ("a & b & c", "a", "b"),
        ("level:senior|level:junior & !probation", "level:junior probation", "!probation"),
        ("level:senior|level:junior & !probation", "probation", "level:senior|level:junior"),
        ("a & !a", "a", "!a"),
        ("a & !a", "", "a"),
    ],
)
def test_the_first_group_that_the_tags_do_not_satisfy_is_named(
    restriction: str | None, tags: str, missing: str | None
) -> None:
    group = conditions.unmet(conditions.parse_restriction(restriction), frozenset(tags.split()))
    assert (group and "|".join(map(str, group))) == missing


# ── every text ───────────────────────────────────────────────────────────────────────────


def is_code(text: str) -> bool:
    try:
        return values.identifier(text) == text and not set(text) & set("|&:()") and text != "-"
    except errors.MalformedId:
        return False


CODES = (
    st.from_regex(r"[A-Z]{2}[ /-]?[0-9]{3}", fullmatch=True) | st.text(min_size=1, max_size=9)
).filter(is_code)
TAGS = st.from_regex(r"[a-zA-Z0-9:._][a-zA-Z0-9:._-]{0,9}", fullmatch=True)
GRADES = st.from_regex(r"[A-Za-z0-9][+.-]?", fullmatch=True)
REQUIRED = st.builds(Required, CODES, st.none() | GRADES, st.booleans())
TERMS = st.builds(TagTerm, TAGS, st.booleans())


def groups_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(
        st.lists(items, min_size=1, max_size=4, unique=True).map(tuple),
        min_size=1,
        max_size=4,
        unique=True,
    ).map(tuple)


@pytest.mark.parametrize(
    ("items", "read", "parse"),
    [
        (REQUIRED, conditions.read_requirements, conditions.parse_requirements),
        (CODES, conditions.read_corequisites, conditions.parse_corequisites),
        (TERMS, conditions.read_restriction, conditions.parse_restriction),
    ],
)
@given(data=st.data(), space=st.sampled_from(["", " ", "\t ", "\u00a0"]))
def test_groups_come_back_from_their_text_whatever_its_spaces(
    items: st.SearchStrategy[object],
    read: Callable[[str], str],
    parse: Callable[[str | None], object],
    data: st.DataObject,
    space: str,
) -> None:
    groups = data.draw(groups_of(items))
    stored = " & ".join("|".join(map(str, group)) for group in groups)
    loose = stored.replace(" & ", "&").replace("|", f"{space}|{space}").replace("&", f"{space}&")
    assert read(stored) == read(loose) == stored
    assert parse(stored) == groups


@given(
    st.lists(
        st.builds(Reservation, TAGS, st.integers(1, 10**9 - 1), st.none() | st.dates()),
        min_size=1,
        max_size=5,
        unique_by=lambda reservation: reservation.tag,
    )
)
def test_reservations_come_back_from_their_text(reservations: list[Reservation]) -> None:
    stored = "; ".join(map(str, reservations))
    assert conditions.read_reservations(stored) == stored
    assert conditions.parse_reservations(stored) == tuple(reservations)


@given(st.lists(TAGS, min_size=1, max_size=20))
def test_tags_come_back_from_their_text_each_once(tags: list[str]) -> None:
    stored = conditions.read_tags(", ".join(tags))
    assert stored.split(" ") == list(dict.fromkeys(tags))
    assert conditions.read_tags(stored) == stored
    assert conditions.parse_tags(stored) == set(tags)


PIECES = [
    "A",
    "b",
    "|",
    "&",
    ":",
    ";",
    "=",
    "!",
    "-",
    " ",
    "\t",
    "(",
    ")",
    ",",
    "5",
    "until",
    "2026-09-01",
    "in-progress",
    "\u0301",
    "\u037e",
    "\u200d",
    "\u00a0",
    "\ud800",
    "\x00",
]


@pytest.mark.parametrize(
    ("read", "parse"),
    [
        (conditions.read_requirements, conditions.parse_requirements),
        (conditions.read_corequisites, conditions.parse_corequisites),
        (conditions.read_tags, conditions.parse_tags),
        (conditions.read_restriction, conditions.parse_restriction),
        (conditions.read_reservations, conditions.parse_reservations),
    ],
)
@given(written=st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=9))
def test_any_text_is_refused_or_stored_in_a_form_that_reads_to_itself(
    read: Callable[[str], str], parse: Callable[[str | None], object], written: str
) -> None:
    try:
        stored = read(written)
    except errors.BadValue:
        return
    assert read(stored) == stored
    assert parse(stored)


# ── cycles ───────────────────────────────────────────────────────────────────────────────

LETTERS = "ABCDEF"
GRAPHS = st.dictionaries(
    st.sampled_from(LETTERS), st.lists(st.sampled_from(LETTERS + "XY"), max_size=3)
)


def leads_back(requirements: dict[str, list[str]], code: str) -> bool:
    reached: set[str] = set()
    for _ in range(len(requirements) + 1):
        reached |= {need for start in {code, *reached} for need in requirements.get(start, [])}
    return code in reached


@given(GRAPHS)
def test_a_cycle_is_found_exactly_when_some_course_leads_back_to_itself(
    requirements: dict[str, list[str]],
) -> None:
    cycle = conditions.find_cycle(requirements)
    if cycle is None:
        assert not any(leads_back(requirements, code) for code in requirements)
        return
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(b in requirements[a] for a, b in pairwise(cycle))


@pytest.mark.parametrize(
    ("requirements", "cycle"),
    [
        ({}, None),
        ({"A": []}, None),
        ({"A": ["A"]}, ["A", "A"]),
        ({"A": ["B"], "B": ["C"]}, None),
        ({"A": ["B", "C"], "B": ["D"], "C": ["D"]}, None),
        ({"A": ["B"], "B": ["C"], "C": ["B"]}, ["B", "C", "B"]),
        ({"A": ["X", "B"], "B": ["C"], "C": ["A"]}, ["A", "B", "C", "A"]),
    ],
)
def test_a_cycle_begins_and_ends_with_the_same_course(
    requirements: dict[str, list[str]], cycle: list[str] | None
) -> None:
    assert conditions.find_cycle(requirements) == cycle


def test_a_chain_longer_than_any_recursion_is_followed_to_its_end() -> None:
    chain = {str(number): [str(number + 1)] for number in range(100_000)}
    assert conditions.find_cycle(chain) is None
    closed = conditions.find_cycle(chain | {"100000": ["0"]})
    assert closed is not None
    assert len(closed) == 100_002


class Watched:
    """What a course requires, counting how often it is gone through."""

    def __init__(self, *codes: str) -> None:
        self.codes = codes
        self.times = 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return iter(self.codes)


def test_what_a_course_requires_is_gone_through_once_however_many_ways_lead_to_it() -> None:
    layers = range(16)  # 2^16 ways from the first to the last
    requirements = {f"{at}{s}": Watched(f"{at + 1}L", f"{at + 1}R") for at in layers for s in "LR"}
    assert conditions.find_cycle(requirements) is None
    assert {needed.times for needed in requirements.values()} == {1}
