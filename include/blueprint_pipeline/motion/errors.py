"""Why a motion could not be planned."""

from typing import Literal

from blueprint_pipeline.errors import InputError

PlanningStage = Literal["plan_pick", "plan_place"]
FailureCode = Literal[
    "start_in_collision",
    "no_grasp",
    "no_ik",
    "grasp_blocked",
    "goal_unreachable",
    "no_path",
    "collision_in_timed_trajectory",
    "object_not_held",
    "too_many_attempts",
]


class PlanningFailed(InputError):
    """There is no motion for this task from this state, as far as the limited search could see.

    Attributes:
        stage: Which of the two plans failed.
        failure_code: Stable cause, e.g. ``no_grasp``: what episodes record.
        reason: One sentence for people.
    """

    code = "motion.planning_failed"
    template = "{stage} found no motion ({failure_code}): {reason}."

    stage: PlanningStage
    failure_code: FailureCode
    reason: str


class CandidateRejected(Exception):
    """One candidate (a grasp, an orientation at the goal) does not work. Never leaves this package: the search goes on with the next."""

    def __init__(self, failure_code: FailureCode, reason: str) -> None:
        super().__init__(reason)
        self.failure_code: FailureCode = failure_code
        self.reason = reason
