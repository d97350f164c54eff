"""What an import tells: refused rows as they stood, an outcome for every row, counts by code."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, cast

from studentcli.formats.output import temporary_beside
from studentcli.formats.selection import column_name
from studentcli.render import csv_writer, outcome_row, promotion_row, promotion_sentence
from studentcli.requests import Agreed, CourseWord, Decision, Outcome, Promotion, Refusal
from studentcli.rules import SeatedRows, one_by_one

ADDED_COLUMNS: Final = ("_line", "_code", "_reason", "_request")
SHOWN: Final = 50
"""How many rows of a kind are told one by one; all of them are in --format."""


def rows_of(result: Any) -> int:
    """Count what a result brings on its way: rows, those nothing is decided about, the absent."""
    match result:
        case SeatedRows():
            return len(result.results)
        case Decision():
            return len(result.outcomes)
        case Agreed():
            return result.rows + result.overruled
        case _:
            return 1


class RejectsFile:
    """The refused rows with their original columns; takes its place when it is complete.

    Args:
        path: where it goes; mode 0600.
        header: the columns of the file that is read, as they stand there.
        names: what they are called here.

    Raises:
        errors.Usage: when it cannot be written there.
    """

    def __init__(self, path: Path, header: list[str], names: list[str]) -> None:
        self.path = path
        self._names = names
        self._kept = [i for i, name in enumerate(header) if column_name(name) not in ADDED_COLUMNS]
        self._header = [header[i] for i in self._kept]
        self._width = len(header)
        self._file, self._temporary = temporary_beside(path)
        self.restart()

    def restart(self) -> None:
        """Begin again with the header alone."""
        self._file.seek(0)
        self._file.truncate()
        self._write_row = csv_writer(self._file)
        self._write_row([*self._header, *ADDED_COLUMNS])

    def add(self, line: int, cells: list[str], refusal: Refusal, request: int) -> None:
        """Write one refused row; `request` is the line on which its request began."""
        # A row with too few or too many cells stays so: fed back as it is, it is refused again.
        ragged = len(cells) != self._width
        kept = cells if ragged else [cells[i] for i in self._kept]
        if ragged and len(kept) == len(self._kept):
            kept = [*kept, ""]
        self._write_row([*kept, str(line), refusal.code, refusal.message, str(request)])

    def add_absent(self, student: str, course: str, refusal: Refusal) -> None:
        """Write the refused drop of somebody without a row, in the file's own columns."""
        named = {"student": student, "course": course}
        if "term" in self._names:
            named["term"], _, named["course"] = course.partition("/")
        cells = [named.get(self._names[i], "") for i in self._kept]
        self._write_row([*cells, "", refusal.code, refusal.message, ""])

    def keep(self) -> None:
        """Put the file into its place."""
        self._file.close()
        Path(self._temporary).replace(self.path)

    def discard(self) -> None:
        """Leave no trace."""
        self._file.close()
        Path(self._temporary).unlink(missing_ok=True)


class Report:
    """Takes the results of a batch, chunk by chunk; begins anew when the batch does.

    Args:
        rejects: where refused rows go, if anywhere.
        every_row: keep an outcome for every row, for `rows`.
        forecast: whether nothing is changed.
    """

    def __init__(self, rejects: RejectsFile | None, *, every_row: bool, forecast: bool) -> None:
        self.rejects = rejects
        self.forecast = forecast
        self.refused: list[tuple[int, Refusal]] = []
        self.missed: dict[int, str | CourseWord] = {}
        """What the rows among `refused` name that does not exist, by their line."""
        self.codes: Counter[str] = Counter()
        self.superseded: list[str] = []
        self.promotions: list[Promotion] = []
        self.inactive: set[int] = set()
        """The ids of the students who were active and no longer are."""
        self.absent = 0
        """How many changes no row asked for: of who is not in the file of a sync."""
        self._spool: IO[str] | None = None
        if every_row:
            self._spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def restart(self) -> None:
        """Forget what was taken."""
        self.refused.clear()
        self.missed.clear()
        self.codes.clear()
        self.superseded.clear()
        self.promotions.clear()
        self.inactive.clear()
        self.absent = 0
        if self.rejects is not None:
            self.rejects.restart()
        if self._spool is not None:
            self._spool.seek(0)
            self._spool.truncate()

    def take(self, results: list[Any], cells: dict[int, list[str]]) -> None:
        """Take the results of a chunk."""
        for result in results if self._spool is None else one_by_one(results):
            if isinstance(result, Decision):
                self._take_decision(result, cells)
            elif not isinstance(result, Agreed | SeatedRows):  # beside numbers these tell nothing
                self._take_other(result, cells)

    def _take_decision(self, decision: Decision, cells: dict[int, list[str]]) -> None:
        first = decision.outcomes[0].change.line or 0
        for outcome in decision.outcomes:
            line = outcome.change.line or 0
            self.absent += not line
            if outcome.result == "refused" and not line:
                self._refuse_absent(outcome)
            elif outcome.result == "refused":
                self._refuse(line, cells, outcome.refusals[0], first)
                self._note_missed(line, decision.request.student, outcome)
            elif outcome.result == "superseded" and len(self.superseded) < SHOWN:
                self.superseded.append(f"line {line}: {outcome.note}")
            if self._spool is not None:  # before the row is made: a million are not wanted
                self._keep(
                    {"line": outcome.change.line, **outcome_row(outcome, forecast=self.forecast)}
                )
        for promotion in decision.promotions:
            self._promote(promotion)
            self._keep(promotion_row(promotion, forecast=self.forecast))

    def take_promotions(self, promotions: list[Promotion], *, of_records: bool = True) -> None:
        """Take whom a file of records, or a sync, moved up, once all of it is saved."""
        for promotion in promotions:
            self._promote(promotion)
            if not of_records:
                self._keep(promotion_row(promotion, forecast=self.forecast))
                continue
            self._keep(
                {
                    "record": promotion.course,
                    "result": "promoted",
                    "student": promotion.student,
                    "message": promotion_sentence(promotion, forecast=self.forecast),
                }
            )

    def _take_other(self, result: Any, cells: dict[int, list[str]]) -> None:
        """Take a record's outcome, or a row that could not be read."""
        refusal = result.refusal
        row = getattr(result, "row", None)
        line = result.line if row is None else row.line
        if refusal is not None:
            self._refuse(line, cells, refusal, line)
        elif row is not None:
            self._note_inactive(result)
        if self._spool is not None:
            key: tuple[str, ...] = () if row is None else result.key
            self._keep(
                {
                    "line": line,
                    "record": "/".join(key[:2]) + (f"-{key[2]}" if len(key) > 2 else ""),
                    "result": "refused" if row is None else result.result,
                    "code": refusal.code if refusal else None,
                    "message": refusal.message if refusal else ", ".join(result.changes),
                }
            )

    def _note_inactive(self, result: Any) -> None:
        """Keep who becomes inactive, which is a student: a key can come again, its last row counts.

        By what the row says: in a forecast it is compared with a record that nothing has changed.
        """
        status = result.row.given.get("status")
        if status == "inactive":
            if result.result == "changed" and "status" in result.changes:
                self.inactive.add(result.record_id)
        elif status is not None:
            self.inactive.discard(result.record_id)

    def _refuse(
        self, line: int, cells: dict[int, list[str]], refusal: Refusal, request: int
    ) -> None:
        self.codes[refusal.code] += 1
        if len(self.refused) < SHOWN:
            self.refused.append((line, refusal))
        if self.rejects is not None:
            self.rejects.add(line, cells.get(line, []), refusal, request)

    def _refuse_absent(self, outcome: Outcome) -> None:
        """Take a refused drop that no row asked for: it says who is meant."""
        refusal, who = outcome.refusals[0], f"{outcome.student} in {outcome.course}"
        self.codes[refusal.code] += 1
        if len(self.refused) < SHOWN:
            self.refused.append((0, replace(refusal, message=f"{who}: {refusal.message}")))
        if self.rejects is not None:
            self.rejects.add_absent(outcome.student, outcome.course, refusal)

    def _note_missed(self, line: int, student: str | int, outcome: Outcome) -> None:
        """Keep the word that was not found, of a row that is told."""
        if not (self.refused and self.refused[-1][0] == line):
            return
        code, change = outcome.refusals[0].code, outcome.change
        if code == "unknown-student" and isinstance(student, str):
            self.missed[line] = student
        elif code == "unknown-course" and change.instead_of is None:
            self.missed[line] = cast("CourseWord", change.course)

    def _promote(self, promotion: Promotion) -> None:
        if len(self.promotions) < SHOWN:
            self.promotions.append(promotion)

    def _keep(self, row: dict[str, Any]) -> None:
        if self._spool is not None:
            self._spool.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Let go of the rows that were kept."""
        if self._spool is not None:
            self._spool.close()

    def rows(self, *, aborted: bool) -> Iterator[dict[str, Any]]:
        """Give every row's outcome, in file order; in an aborted batch nothing was applied."""
        if self._spool is None:
            return
        self._spool.seek(0)
        for text in self._spool:
            row = json.loads(text)
            if aborted and row["result"] not in {"refused", "unchanged", "superseded"}:
                row.update(result="not-applied", status=None, position=None)
            yield row
