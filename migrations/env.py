"""Alembic's entry: runs the revisions in one transaction that migrators take in turns.

`studentcli db …` hands its own connection over in `config.attributes["connection"]`; the plain
`alembic` command takes the database from STUDENTCLI_DATABASE_URL, as every studentcli command.
"""

import os

from alembic import context
from sqlalchemy import Connection

from studentcli.database import Database, normalize_url
from studentcli.models import complete_metadata
from studentcli.schema import begin_script, end_script, migrating

config = context.config
url = normalize_url(os.environ.get("STUDENTCLI_DATABASE_URL", "studentcli.db"))


def run(connection: Connection) -> None:
    """Run the revisions over a connection on which `migrating` holds the turn."""
    context.configure(
        connection=connection,
        target_metadata=complete_metadata(),
        transactional_ddl=True,
        # SQLite has no identities: Alembic would take each of ours for a change.
        compare_server_default=connection.dialect.name != "sqlite",
    )
    context.run_migrations()


def run_offline() -> None:
    """Print the SQL instead of running it, in the same kind of transaction."""
    dialect = config.attributes.get("dialect", url.get_backend_name())
    context.configure(
        dialect_name=dialect,
        target_metadata=complete_metadata(),
        literal_binds=True,
        transactional_ddl=False,
    )
    output = context.get_context().impl.static_output
    output(begin_script(dialect))
    context.run_migrations()
    output(end_script(dialect))


if context.is_offline_mode():
    run_offline()
elif (connection := config.attributes.get("connection")) is not None:
    run(connection)
else:
    with migrating(Database(url)) as connection:
        run(connection)
