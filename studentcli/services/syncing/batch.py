"""A sync as one operation."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from studentcli.requests import Survey
from studentcli.services.batches import Batch, BatchOptions, BatchUnit
from studentcli.services.syncing.unit import SyncUnit


@dataclass
class SyncBatch(Batch):
    """A file that is the truth for a scope, carried through in one transaction; see `Batch`."""

    _unit: SyncUnit | None = None

    @property
    def unasked(self) -> int:
        """How many drops of the absent are decided; known once the file is compared."""
        return 0 if self._unit is None else self._unit.unasked

    def open_unit(
        self,
        session: Session,
        survey: Survey,
        options: BatchOptions,
        operation_id: int | None = None,
    ) -> BatchUnit:
        """Pass the gate, take the locks and load the facts; see `Batch`.

        Raises:
            errors.UnknownTerm, errors.UnknownCourse: when there is no such scope.
        """
        sync = options.sync
        if sync is None or operation_id is not None:
            raise TypeError("a sync needs the options of one, and has no parts")
        load = self.open_load(session, survey.rows)
        self._unit = SyncUnit(session, survey, self.act, options, load, sync=sync)
        return self._unit
