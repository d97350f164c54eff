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
    stream, temporary = temporary_beside(path)
    try:
        with stream:
            yield stream
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def temporary_beside(path: Path) -> tuple[IO[str], str]:
    """Open a new file, mode 0600, that can take the place of `path` once it is complete.

    Returns:
        The stream, and the name of the temporary file.

    Raises:
        errors.Usage: when `path` is a folder, a pipe or a device, or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise errors.Usage(
            f"{path} is no regular file and cannot be replaced by one",
            hint="name a file; for a pipe or device write to standard output",
        )
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path cannot be read"
        raise errors.Usage(f"{path} cannot be written: {reason}") from error
    return os.fdopen(handle, "w", encoding="utf-8", newline=""), temporary
