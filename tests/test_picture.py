"""The README's picture of a terminal shows what the program prints today."""

import re

from tests.picture import COMMANDS, PICTURE, draw, lines_of


def test_the_picture_says_what_the_program_says_today() -> None:
    drawn = draw()
    assert [f"$ studentcli {c}" for c in COMMANDS] == [
        line for line in lines_of(drawn) if line.startswith("$")
    ]
    assert lines_of(PICTURE.read_text(encoding="utf-8")) == lines_of(drawn), (
        "python -m tests.picture draws it anew"
    )


def test_looking_at_the_picture_fetches_nothing() -> None:
    named = re.findall(r"https?://[^\s\"')]+", PICTURE.read_text(encoding="utf-8"))
    assert set(named) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
