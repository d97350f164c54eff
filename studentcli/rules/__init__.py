"""The registration rules: pure Python, no session, no clock, no input or output.

`decide` judges one request over the facts and moves them forward. A rule of admission is one
function in ADMISSION; what an action does to a state is one row of TRANSITIONS.
"""

from studentcli.rules.admission import ADMISSION, OVERRIDABLE, admission_refusals
from studentcli.rules.deciding import decide
from studentcli.rules.seats import run_queue
from studentcli.rules.transitions import TRANSITIONS

__all__ = ["ADMISSION", "OVERRIDABLE", "TRANSITIONS", "admission_refusals", "decide", "run_queue"]
