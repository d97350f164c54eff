"""A sync as one operation."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from studentcli.services.batches import Batch, BatchUnit
from studentcli.services.syncing.unit import SyncUnit


@dataclass
class SyncBatch(Batch):
    """A file that is the truth for a scope, carried through in one transaction; see `Batch`."""

    def open_unit(self, session: Session) -> BatchUnit:
        """Take the locks and load the facts.

        Raises:
            errors.UnknownTerm, errors.UnknownCourse: when there is no such scope.
        """
        sync = self.options.sync
        if sync is None:
            raise TypeError("a sync needs the options of one")
        return SyncUnit(session, self.survey, self.act, self.options, sync)
