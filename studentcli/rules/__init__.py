"""The registration rules: pure Python, no session, no clock, no input or output.

`decide` judges one request over the facts and moves them forward. A rule is one function and its
row in the rule book (`book`); what an action does to a state is one row of TRANSITIONS.
"""

from studentcli.rules.book import OVERRIDABLE, require_overridable
from studentcli.rules.queue import run_queue, run_queues
from studentcli.rules.requesting import decide, touched_queues
from studentcli.rules.straight import Decider, Seated, SeatedRows, one_by_one
from studentcli.rules.transitions import TRANSITIONS

__all__ = [
    "OVERRIDABLE",
    "TRANSITIONS",
    "Decider",
    "Seated",
    "SeatedRows",
    "decide",
    "one_by_one",
    "require_overridable",
    "run_queue",
    "run_queues",
    "touched_queues",
]
