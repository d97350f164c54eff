"""Writing a file so that it is there whole, or not at all; mode 0600, for it holds names."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from studentcli import errors


@contextmanager
def writing(path: Path | None) -> Iterator[IO[str]]:
    """Open a file to be written, or standard output when there is no path.

    Raises:
        errors.Usage: when it cannot be written there.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise errors.Usage(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
