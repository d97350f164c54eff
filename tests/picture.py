"""The README's picture of a terminal: real commands on the demo's database, drawn by rich.

`python -m tests.picture` writes it to `.github/terminal.svg`. None of its commands shows a date, so
that it looks the same on every day.
"""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from studentcli.demo import TERM, DemoFolder

PICTURE: Final = Path(__file__).parent.parent / ".github" / "terminal.svg"
WIDTH: Final = 80
COMMANDS: Final = (
    "courses",
    "enroll S1042 CS101-001 ART130",
    "enroll S1013 PSY110-001",
    "drop S1019 PSY110-001",
)


def at_terminal(*arguments: str, folder: Path, **environment: str) -> str:
    """Run `studentcli` as somebody at a terminal does; gives what appears there."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        program = subprocess.Popen(
            [sys.executable, "-m", "studentcli", *arguments],
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": str(WIDTH),
                 "LC_ALL": "C.UTF-8", **environment},
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # Linux: so ends a terminal that nobody writes to any more
            while piece := screen.read(65_536):
                shown += piece
        program.wait()
    return shown.decode().replace("\r\n", "\n")


def draw() -> str:
    """Draw the picture; gives the SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = DemoFolder("studentcli-demo")
        said = at_terminal("demo", "--quiet", folder=folder)
        assert said == "", said
        environment = {"STUDENTCLI_DATABASE_URL": demo.database, "STUDENTCLI_TERM": TERM}
        for number, command in enumerate(COMMANDS):
            prompt = Text.assemble(("$ ", "dim"), (f"studentcli {command}", "bold"))
            console.print(Text("\n") + prompt if number else prompt)
            shown = at_terminal(*command.split(), folder=folder, **environment)
            console.print(Text.from_ansi(shown.rstrip("\n")))
    svg = console.export_svg(title="studentcli", unique_id="terminal")
    # A picture that is looked at must fetch nothing: the viewer's own fixed-width font will do.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def lines_of(svg: str) -> list[str]:
    """Read the lines of a picture: what it says, whichever release of rich has drawn it."""
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        lines[y] = lines.get(y, "") + unescape(text).replace("\u00a0", " ")
    return [line.rstrip() for line in lines.values()]


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(f"{PICTURE} is written")
