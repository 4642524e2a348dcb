"""What skills share that bring an object into a region: which regions there are, and what of a task becomes a question to the planner."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill.contract import Skill, StartState, Workplace
from blueprint_pipeline.skill.grasping import YAWS_RAD, GraspQuery
from blueprint_pipeline.skill.region import RELATIONS, THIRDS, RegionTask

AnyRegionTask = TypeVar("AnyRegionTask", bound=RegionTask)


class RegionSkill(Skill[AnyRegionTask]):
    """Brings an object to a part of the surface, or beside another object."""

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """Parts of the surface, and sides of other objects."""
        return (*THIRDS, *(RELATIONS if set(place.objects) - {target} else ()))

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> AnyRegionTask:
        """Any of them."""
        return self.propose_among(place, start, target, [*THIRDS, *RELATIONS], rng)

    def propose_goal(self, place: Workplace, start: StartState, target: str, goal: str, rng: np.random.Generator) -> AnyRegionTask:
        """That one alone."""
        return self.propose_among(place, start, target, [goal], rng)

    @abstractmethod
    def propose_among(
        self, place: Workplace, start: StartState, target: str, names: Sequence[str], rng: np.random.Generator
    ) -> AnyRegionTask:
        """A task with one of some words for regions, keys of :data:`THIRDS` or :data:`RELATIONS`, and how to say so.

        Raises:
            NotOffered: There is none, and why.
        """


class SetDownTask(Protocol):
    """Takes one object and sets it down."""

    @property
    def target_object(self) -> str: ...

    @property
    def support_object(self) -> str: ...

    @property
    def goal_position_m(self) -> Vector3: ...

    @property
    def center_object_m(self) -> Vector3: ...


def query_of(scene: MotionScene, qpos: FloatArray, task: SetDownTask, *, yaws_rad: tuple[float, ...] = YAWS_RAD) -> GraspQuery:
    """How the target can be taken and set down at the goal, from a whole state (nq,)."""
    return GraspQuery(
        scene=scene,
        qpos=qpos,
        target=task.target_object,
        support=task.support_object,
        goal_position_m=task.goal_position_m,
        center_object_m=task.center_object_m,
        yaws_rad=yaws_rad,
    )
