"""Changes of the catalogue in words, and what follows from them: as done, or as a forecast."""

from collections.abc import Sequence

from studentcli.render.text import Seats


def record_sentence(
    kind: str, name: str, result: str, changes: Sequence[str], *, forecast: bool
) -> str:
    """Say in words what came, or would come, of a record that was added or edited."""
    be = "would be " if forecast else ""
    words = {
        "created": f"{kind} {name} {be}added",
        "changed": f"{kind} {name} {be}changed: {', '.join(changes)}",
        "unchanged": f"{kind} {name} is so already",
    }
    return words[result]


def renumbering_sentence(old: str, new: str, *, forecast: bool) -> str:
    """Say in words that a student has, or would have, another number."""
    if old == new:
        return f"student {old} is so already"
    return f"student {old} {'would be' if forecast else 'is now'} {new}"


def crowding_sentence(name: str, seats: Seats, *, forecast: bool) -> str | None:
    """Say in words that a course has, or would have, more students than seats, if so."""
    if seats.capacity is None or seats.taken <= seats.capacity:
        return None
    have, be = ("would have", "would be") if forecast else ("has", "is")
    return f"warning: {name} {have} {seats} seats taken; nobody {be} removed"


def keeping_sentences(number: str, refs: Sequence[str], *, forecast: bool) -> tuple[str, str]:
    """Say what a student who becomes inactive keeps, and the command that drops it."""
    keep = "would keep" if forecast else "keeps"
    return (
        f"{number} {keep} {len(refs)}: {', '.join(refs)}",
        f"hint: studentcli drop {number} {' '.join(refs)}",
    )
