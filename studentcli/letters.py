"""Letters that hide: what a terminal would act upon, and what no eye sees."""

import unicodedata
from typing import Final

JOINERS: Final = "\u200c\u200d"
"""Zero-width, but Persian and Indic words are spelled with them."""


def safe_text(text: str) -> str:
    """Make control, bidi and zero-width characters visible; joiners between letters stay."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for index, letter in enumerate(text):
        category = unicodedata.category(letter)
        is_control = category in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        if letter in JOINERS and 0 < index < len(text) - 1:
            before, after = text[index - 1], text[index + 1]
            in_word = before.isalpha() or unicodedata.category(before) in {"Mn", "Mc"}
            is_control = not (in_word and after.isalpha())
        shown.append(f"\\u{ord(letter):04x}" if is_control else letter)
    return "".join(shown)


def has_hidden(text: str) -> bool:
    """Tell whether text holds a character that `safe_text` would have to make visible."""
    return safe_text(text) != text
