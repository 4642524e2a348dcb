"""Moving a part of an object on its joint, by its handle: what opening and closing share.

After each pull the part is looked at, and the next is planned from there, until it is where the sentence says; then the arm goes home.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.attempts import SEED_STEP
from blueprint_pipeline.skill.conditions import LAST_FRAMES, RELEASED, untouched
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace
from blueprint_pipeline.skill.homing import plan_home
from blueprint_pipeline.skill.part_query import require_free_start
from blueprint_pipeline.skill.part_task import JointTask, find_unsuitable_part, say_of_part
from blueprint_pipeline.skill.pulling import PullQuery, plan_pull
from blueprint_pipeline.skill.subtasks import Subtask
from blueprint_pipeline.skill.swept import find_in_the_way
from blueprint_pipeline.twin.body_names import object_of

MAX_PULLS = 3
SURE = 0.02
"""Of the range: how far from a bound of its goal a part must be for the pulls to end."""
MOVED = 0.2
"""Of the range: how far a part moves, at least."""
REST_PER_S = 0.02
"""Of the range a second: how fast a part may move that is at rest."""
PRESS_M, PRESS_RAD = 0.004, 0.015
"""How far the hand goes on where a part is closed, so that it is shut."""
_STAGE = "plan_pull"


class PartTask(JointTask):
    """Bring one part of an object to where the sentence says, on its joint."""

    ends_between: tuple[float, float]
    """Shares of the way from closed (0) to open (1) between which the sentence is true."""
    aim: float
    """The share to which the demonstration brings it."""

    @property
    def end_position(self) -> float:
        return self.line.position_at(self.aim)

    @property
    def goal_name(self) -> str:
        """How far open."""
        return describe_share(self.ends_between)


def describe_share(ends_between: tuple[float, float]) -> str:
    """Between which shares a part shall be open.

    >>> describe_share((0.7, 1.1))
    '70 to 100 % open'
    """
    low, high = (round(100 * min(max(share, 0.0), 1.0)) for share in ends_between)
    return f"{low} to {high} % open"


AnyPartTask = TypeVar("AnyPartTask", bound=PartTask)


@dataclass(frozen=True, kw_only=True)
class PartGoal:
    """Something that can be asked of a part."""

    templates: tuple[str, ...]
    """Ways to give the order; ``{part}`` stands for the part."""
    ends_between: tuple[float, float]
    aims: tuple[float, float]
    """Between which the share that is aimed at is drawn."""


class PartSkill(Skill[AnyPartTask]):
    """Takes a part by its handle, and brings it along its joint."""

    moves = "part"
    travel_phases = ("approach", "reach", "leave", "home")
    move_phase: ClassVar[str]
    """Name of the phase in which the part moves: with it, all phases are known."""
    goals: ClassVar[tuple[PartGoal, ...]]
    task: type[AnyPartTask]

    def __init_subclass__(cls) -> None:
        cls.phases = ("approach", "reach", "grasp", cls.move_phase, "release", "leave", "home")
        cls.touch_phases = frozenset({"grasp", cls.move_phase, "release", "leave"})
        cls.subtasks = (
            Subtask(name="reach", reference="target", phases=("approach", "reach", "grasp"), ways=frozenset({"approach"})),
            Subtask(name=cls.move_phase, reference="target", phases=(cls.move_phase, "release", "leave", "home"), ways=frozenset({"home"})),
        )

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """A part that did not pass its motion test, or that no gripper can take by a handle."""
        if (problem := find_unsuitable_part(place, target, "handle")) is not None:
            return problem
        found = place.planner.handle_of(target)
        if found is None:
            return "it has no handle that sticks out of its front"
        if len(found.grasps) == 0:
            return "the gripper has no grasp of its handle"
        return None

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """How far parts are opened."""
        del place, target
        return tuple(describe_share(goal.ends_between) for goal in self.goals)

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> AnyPartTask:
        """How far to bring it, with nothing in its way, and how to say so."""
        goal = self.goals[int(rng.integers(len(self.goals)))]
        joint, aim = place.planner.parts[target], round(float(rng.uniform(*goal.aims)), 3)
        qpos = place.twin.qpos_at(start.poses, home_qpos(place.embodiment))
        if (obstacle := find_in_the_way(place.planner.model, qpos, joint, joint.line.position_at(aim))) is not None:
            raise NotOffered(f"{obstacle} is in its way")
        instruction, paraphrases = say_of_part(place, target, goal.templates, rng)
        return self.task.model_validate(
            {
                "instruction": instruction,
                "paraphrases": paraphrases,
                "target_object": target,
                "support_object": object_of(target),
                "line": joint.line,
                "ends_between": goal.ends_between,
                "aim": aim,
            }
        )

    def plan(self, scene: MotionScene, qpos: FloatArray, task: AnyPartTask, *, seed: int) -> Steps:
        """Pull by pull from what is observed, then home."""
        controls, joint = scene.holding(qpos), scene.parts[task.target_object]
        require_free_start(scene, qpos, _STAGE)
        for number in range(MAX_PULLS):
            if _is_there(task, float(qpos[joint.qpos]), SURE):
                break
            query = PullQuery(scene=scene, qpos=qpos, joint=joint, goal=_goal_position(task))
            step = plan_pull(query, controls, self.move_phase, seed=seed + SEED_STEP * number)
            share = task.line.share_at(float(qpos[joint.qpos]))
            step = replace(step, begins_try=True) if number == 0 else _again(step, f"'{task.target_object}' is {share:.0%} open")
            qpos = yield step
            controls = step.setpoints[-1]
        if not _is_there(task, float(qpos[joint.qpos]), 0.0):
            share = task.line.share_at(float(qpos[joint.qpos]))
            reason = f"after {MAX_PULLS} pulls '{task.target_object}' is {share:.0%} open"
            raise PlanningFailed(_STAGE, "too_many_pulls", reason)
        yield plan_home(scene, qpos, controls, seed=seed)

    def conditions(self, task: AnyPartTask) -> tuple[Condition, ...]:
        """Moved, and to where the sentence says; at rest, let go and untouched."""
        joint, (low, high) = task.line.as_measure(), task.ends_between
        pace = {"frames": LAST_FRAMES, **joint}
        return (
            Condition(name="open_enough", measure="end_share", arguments=joint, limit=low, direction="at_least", unit="share"),
            Condition(name="closed_enough", measure="end_share", arguments=joint, limit=high, direction="at_most", unit="share"),
            Condition(name="moved", measure="moved_share", arguments=joint, limit=MOVED, direction="at_least", unit="share"),
            Condition(name="at_rest", measure="end_pace", arguments=pace, limit=REST_PER_S, direction="at_most", unit="share/s"),
            RELEASED,
            untouched(task.target_object),
        )


def _again(step: MotionPlan, seen: str) -> MotionPlan:
    """Another pull, after what was seen of the one before."""
    return replace(step, phases=step.again(), begins_try=True, failed=seen)


def _goal_position(task: PartTask) -> float:
    """Where the hand brings the part: a little beyond where it is closed, to shut it."""
    press = PRESS_M if task.line.slides else PRESS_RAD
    return task.line.position_at(task.aim) if task.aim > 0 else -press


def _is_there(task: PartTask, position: float, margin: float) -> bool:
    """Whether a part is where the sentence says, by a margin of its range from the bounds that it could pass."""
    low, high = task.ends_between
    share = task.line.share_at(position)
    return low + (margin if low > 0 else 0.0) <= share <= high - (margin if 0 < high < 1 else 0.0)
