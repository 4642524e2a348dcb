"""Why a motion could not be planned."""

from blueprint_pipeline.errors import InputError


class PlanningFailed(InputError):
    """There is no motion for this task from this state, as far as the limited search could see.

    Attributes:
        stage: Which step of the skill's plan failed, e.g. ``plan_pick``: what episodes record.
        failure_code: Stable cause, e.g. ``no_grasp``: what episodes record.
        reason: One sentence for people.
    """

    code = "motion.planning_failed"
    template = "{stage} found no motion ({failure_code}): {reason}."

    stage: str
    failure_code: str
    reason: str


class CandidateRejected(Exception):
    """One candidate (a grasp, an orientation at the goal) does not work. Never leaves this package: the search continues with the next."""

    def __init__(self, failure_code: str, reason: str) -> None:
        super().__init__(reason)
        self.failure_code = failure_code
        self.reason = reason
