"""Turn a knob or a dial about its axis, some way or by a quarter turn, as who looks at its face says it."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.attempts import SEED_STEP
from blueprint_pipeline.skill.conditions import LAST_FRAMES, RELEASED, nothing_else_touched, untouched
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace
from blueprint_pipeline.skill.homing import plan_home
from blueprint_pipeline.skill.part_query import require_free_start
from blueprint_pipeline.skill.part_task import JointTask, find_unsuitable_part, say_of_part
from blueprint_pipeline.skill.pulling import PullQuery, find_pulls, no_pull, plan_pull
from blueprint_pipeline.skill.subtasks import Subtask
from blueprint_pipeline.twin.body_names import object_of

MAX_TURNS = 3
LEAST_RAD = 0.35
"""A knob that was turned by less was hardly turned (20 degrees)."""
SLACK_RAD = 0.26
"""How far from a quarter turn one ends that was said to be one (15 degrees)."""
SURE_RAD = 0.06
"""How far within the bounds of its goal a knob must be for the turns to end."""
REST_PER_S = 0.02
"""Of its range a second: how fast a knob may turn that is at rest."""
WAYS = {-1: ("clockwise", "to the right"), 1: ("counterclockwise", "to the left")}
"""How a direction is said, by the sign in which the position of the joint changes: its axis points out of the face."""
_QUARTER = np.pi / 2
_FROM_END_RAD = 0.05


@dataclass(frozen=True, kw_only=True)
class TurnGoal:
    """Something that can be asked of a knob, in either direction."""

    templates: tuple[str, ...]
    """Ways to give the order; ``{part}`` stands for the knob, ``{way}`` for the direction."""
    turns_between: tuple[float, float | None]
    """Angles between which the sentence is true [rad]; ``None``: without an upper bound."""
    aims: tuple[float, float]
    """Between which the angle that is aimed at is drawn."""


GOALS = (
    TurnGoal(
        templates=("turn the {part} {way}", "rotate the {part} {way}", "twist the {part} {way}"),
        turns_between=(LEAST_RAD, None),
        aims=(0.8, 1.2),
    ),
    TurnGoal(
        templates=(
            "turn the {part} a quarter turn {way}",
            "give the {part} a quarter turn {way}",
            "rotate the {part} {way} by a quarter turn",
        ),
        turns_between=(_QUARTER - SLACK_RAD, _QUARTER + SLACK_RAD),
        aims=(_QUARTER - 0.06, _QUARTER + 0.06),
    ),
)


class TurnTask(JointTask):
    """Turn one knob."""

    task_type: Literal["turn"] = "turn"
    starts_at: float
    """Position of the joint at the start [rad]."""
    turn_rad: float
    """By what the demonstration turns it: above 0 counterclockwise, as seen by who looks at its face."""
    turns_between: tuple[float, float | None]
    """Angles in that direction between which the sentence is true."""

    @property
    def end_position(self) -> float:
        return self.starts_at + self.turn_rad

    @property
    def goal_name(self) -> str:
        """Which way, and whether by a quarter turn."""
        return _name_goal(self.sign, self.turns_between)

    @property
    def sign(self) -> int:
        """Of the change of the joint's position."""
        return 1 if self.turn_rad > 0 else -1


class Turn(Skill[TurnTask]):
    """Takes a knob between two fingers and turns it."""

    moves = "part"
    name = "turn"
    version = "turn-1"
    difficulty = 0.5
    phases = ("approach", "reach", "grasp", "turn", "release", "leave", "home")
    travel_phases = ("approach", "reach", "leave", "home")
    touch_phases = frozenset({"grasp", "turn", "release", "leave"})
    subtasks = (
        Subtask(name="reach", reference="target", phases=("approach", "reach", "grasp"), ways=frozenset({"approach"})),
        Subtask(name="turn", reference="target", phases=("turn", "release", "leave", "home"), ways=frozenset({"home"})),
    )
    starts_anywhere = True
    task = TurnTask

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """A part that did not pass its motion test, is no knob, or that the gripper cannot span."""
        if (problem := find_unsuitable_part(place, target, "knob")) is not None:
            return problem
        found = place.planner.handle_of(target)
        if found is None:
            return "it is too low, or too wide, for two fingers"
        return None if len(found.grasps) else "the gripper does not span it, or its fingertips are longer than it is high"

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """Both ways, some way and by a quarter turn."""
        del place, target
        return tuple(_name_goal(sign, goal.turns_between) for goal, sign in product(GOALS, WAYS))

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> TurnTask:
        """By how much to turn it which way, where the arm can do that from this start state, and how to say so."""
        joint = place.planner.parts[target]
        at = float(joint.line.positions_of(np.array([start.poses[target].as_tuple()]))[0])
        qpos = place.twin.qpos_at(start.poses, home_qpos(place.embodiment))
        rejected = list[CandidateRejected]()
        choices = list(product(GOALS, WAYS))
        for index in rng.permutation(len(choices)):
            goal, sign = choices[index]
            turn = sign * round(float(rng.uniform(*goal.aims)), 3)
            low, high = joint.line.limits
            if not low + _FROM_END_RAD <= at + turn <= high - _FROM_END_RAD:
                continue
            if next(find_pulls(PullQuery(scene=place.planner, qpos=qpos, joint=joint, goal=at + turn), rejected), None) is None:
                continue
            templates = [template.replace("{way}", way) for template in goal.templates for way in WAYS[sign]]
            instruction, paraphrases = say_of_part(place, target, templates, rng)
            return TurnTask(
                instruction=instruction,
                paraphrases=paraphrases,
                target_object=target,
                support_object=object_of(target),
                line=joint.line,
                starts_at=at,
                turn_rad=turn,
                turns_between=goal.turns_between,
            )
        raise NotOffered(no_pull(target, rejected).reason if rejected else "its range ends too near to where it starts, in both directions")

    def plan(self, scene: MotionScene, qpos: FloatArray, task: TurnTask, *, seed: int) -> Steps:
        """Turn by turn from what is observed, then home."""
        controls, joint = scene.holding(qpos), scene.parts[task.target_object]
        require_free_start(scene, qpos, "plan_turn")
        for number in range(MAX_TURNS):
            if _is_there(task, float(qpos[joint.qpos]), SURE_RAD):
                break
            query = PullQuery(scene=scene, qpos=qpos, joint=joint, goal=task.end_position)
            step = plan_pull(query, controls, "turn", seed=seed + SEED_STEP * number)
            qpos = yield step
            controls = step.setpoints[-1]
        if not _is_there(task, float(qpos[joint.qpos]), 0.0):
            turned_deg = np.rad2deg(task.sign * (float(qpos[joint.qpos]) - task.starts_at))
            reason = f"after {MAX_TURNS} turns '{task.target_object}' is turned by {turned_deg:.0f} degrees"
            raise PlanningFailed("plan_turn", "too_many_turns", reason)
        yield plan_home(scene, qpos, controls, seed=seed)

    def conditions(self, task: TurnTask) -> tuple[Condition, ...]:
        """Turned in the direction and by the angle that were said; at rest, let go and untouched, and nothing else touched."""
        joint, (low, high) = task.line.as_measure(), task.turns_between
        turned = {"sign": task.sign, **joint}
        pace = {"frames": LAST_FRAMES, **joint}
        enough = Condition(name="turned_enough", measure="turned", arguments=turned, limit=low, direction="at_least", unit="rad")
        bound = () if high is None else (
            Condition(name="not_too_far", measure="turned", arguments=turned, limit=high, direction="at_most", unit="rad"),
        )  # fmt: skip
        return (
            enough,
            *bound,
            Condition(name="at_rest", measure="end_pace", arguments=pace, limit=REST_PER_S, direction="at_most", unit="share/s"),
            RELEASED,
            nothing_else_touched(task.target_object),
            untouched(task.target_object),
        )


SKILL = Turn()


def _name_goal(sign: int, turns_between: tuple[float, float | None]) -> str:
    """``clockwise``, ``a quarter turn clockwise``, ..."""
    return f"{'' if turns_between[1] is None else 'a quarter turn '}{WAYS[sign][0]}"


def _is_there(task: TurnTask, position: float, margin_rad: float) -> bool:
    """Whether a knob is turned as the sentence says, by a margin from the bounds."""
    low, high = task.turns_between
    turned = task.sign * (position - task.starts_at)
    return low + margin_rad <= turned and (high is None or turned <= high - margin_rad)
