"""A plan: what a file would do, decided and written down, a line for every row.

JSON Lines: a header (which file, which options, when), a line per row in file order, and a last
line with the totals, without which a plan is not whole.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from studentcli import errors
from studentcli.formats.output import temporary_beside
from studentcli.formats.source import CsvSource
from studentcli.render import plain
from studentcli.requests import Agreed, Decision, Outcome, Promotion
from studentcli.rules import one_by_one

VERSION: Final = 1
Line = dict[str, Any]
Place = tuple[float, ...]
_END: Final[Place] = (float("inf"),)


class Unplanned:
    """An import without a plan."""

    def begin(self, kind: str, source: CsvSource, now: datetime, database: str) -> datetime | None:
        """Date undated rows today."""
        del self, kind, source, now, database
        return None

    def restart(self) -> None:
        """Begin at the first row."""

    def take(self, results: list[Any]) -> None:
        """Take the results of a chunk."""

    def verify(self) -> None:
        """Agree."""

    def confirm(self, promotions: list[Promotion]) -> None:
        """Agree."""

    def finish(self, totals: Line, promotions: list[Promotion], *, aborted: bool) -> None:
        """End."""


class PlanWriter(Unplanned):
    """Writes a plan; it takes its place when it is complete, mode 0600.

    Args:
        path: where it goes.
        options: of the import, by the names of its parameters.
        term: named for the whole file.

    Raises:
        errors.Usage: when it cannot be written there.
    """

    def __init__(self, path: Path, options: Line, term: str | None) -> None:
        self.path = path
        self._header: Line = {"plan": VERSION, "term": term, "options": options}
        self._file, self._temporary = temporary_beside(path)
        self._rows = 0
        self.would_be_applied = True
        """Whether an import would change anything; known at the end."""

    def begin(self, kind: str, source: CsvSource, now: datetime, database: str) -> datetime | None:
        """Name the file and fix the date of undated rows."""
        self._header.update(
            kind=kind, file=source.name, sha256=source.sha256, planned_at=now.isoformat(),
            database=database,
        )  # fmt: skip
        return now

    def restart(self) -> None:
        """Begin again with the header alone."""
        self._file.seek(0)
        self._file.truncate()
        self._rows = 0
        self._write(self._header)

    def take(self, results: list[Any]) -> None:
        """Write the lines of a chunk."""
        for result in one_by_one(results):
            for line in lines_of(result):
                self._write(line)
                self._rows += 1

    def finish(self, totals: Line, promotions: list[Promotion], *, aborted: bool) -> None:
        """Write the last line."""
        self.would_be_applied = not aborted
        last: Line = {"rows": self._rows, "totals": totals, "would_be_applied": not aborted}
        if promotions:
            last["promotions"] = _promoted(promotions)
        self._write(last)

    def _write(self, line: Line) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def keep(self) -> None:
        """Put the plan into its place."""
        self._file.close()
        Path(self._temporary).replace(self.path)

    def discard(self) -> None:
        """Leave no trace."""
        self._file.close()
        Path(self._temporary).unlink(missing_ok=True)


class Plan:
    """A plan that is read: `header`, `last` and `sha256` at once, the rows as a stream.

    Args:
        path: where it is.

    Raises:
        errors.FileUnreadable: when it is no whole plan.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such path"
            raise errors.FileUnreadable(f"{path} cannot be read: {reason}") from error
        try:
            self._survey()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _survey(self) -> None:
        digest = hashlib.sha256()
        first = last = b""
        for raw in self._file:
            first = first or raw
            last = raw
            digest.update(raw)
        self.sha256 = digest.hexdigest()
        self.header, self.last = self._read(first), self._read(last)
        if self.header.get("plan") != VERSION or not _is_header(self.header):
            raise self._unreadable("is no plan of this version of studentcli")
        totals, rows = self.last.get("totals"), self.last.get("rows")
        if not isinstance(totals, dict) or not isinstance(rows, int):
            raise self._unreadable("is not whole: its last line is missing")
        self.planned_at = datetime.fromisoformat(self.header["planned_at"])

    def rows(self) -> Iterator[Line]:
        """Read the rows from the first one on."""
        self._file.seek(0)
        next(self._file)
        for _ in range(self.last["rows"]):
            line = self._read(next(self._file, b""))
            if not isinstance(line.get("line"), int):
                raise self._unreadable("is not whole: rows are missing")
            yield line

    def _read(self, raw: bytes) -> Line:
        try:
            line = json.loads(raw)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise self._unreadable("is no plan")
        return line

    def _unreadable(self, what: str) -> errors.FileUnreadable:
        return errors.FileUnreadable(
            f"{self.path} {what}", hint="studentcli plan FILE --out PLAN makes it anew"
        )


def _is_header(header: Line) -> bool:
    texts = ("kind", "file", "sha256", "planned_at", "database")
    try:
        is_dated = datetime.fromisoformat(str(header.get("planned_at"))).tzinfo is not None
    except ValueError:
        return False
    is_named = all(isinstance(header.get(name), str) for name in texts)
    has_term = isinstance(header.get("term"), str | None)
    return is_dated and is_named and has_term and isinstance(header.get("options"), dict)


class PlanCheck(Unplanned):
    """Compares what is decided now with what was planned, row by row.

    `moved` is how many rows differ; `differences` reads them.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.moved = 0
        self._spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.restart()

    def begin(self, kind: str, source: CsvSource, now: datetime, database: str) -> datetime | None:
        """Stop when the file is another one than was planned."""
        del now, database
        header = self.plan.header
        if (kind, source.sha256) != (header["kind"], header["sha256"]):
            raise errors.AnotherFile(
                f"{source.name} is not the file that {self.plan.path} was made of;"
                " nothing was changed",
                hint=f"it was made of {header['file']}; plan the new file, look, then apply it",
            )
        return self.plan.planned_at

    def restart(self) -> None:
        """Begin at the first row again."""
        self.moved = 0
        self.is_as_done = True
        self._spool.seek(0)
        self._spool.truncate()
        self._planned = self.plan.rows()
        self._next = next(self._planned, {})

    def take(self, results: list[Any]) -> None:
        """Compare the rows of a chunk."""
        for result in one_by_one(results):
            for now in lines_of(result):
                self._pass_over(_place(now))
                planned = {}
                if _place(self._next) == _place(now):
                    planned, self._next = self._next, next(self._planned, {})
                if _essence(planned) != _essence(now):
                    self._differ(now, planned)

    def _pass_over(self, place: Place) -> None:
        """Note what was planned in front of a place and is not decided any more."""
        while self._next and _place(self._next) < place:
            self._differ({}, self._next)
            self._next = next(self._planned, {})

    def confirm(self, promotions: list[Promotion]) -> None:
        """Compare whom a file of records moves up, and stop when anything differs."""
        planned, now = self.plan.last.get("promotions", []), _promoted(promotions)
        if planned != now:
            self._differ({"promotions": now}, {"promotions": planned})
        self.verify()

    def verify(self) -> None:
        """Stop when a row differs.

        Raises:
            errors.PlanMoved: nothing is changed then.
        """
        self._pass_over(_END)
        if self.moved:
            of = f" of {self.plan.last['rows']}" if self.moved <= self.plan.last["rows"] else ""
            raise errors.PlanMoved(
                f"{self.moved}{of} decisions are no longer what was planned; nothing was changed"
            )

    def _differ(self, now: Line, planned: Line) -> None:
        self.moved += 1
        changes = now.get("promotions") or now.get("result", "unchanged") != "unchanged"
        self.is_as_done = self.is_as_done and not changes
        said = {
            "line": now.get("line", planned.get("line")) or None,
            "student": (now or planned).get("student"),
            "course": (now or planned).get("course") or (now or planned).get("record"),
            "planned": in_words(planned),
            "now": in_words(now),
        }
        self._spool.write(json.dumps(said) + "\n")

    def differences(self) -> Iterator[Line]:
        """Read what differs, in file order."""
        self._spool.seek(0)
        yield from map(json.loads, self._spool)

    def close(self) -> None:
        """Close the plan, and let go of the differences."""
        self.plan.close()
        self._spool.close()


def _place(line: Line) -> Place:
    """Give where a line stands: who is absent in front, then the rows of the file."""
    return (line.get("line", -1), *line.get("absent", ()))


def _essence(line: Line) -> Line:
    """Take the wording away: a sentence may name an hour."""
    return {name: value for name, value in line.items() if name != "message"}


def lines_of(result: Any) -> list[Line]:
    """Give the lines of what came of a request, a record, or a row that cannot be read.

    Who is absent from a sync has line 0; a row that says what is so already has none.
    """
    if isinstance(result, Agreed):
        return []
    if not isinstance(result, Decision):
        return [_record_line(result)]
    lines = [_outcome_line(outcome) for outcome in result.outcomes]
    if result.promotions:
        lines[-1]["promotions"] = _promoted(result.promotions)
    return lines


def _given(line: Line) -> Line:
    return {name: value for name, value in line.items() if value not in (None, [], {})}


def _outcome_line(outcome: Outcome) -> Line:
    refusals = outcome.refusals
    return _given(
        {
            "line": outcome.change.line or 0,
            "absent": None if outcome.change.line else [outcome.student_id, outcome.course_id],
            "student": outcome.student,
            "course": outcome.course,
            "action": outcome.change.action,
            "result": outcome.result,
            "status": outcome.status,
            "position": outcome.position,
            "grade": outcome.grade,
            "on": plain(outcome.effective_on) or None,
            "instead_of": outcome.instead_of,
            "codes": [refusal.code for refusal in refusals],
            "message": refusals[0].message if refusals else outcome.note,
        }
    )


def _record_line(result: Any) -> Line:
    row, refusal = getattr(result, "row", None), result.refusal
    key: tuple[str, ...] = () if row is None else result.key
    return _given(
        {
            "line": result.line if row is None else row.line,
            "record": "/".join(key[:2]) + (f"-{key[2]}" if len(key) > 2 else "") or None,
            "result": "refused" if row is None else result.result,
            "changes": {
                name: [plain(old), plain(new)]
                for name, (old, new) in getattr(result, "changes", {}).items()
                if old is not None or new is not None
            },
            "codes": [refusal.code] if refusal else [],
            "message": refusal.message if refusal else None,
        }
    )


def _promoted(promotions: list[Promotion]) -> list[Line]:
    return [
        _given({"student": p.student, "course": p.course, "instead_of": p.instead_of})
        for p in promotions
    ]


def in_words(line: Line) -> str:
    """Say what a line decides: `waitlisted, place 2`; `refused: course-full`."""
    words = [str(line.get("result", "nothing"))] if "result" in line or not line else []
    if line.get("codes"):
        words[-1] += f": {' '.join(line['codes'])}"
    if line.get("result") == "unchanged" and line.get("status"):
        words[-1] += f": {line['status']}"
    if "position" in line:
        words.append(f"place {line['position']}")
    words += [line[name] for name in ("grade", "on") if name in line]
    if "instead_of" in line:
        words.append(f"instead of {line['instead_of']}")
    words += [f"{name} {old} → {new}" for name, (old, new) in line.get("changes", {}).items()]
    words += [f"{p['student']} moves up into {p['course']}" for p in line.get("promotions", [])]
    return ", ".join(words) or "nobody moves up"
