"""The demo's folder: made, started afresh, and never mistaken for somebody's own."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from studentcli import errors

SAMPLES: Final = ("terms.csv", "courses.csv", "students.csv", "enrollments.csv")
DATABASE: Final = "demo.db"
SQLITE_COMPANIONS: Final = tuple(f"{DATABASE}{end}" for end in ("-wal", "-shm", "-journal"))

APPLICATION_ID: Final = 0x53434445
"""What SQLite keeps in the header of a demo's database, at byte 68, so that it is known again."""


class DemoFolder:
    """A folder that holds the demo's database and the files it is made from.

    Args:
        name: as somebody typed it.

    Raises:
        errors.Usage: when the name cannot be shown and typed again.
    """

    def __init__(self, name: str) -> None:
        if not name.isprintable():
            raise errors.Usage(
                f"{name!r} holds what cannot be typed again", hint="studentcli demo FOLDER"
            )
        self.path = Path(name)
        # As the beginning of a file's name, - would be an option and ~ somebody's home.
        self.name = str(self.path.absolute() if name.startswith(("-", "~")) else self.path)

    @property
    def database(self) -> str:
        """The path of the database, as it is typed."""
        return f"{self.name}/{DATABASE}"

    def require_own(self) -> None:
        """Stop when something in the folder is called like the demo's, and is not the demo's.

        Raises:
            errors.Usage: naming it.
        """
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise errors.Usage(
                f"{self.name} is no folder", hint="name another one: studentcli demo FOLDER"
            )
        try:
            found = [path for name in SAMPLES if self._is_foreign_sample(path := self.path / name)]
            if self._database_is_foreign():
                found.append(self.path / DATABASE)
        except OSError as error:
            raise self._unusable(error) from error
        if found:
            raise errors.Usage(
                f"{found[0]} was not made by the demo, or was changed since; it is left as it is",
                hint="move it away, or name another folder: studentcli demo FOLDER",
            )

    def start_afresh(self) -> None:
        """Delete the database of an earlier demo; lay out the sample files.

        Raises:
            errors.Usage: as `require_own`, or when the folder cannot be written.
        """
        from studentcli.formats.output import writing

        self.require_own()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The companions first: without its database, a journal would be foreign next time.
            for name in (*SQLITE_COMPANIONS, DATABASE):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        for name in SAMPLES:
            if not (self.path / name).exists():
                with writing(self.path / name) as stream:
                    stream.write(sample(name).decode())

    def claim_database(self) -> None:
        """Mark the database, if there is one, as the demo's: the next demo may delete it."""
        if (self.path / DATABASE).exists():
            with closing(sqlite3.connect(self.path / DATABASE)) as connection:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def how_to_remove(self) -> list[str]:
        """Give the command that removes what the demo made, and nothing else."""
        own = (DATABASE, *SAMPLES)
        others = {path.name for path in self.path.iterdir()} - {*own, *SQLITE_COMPANIONS}
        if others or self.path.resolve() == Path.cwd():
            return ["rm", *(f"{self.name}/{name}" for name in own)]
        return ["rm", "-r", self.name]

    def _is_foreign_sample(self, path: Path) -> bool:
        return os.path.lexists(path) and (
            not path.is_file() or path.read_bytes() != sample(path.name)
        )

    def _database_is_foreign(self) -> bool:
        path = self.path / DATABASE
        if not os.path.lexists(path):
            return any(os.path.lexists(self.path / name) for name in SQLITE_COMPANIONS)
        if not path.is_file() or path.is_symlink():
            return True
        # Read, not opened as a database: that could leave files beside somebody's own.
        with path.open("rb") as file:
            header = file.read(100)
        return header[68:72] != APPLICATION_ID.to_bytes(4)

    def _unusable(self, error: OSError) -> errors.Usage:
        return errors.Usage(
            f"{self.name} cannot hold the demo: {error.strerror}",
            hint="name a folder that you can write to: studentcli demo FOLDER",
        )


def sample(name: str) -> bytes:
    """Read one of the files that ship with the demo."""
    return (Path(__file__).parent / name).read_bytes()
