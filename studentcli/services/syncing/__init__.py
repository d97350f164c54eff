"""Sync: a file is the truth about who is in the courses of a scope.

`batch.SyncBatch` carries it through; here is how it is asked for.
"""

from studentcli.services.syncing.guards import GUARDS, Limits, read_limits
from studentcli.services.syncing.options import ABSENT, SyncOptions
from studentcli.services.syncing.scope import Scope, read_scope

__all__ = ["ABSENT", "GUARDS", "Limits", "Scope", "SyncOptions", "read_limits", "read_scope"]
