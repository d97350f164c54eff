"""What a student, term and course record consists of: said once for commands, CSV and export."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from studentcli import conditions, grades, meetings, values
from studentcli.vocabulary import COURSE_STATUSES, STUDENT_STATUSES

METAVARS: Final[dict[Callable[[str], Any], str]] = {
    values.iso_date: "DATE",
    values.hours: "HOURS",
    values.integer: "NUMBER",
    values.email: "ADDRESS",
    values.time_zone: "ZONE",
    conditions.read_requirements: "CODES",
    conditions.read_corequisites: "CODES",
    conditions.read_tags: "TAGS",
    conditions.read_restriction: "TAGS",
    conditions.read_reservations: "TAG=SEATS",
    meetings.read: "TIMES",
    grades.read_scale: "GRADES",
}


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Args:
        name: the CSV column and the option, `max_credits`.
        attribute: the column of the table.
        read: text → value.
        default: of a new record, and what `-` sets; a function of the key when callable.
        help: the option's help.
        moves_queue: whether a change of it can let somebody in from a waitlist.
        heading: above it in a table of course data.
        rule: the code of the rule that reads it, where one does.
    """

    name: str
    attribute: str
    read: Callable[[str], Any]
    default: Any = None
    help: str = ""
    moves_queue: bool = False
    heading: str = ""
    rule: str | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it takes, when they are few."""
        return self.read.choices if isinstance(self.read, values.OneOf) else ()

    @property
    def metavar(self) -> str:
        """What help writes for its value: `DATE`, `active|inactive`."""
        return "|".join(self.choices) or METAVARS.get(self.read, "TEXT")


@dataclass(frozen=True)
class RecordKind:
    """One kind of record: its table (`plural`), the columns of its key, its fields."""

    name: str
    plural: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The CSV columns, key first."""
        return (*self.key, *(field.name for field in self.fields))

    @property
    def of_rules(self) -> tuple[Field, ...]:
        """The fields that a rule of the book reads."""
        return tuple(field for field in self.fields if field.rule is not None)

    def field(self, name: str) -> Field:
        """Find a field by name."""
        return next(field for field in self.fields if field.name == name)


STUDENT: Final = RecordKind(
    "student",
    "students",
    ("student",),
    (
        Field("given_name", "given_name", values.plain, "", help="Given name."),
        Field("family_name", "family_name", values.plain, "", help="Family name."),
        Field("email", "email", values.email, help="E-mail address."),
        Field(
            "status",
            "status",
            values.one_of(*STUDENT_STATUSES),
            "active",
            help="An inactive student takes no seat.",
            moves_queue=True,
        ),
        Field(
            "max_credits",
            "max_credit_hours",
            values.hours,
            help="Most credit hours in a term; the term's own where left out.",
            moves_queue=True,
        ),
        Field(
            "tags",
            "tags",
            conditions.read_tags,
            help="What restrictions look at, such as level:senior major:CS.",
            moves_queue=True,
        ),
    ),
)

TERM: Final = RecordKind(
    "term",
    "terms",
    ("term",),
    (
        Field("name", "name", values.plain, lambda key: key[-1], help="Name, such as Fall 2026."),
        Field(
            "starts_on",
            "starts_on",
            values.iso_date,
            help="First day, YYYY-MM-DD.",
            moves_queue=True,
        ),
        Field("ends_on", "ends_on", values.iso_date, help="Last day.", moves_queue=True),
        Field(
            "enroll_from",
            "enroll_from",
            values.iso_date,
            help="First day of the enroll window.",
            moves_queue=True,
        ),
        Field(
            "enroll_until",
            "enroll_until",
            values.iso_date,
            help="Last day of the enroll window.",
            moves_queue=True,
        ),
        Field("drop_until", "drop_until", values.iso_date, help="Last day for drops."),
        Field(
            "withdraw_until", "withdraw_until", values.iso_date, help="Last day for withdrawals."
        ),
        Field(
            "max_credits",
            "max_credits",
            values.hours,
            help="Most credit hours of a student.",
            moves_queue=True,
        ),
        Field(
            "max_waitlists",
            "max_waitlists",
            values.integer,
            help="How many of its waitlists a student may be on.",
        ),
        Field(
            "grades",
            "grades",
            grades.read_scale,
            help="Grade scale, best first, | before the failing: A B C | F; P | NP.",
            moves_queue=True,
        ),
        Field(
            "time_zone",
            "time_zone",
            values.time_zone,
            "UTC",
            help="IANA time zone of its dates.",
            moves_queue=True,
        ),
    ),
)

COURSE_RULES: Final[tuple[tuple[str, str, Callable[[str], Any], str, str], ...]] = (
    ("requires", "Requires", conditions.read_requirements, "prerequisite-missing",
     "Prerequisites: CS101:C|CS102 & MATH100; :in-progress counts too."),
    ("corequisites", "Together with", conditions.read_corequisites, "corequisite-missing",
     "Codes to be taken in the same term: LAB101|LAB102."),
    ("meetings", "Meets", meetings.read, "time-conflict",
     "When it meets: MWF 10:00-10:50 @B12; T 14:00-16:00."),
    ("restricted", "Only for", conditions.read_restriction, "restricted",
     "Tags that a student needs, !TAG must not have: level:senior & !probation."),
    ("reserved", "Reserved seats", conditions.read_reservations, "seat-reserved",
     "Seats kept for a tag: honors=5 until 2026-09-01."),
    ("repeats", "Repeats", values.integer, "repeat-limit",
     "How often who has completed the code may take it again."),
    ("enroll_from", "Enroll from", values.iso_date, "window-closed",
     "First day of its own enroll window."),
    ("enroll_until", "Enroll until", values.iso_date, "window-closed",
     "Last day of its own enroll window."),
    ("drop_until", "Drop until", values.iso_date, "drop-deadline", "Its own last day for drops."),
    ("withdraw_until", "Withdraw until", values.iso_date, "withdraw-deadline",
     "Its own last day for withdrawals."),
)  # fmt: skip
"""What the rules read of a course: field, heading, reader, the rule, help."""

COURSE: Final = RecordKind(
    "course",
    "courses",
    ("term", "course", "section"),
    (
        Field("title", "title", values.plain, lambda key: key[1], help="Title."),
        Field(
            "credits",
            "credit_hours",
            values.hours,
            values.hours("0"),
            help="Credit hours, such as 3 or 1.5.",
            moves_queue=True,
        ),
        Field(
            "capacity",
            "capacity",
            values.integer,
            help="Seats; - for unlimited.",
            moves_queue=True,
        ),
        Field("waitlist", "waitlist_capacity", values.integer, 0, help="Places in the waitlist."),
        Field(
            "status",
            "status",
            values.one_of(*COURSE_STATUSES),
            "open",
            help="Only an open course takes students.",
            moves_queue=True,
        ),
        *(
            Field(name, name, read, help=help_text, moves_queue=True, heading=heading, rule=rule)
            for name, heading, read, rule, help_text in COURSE_RULES
        ),
    ),
)

KINDS: Final = {kind.plural: kind for kind in (STUDENT, TERM, COURSE)}
CLEAR: Final = "-"
"""A cell or option value that sets a field back to its default."""


@dataclass(slots=True)
class RecordRow:
    """One record as somebody gave it: the key, and the fields that were given.

    Args:
        key: in the order of the kind's key; a course may leave its term empty.
        given: field name → value, already read; a cleared field holds its default.
        line: the line of the file.
    """

    key: tuple[str, ...]
    given: dict[str, Any]
    line: int | None = None


def read_row(kind: RecordKind, cells: dict[str, str], line: int | None = None) -> RecordRow:
    """Read a record from text cells.

    Args:
        kind: which kind of record.
        cells: column → text. Missing and empty ones are not given, `-` clears a field.
        line: the line of the file.

    Raises:
        errors.BadValue: for the first cell that cannot be read, naming its column.
    """
    from studentcli import errors

    def read(column: str, reader: Callable[[str], Any], text: str) -> Any:
        try:
            return reader(text)
        except errors.BadValue as error:
            raise type(error)(f"{column}: {error.message}") from None

    key = []
    for column in kind.key:
        text = cells.get(column, "").strip()
        if not text and column != kind.name:
            text = "1" if column == "section" else ""
        key.append(read(column, values.identifier, text) if text or column == kind.name else "")
    given: dict[str, Any] = {}
    for field in kind.fields:
        text = cells.get(field.name, "").strip()
        if text == CLEAR:
            given[field.name] = default_of(field, tuple(key))
        elif text:
            given[field.name] = read(field.name, field.read, text)
    return RecordRow(tuple(key), given, line)


def default_of(field: Field, key: tuple[str, ...]) -> Any:
    """Give the default of a field for a record of this key."""
    return field.default(key) if callable(field.default) else field.default
