"""Alembic's entry: runs the revisions in one transaction that migrators take in turns.

`studentcli db …` hands its own connection over in `config.attributes["connection"]`; the plain
`alembic` command takes the database from STUDENTCLI_DATABASE_URL, as every studentcli command.
"""

import os

from alembic import context
from sqlalchemy import Connection

from studentcli.database import Database, normalize_url
from studentcli.models import Base
from studentcli.schema import migrating

config = context.config


def run(connection: Connection) -> None:
    """Run the revisions over a connection on which `migrating` holds the turn."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        compare_type=True,
    )
    context.run_migrations()


def run_offline() -> None:
    """Print the SQL instead of running it."""
    context.configure(
        dialect_name=config.attributes.get("dialect", "sqlite"),
        target_metadata=Base.metadata,
        literal_binds=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
elif (connection := config.attributes.get("connection")) is not None:
    run(connection)
else:
    url = normalize_url(os.environ.get("STUDENTCLI_DATABASE_URL", "studentcli.db"))
    with migrating(Database(url)) as connection:
        run(connection)
