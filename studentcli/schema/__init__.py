"""The schema's life: create, upgrade, adopt, inspect, back up. The only package that loads Alembic.

Every function is plain Python; the `db` commands add nothing to them.
"""

from studentcli.schema.adoption import PLAIN_TABLES, adopt, forecast_adoption, plain_differences
from studentcli.schema.copying import backup
from studentcli.schema.migrating import (
    SchemaStatus,
    downgrade,
    forecast,
    in_turn,
    migrating,
    migrations_folder,
    newest_revision,
    status,
    upgrade,
    upgrade_sql,
)
from studentcli.schema.script import begin_script, end_script

__all__ = [
    "PLAIN_TABLES",
    "SchemaStatus",
    "adopt",
    "backup",
    "begin_script",
    "downgrade",
    "end_script",
    "forecast",
    "forecast_adoption",
    "in_turn",
    "migrating",
    "migrations_folder",
    "newest_revision",
    "plain_differences",
    "status",
    "upgrade",
    "upgrade_sql",
]
