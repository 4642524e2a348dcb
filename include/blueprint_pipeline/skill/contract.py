"""What a skill is: the model of its tasks, what it can do in a scene, how it is planned, and when it has succeeded.

A skill is one file in this folder and one row of :data:`blueprint_pipeline.task.skills.SKILLS`. Nothing else names it.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.kit.predicates import Condition, ObservedMotion, judge
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.arm import WorkingRadius
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.conditions import as_check
from blueprint_pipeline.skill.goals import Reach, Reaching, build_reach
from blueprint_pipeline.skill.instruction import NamedObject, SurfaceFrame, phrases_of
from blueprint_pipeline.skill.receiver import Receivers
from blueprint_pipeline.skill.scene_view import SceneView
from blueprint_pipeline.skill.subtasks import WHOLE, Subtask
from blueprint_pipeline.skill.support_surface import BoolArray, SupportSurface
from blueprint_pipeline.task.mishap import Mishap, MishapKind, NoMishaps
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.twin.footprint import Footprint
from blueprint_pipeline.twin.model import SceneModel

AnyTask = TypeVar("AnyTask", bound=Task)

Steps = Generator[MotionPlan, FloatArray, None]
"""A plan in steps. Each step is a motion from where the one before ended to rest; what is sent in for it is the whole state
(nq,) that was observed after it. The last step ends with the robot away from everything."""


PROPOSALS = 6
"""Tasks that are proposed until one has a goal that is asked for, where a skill looks for none at once."""


class NotOffered(Exception):
    """The skill has no task for an object in a start state. Never leaves the planning of jobs: another object is asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """What is known of a movable object, wherever it stands."""

    noun: str
    """Its category in words, e.g. ``milk carton``."""
    colour: str | None
    """A word that people wrote, where it is true of what is drawn."""
    drawn_rgb: FloatArray | None
    """The mean of what is drawn of it, without light and shade: display values (3,), 0 to 1; ``None`` where nothing is."""
    upright: bool
    """Whether it must end as upright as it began."""
    mass_kg: float
    bears: tuple[str, ...]
    """What stands on it."""
    contains: bool
    """Whether its kind is there to hold other things (a bowl, a basket)."""
    stackable: bool
    """Whether other things are set on its kind (a plate, a box)."""
    closed: str | None
    """What its collision pieces close that is open in truth, in words; ``None`` where they are true to it."""


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """What is known of a part of an object that moves."""

    phrases: tuple[str, ...]
    """What to call it so that it is told from all others; empty where no words do."""
    colour: str | None
    """A word of its name that is true of what is drawn."""
    drawn_rgb: FloatArray | None
    """The mean of what is drawn of it, as of an object."""
    problem: str | None
    """Why it should not be moved, found in its motion test."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """One support with the robot beside it: where a job happens."""

    surface: SupportSurface
    frame: SurfaceFrame
    """The surface as the scene's camera sees it: the directions of sentences."""
    reach: Reach
    """Of the arm that acts, or begins."""
    embodiment: Embodiment
    planner: MotionScene
    twin: SceneModel
    """The scene with the robot mounted."""
    view: SceneView
    """What the scene's camera shows."""
    receivers: Receivers
    """What its objects offer to one another."""
    objects: Mapping[str, ObjectFacts]
    """Movable objects on the support."""
    parts: Mapping[str, PartFacts]
    """Parts that move, of the support and of what stands on it."""

    def reach_of(self, arm: str) -> Reach:
        """What one of the robot's arms reaches from where it stands."""
        return self._reach_within(self.embodiment.arm(arm).working_radius)

    def reach_together(self, arm: str) -> Reach:
        """What one of the robot's arms reaches of an object that it holds together with another one."""
        return self._reach_within(self.embodiment.arm(arm).radius_together)

    def _reach_within(self, radius: WorkingRadius) -> Reach:
        heading, base_m = self.planner.pose_world_base[:2, 0], self.planner.pose_world_base[:2, 3]
        return build_reach(radius, base_m, float(np.arctan2(heading[1], heading[0])))


@dataclass(frozen=True, kw_only=True)
class StartState:
    """Where the movable objects of a workplace stand when an episode begins."""

    poses: Mapping[str, Pose]
    """Of every movable object, and of each part that is not closed."""
    footprints: Mapping[str, Footprint]

    def others(self, target: str) -> list[Footprint]:
        """Footprints of everything but the target."""
        return [footprint for name, footprint in self.footprints.items() if name != target]


def shown_spots(place: Workplace, start: StartState, target: str, spots_m: FloatArray) -> BoolArray:
    """On which spots (n, 2) the scene's camera would show the target, with the robot at home; what has to be done is to be seen."""
    home = home_qpos(place.embodiment)
    return place.view.shows_at(start.poses, home, target, start.footprints[target], spots_m)


def is_shown_at(place: Workplace, start: StartState, target: str, spot_m: FloatArray) -> bool:
    """Whether enough of the target would be seen if it stood on a spot (2,) as it stands now, with the robot at home."""
    pose, way = start.poses[target], spot_m - start.footprints[target].center_m
    x, y, z = pose.position_m
    moved = pose.model_copy(update={"position_m": (x + float(way[0]), y + float(way[1]), z)})
    return place.view.shows({**start.poses, target: moved}, home_qpos(place.embodiment), target)


def planning_qpos(place: Workplace, start: StartState) -> FloatArray:
    """The planner's model with the objects where they start, (nq,)."""
    qpos: FloatArray = place.planner.model.qpos0.copy()
    place.twin.place(qpos, {name: np.array(pose.as_tuple()) for name, pose in start.poses.items()})
    return qpos


def named_objects(place: Workplace, start: StartState) -> dict[str, NamedObject]:
    """What may be said of each object."""
    return {
        name: NamedObject(object_id=name, noun=place.objects[name].noun, colour=place.objects[name].colour) for name in start.footprints
    }


def tell_apart(place: Workplace, start: StartState, target: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Phrases for the target, and for each other object that words tell from all the rest.

    Raises:
        NotOffered: No words tell the target from another object.
    """
    named = named_objects(place, start)
    told = {name: phrases_of(item, [other for key, other in named.items() if key != name]) for name, item in named.items()}
    phrases = told.pop(target)
    if not phrases:
        raise NotOffered("no words tell it from another object")
    return phrases, {name: other for name, other in told.items() if other}


class Skill(ABC, Generic[AnyTask]):
    """One thing that a robot can do with an object, or with a part of one."""

    moves: ClassVar[Literal["object", "part"]] = "object"
    """What its targets are: objects that are free to move, or parts that move on a joint."""
    start_shares: ClassVar[tuple[float, float]] = (0.0, 0.0)
    """Of a skill that moves parts: between which shares of the way from closed (0) to open (1) its target begins."""
    starts_anywhere: ClassVar[bool] = False
    """Of a skill that moves parts: whether its target begins anywhere in its whole range instead."""
    name: ClassVar[str]
    """As in :data:`blueprint_pipeline.task.skills.SKILLS`."""
    version: ClassVar[str]
    """Of the planner and the predicate; part of a job's identity, and recorded with every episode. Raise it when either changes."""
    difficulty: ClassVar[float]
    """0 (easy) to 1 (hard), for the task configuration."""
    phases: ClassVar[tuple[str, ...]]
    """Names of the phases of its motions, in order."""
    travel_phases: ClassVar[tuple[str, ...]]
    """Those in which the tool travels: the efficiency of its path is measured there."""
    touch_phases: ClassVar[frozenset[str]]
    """Those in which the fingers may touch the target."""
    subtasks: ClassVar[tuple[Subtask, ...]] = (WHOLE,)
    """Its parts that belong to one object each, hand by hand and in order; those of a hand name all of its phases, or there is but one."""
    mishaps: ClassVar[tuple[MishapKind, ...]] = ()
    """What can go wrong in it on purpose; what a job draws is given to :meth:`plan_with_mishap`."""
    takes: ClassVar[bool] = False
    """Whether the hand goes down over the object. Starts and goals then leave it room among taller things: a way in between them would
    depend on where they stand, and who learns from it would not see why."""
    task: type[AnyTask]
    """Model of its tasks."""

    def start_reach(self, place: Workplace, radius_m: float) -> Reaching:
        """Where a target whose outline has a circle of some radius about it may start."""
        del radius_m
        return place.reach

    @property
    def is_retraceable(self) -> bool:
        """Whether its motions are one hand's, and belong to the target and to the goal and nothing else: other episodes may repeat them."""
        return any(subtask.reference == "goal" for subtask in self.subtasks) and not any(subtask.hand for subtask in self.subtasks)

    @abstractmethod
    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """Why an object is no target wherever the robot stands, in words; ``None``: it may be one."""

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """The ``goal_name`` of every task that the skill may have for an object here, whatever it is in one start state.

        Empty where that is not known: coverage then counts those that were planned.
        """
        del place, target
        return ()

    @abstractmethod
    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> AnyTask:
        """A task for an object in a start state; all that varies is drawn from ``rng``.

        Raises:
            NotOffered: There is none, and why.
        """

    def propose_goal(self, place: Workplace, start: StartState, target: str, goal: str, rng: np.random.Generator) -> AnyTask:
        """A task whose ``goal_name`` is that: of a few proposals the first. A skill that can look for it at once says how.

        Raises:
            NotOffered: There is none, and why.
        """
        for _ in range(PROPOSALS):
            task = self.propose(place, start, target, rng)
            if task.goal_name == goal:
                return task
        raise NotOffered(f"none of {PROPOSALS} proposals has the goal '{goal}'")

    @abstractmethod
    def plan(self, scene: MotionScene, qpos: FloatArray, task: AnyTask, *, seed: int) -> Steps:
        """Plan the task in steps, each from what was observed after the one before.

        Args:
            scene: The prepared model.
            qpos: Whole state (nq,) before the first step: the robot at rest, every object where it stands.
            task: What to do.
            seed: Decides every search: the same seed gives the same setpoints, bit by bit.

        Raises:
            PlanningFailed: There is no motion, with the step and the reason; from ``next`` and ``send``.
        """

    def comes_back(self, _task: AnyTask) -> bool:
        """Whether the target of a task goes back to where it began by itself, once nothing holds it any more: a button with a spring."""
        return False

    def plan_with_mishap(self, scene: MotionScene, qpos: FloatArray, task: AnyTask, mishap: Mishap, *, seed: int) -> Steps:
        """The same, with something that goes wrong on purpose in the first try; of skills that name :attr:`mishaps`.

        Raises:
            NoMishaps: It names none: the plan was written for another version of it.
        """
        del scene, qpos, task, seed
        raise NoMishaps([self.name], [f"skills that know {kind}" for kind in mishap.kinds])

    @abstractmethod
    def conditions(self, task: AnyTask) -> tuple[Condition, ...]:
        """What must hold for the task to be done, as data: whoever has them can judge a motion without this package."""

    def check(self, task: AnyTask, motion: ObservedMotion) -> tuple[PredicateCheck, ...]:
        """Ask every condition of the task; it succeeded if all hold."""
        return tuple(as_check(judgement) for judgement in judge(self.conditions(task), motion))
