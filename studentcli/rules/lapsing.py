"""Overrides that were given in one step with a change and do not outlast it."""

from studentcli.facts import Facts
from studentcli.requests import Outcome, Policy
from studentcli.rules.book import ALWAYS, FOR_A_SEAT, judge
from studentcli.rules.queue import promotion_case


def warn_of_lapsing(outcome: Outcome, facts: Facts, policy: Policy) -> None:
    """Warn somebody who waits now of overrides that will be missing when there is a seat.

    A promotion is judged as of its own day, by the overrides that were granted as records. One that
    was given with the change has counted for the place in the queue and counts no further.
    """
    course_id, student_id, given = outcome.course_id, outcome.student_id, outcome.change.overrides
    if outcome.result != "waitlisted" or not given or course_id is None or student_id is None:
        return
    case = promotion_case(student_id, facts.courses[course_id], facts, policy)
    against = {refusal.code for refusal in judge((*ALWAYS, *FOR_A_SEAT), case).refusals}
    missing = sorted(against & given)
    if missing:
        ways = " and ".join(
            f"studentcli override grant {outcome.student} {outcome.course} --rule {code}"
            " --reason TEXT"
            for code in missing
        )
        outcome.warning = (
            f"{outcome.student} waits for {outcome.course}; the override of {' and '.join(missing)}"
            f" ends here and does not count when there is a seat: {ways}"
        )
