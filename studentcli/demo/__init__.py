"""The demo: a small university in CSV files beside this module, a folder for it, and its story.

Nothing here enrolls anybody. The story is a list of command lines, and the command line runs them.
"""

from studentcli.demo.folder import SAMPLES, DemoFolder
from studentcli.demo.story import FIRST, NEXT, STORY, TERM, Step

__all__ = ["FIRST", "NEXT", "SAMPLES", "STORY", "TERM", "DemoFolder", "Step"]
