"""The registrar's words that tables, rules and commands share."""

from typing import Final

STUDENT_STATUSES: Final = ("active", "inactive")
COURSE_STATUSES: Final = ("open", "closed", "cancelled")
ENROLLMENT_STATUSES: Final = ("enrolled", "waitlisted", "dropped", "withdrawn", "completed")
LIVE_STATUSES: Final = ("enrolled", "waitlisted")
"""Who is in a course, or waits for it."""
SEATED_STATUSES: Final = ("enrolled", "completed")
"""Who holds a seat. A completed student keeps it: a course that ends must not promote its queue."""

EXTRA_SEATS: Final = frozenset({"course-full", "seat-reserved"})
"""The overrides that give a seat of a course, free or not, to one student."""

HOLD_BLOCKS: Final = ("add", "add-drop")
"""What a hold blocks: adding, or adding and dropping."""
OPERATION_OUTCOMES: Final = ("done", "aborted")
