"""What a file shows about itself: its encoding by the BOM, its delimiter by the header.

Whatever else could only be guessed (Latin-1 looks like any other) has to be named.
"""

import codecs
import re
from typing import Final

from studentcli import errors

UTF_8: Final = "utf-8-sig"
"""The rule: UTF-8, whose BOM is tolerated."""
COMMA: Final = ","
OTHERS: Final = (";", "\t", "|")
HEADER_LIMIT: Final = 128 * 1024

_QUOTED = re.compile(r'"[^"]*"')
_LINE_END = re.compile(r"[\r\n]")


def text_encoding(name: str) -> str:
    """Give an encoding by the name that Python knows it by; UTF-8 tolerates a BOM.

    Raises:
        errors.FileUnreadable: when there is none of that name for text.
    """
    try:
        b"a;\xfc".decode(name, errors="replace")
        known = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise errors.FileUnreadable(
            f"there is no encoding {name!r}", hint="such as utf-8, cp1252 or utf-16"
        ) from error
    return UTF_8 if known == "utf-8" else known


def encoding_of(beginning: bytes) -> str:
    """Tell the encoding by the BOM: UTF-16, else UTF-8, which is held to be so by every byte."""
    is_utf_16 = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if is_utf_16 else UTF_8


def first_line(beginning: bytes, encoding: str) -> str:
    """Give the first line that holds anything, as far as it can be read."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    try:
        text = decoder.decode(beginning[:HEADER_LIMIT]).lstrip("\r\n")
    except UnicodeError:  # UTF-16 without its BOM is refused when the file is read
        return ""
    return _LINE_END.split(text, maxsplit=1)[0]


def delimiter_of(header: str) -> str:
    """Tell what separates the cells of a header: a comma, else the first other that is there.

    What stands in quotes is a name and separates nothing.
    """
    bare = _QUOTED.sub("", header)
    if COMMA in bare:
        return COMMA
    return next((mark for mark in OTHERS if mark in bare), COMMA)


def shown(delimiter: str) -> str:
    """Write a delimiter as --delimiter takes it."""
    return "'\\t'" if delimiter == "\t" else f"'{delimiter}'"


def guesses(encoding: str | None, delimiter: str | None) -> list[str]:
    """Say in words what was found out and is not the rule; None was named, not found out."""
    said = []
    if encoding not in {None, UTF_8}:
        said.append(f"read as {str(encoding).upper()}, by its first bytes")
    if delimiter not in {None, COMMA}:
        said.append(f"separated by {shown(str(delimiter))}, by its header")
    return said
