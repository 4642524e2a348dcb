"""Tasks that bring one object on or into another one, which may be moved itself: the model, the search, and the conditions that they share.

World frame: z up, metres; quaternions wxyz. What is said of the receiving object is said in its own frame, and judged where it ends.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3, vector3
from blueprint_pipeline.geometry.transforms import matrix_of
from blueprint_pipeline.kit.predicates import Condition, ObservedMotion, judge, tilt_rad
from blueprint_pipeline.motion.collision import CLEARANCE_M
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LINE_STEP_M
from blueprint_pipeline.skill import placing
from blueprint_pipeline.skill.conditions import (
    AT_REST,
    LAST_FRAMES,
    LIFTED,
    MAX_TILT_RAD,
    RELEASED,
    SupportNotObserved,
    untouched,
    upright,
)
from blueprint_pipeline.skill.contract import NotOffered, ObjectFacts, Skill, StartState, Steps, Workplace, tell_apart
from blueprint_pipeline.skill.grasping import SUPPORT_TOUCH_M, YAWS_RAD, GraspQuery, reachable_grasps
from blueprint_pipeline.skill.instruction import PUT, say_in_ways
from blueprint_pipeline.skill.mishaps import KINDS
from blueprint_pipeline.skill.offer import Offer
from blueprint_pipeline.skill.picking import find_untakeable
from blueprint_pipeline.skill.receiver import Receiver, Receivers
from blueprint_pipeline.skill.taking import take_and_place
from blueprint_pipeline.task.mishap import Mishap
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.task.task import Task

SLIP_M = 0.005
"""How far an object may lie otherwise in the hand than it was planned, where its receiver's walls are near."""
_EXACT_STEP_M = 0.005
"""Between two points of a way down that must be straight to some tenths of a millimetre."""
_MOVED_M = 0.01
"""How far the receiver may slide when the target is let go on it."""


class ReceivedTask(Task):
    """Bring the target on or into ``support_object``; the sentence says which, and nothing else decides."""

    goal_position_m: Vector3
    """Where the demonstration aims to set the target's origin down, in the world."""
    corners_object_m: tuple[Vector3, ...] = Field(min_length=3)
    """Outline of the receiver's opening at its rim, or of its top, in the receiver's frame, counter-clockwise from above."""
    center_object_m: Vector3
    """The middle of the target in the target's own frame, as it stands at the start."""
    half_height_m: float = Field(gt=0)
    """Of the target, as it stands at the start."""
    upright: bool
    """Whether the target must end as upright as it began."""
    max_tilt_rad: float = Field(default=MAX_TILT_RAD, gt=0)

    @property
    def goal_xy_m(self) -> tuple[float, float]:
        """Where the demonstration aims to set the target's origin down."""
        return self.goal_position_m[:2]

    def goal_m(self, start: Pose) -> Vector3:
        """Where the demonstration sets the target's middle down."""
        return vector3(np.array(self.goal_position_m) + matrix_of(start)[:3, :3] @ np.array(self.center_object_m))

    @property
    def goal_name(self) -> str:
        """What receives it."""
        return self.support_object

    def end_pose(self, start: Pose) -> Pose:
        """On or in what receives it, turned as at the start."""
        return start.model_copy(update={"position_m": self.goal_position_m})

    @property
    def yaws_rad(self) -> tuple[float, ...]:
        """Turns of the target at the goal about the vertical, in the order in which they are tried."""
        return YAWS_RAD

    @property
    def touch_m(self) -> float:
        """How deep the target in hand may touch its receiver; below 0: what is kept between them."""
        return SUPPORT_TOUCH_M

    @property
    def is_exact(self) -> bool:
        """Whether the target is looked at above its receiver before it is lowered, and lowered as straight as the arm can."""
        return False

    def depth_in_outline(self, name: str) -> Condition:
        """The target's middle ends within the outline."""
        return Condition(name=name, measure="depth_in_support", arguments=self.outline, limit=0.0, direction="at_least", unit="m")

    @property
    def outline(self) -> Mapping[str, object]:
        """Arguments of the measures that ask where in or on its receiver the target ends."""
        names = ("corners_object_m", "center_object_m", "half_height_m")
        return {name: getattr(self, name) for name in names}


AnyReceivedTask = TypeVar("AnyReceivedTask", bound=ReceivedTask)


class ReceivingSkill(Skill[AnyReceivedTask]):
    """Takes an object and sets it down on or in another one."""

    phases = placing.ALL_PHASES
    travel_phases = placing.TRAVEL_PHASES
    touch_phases = placing.TOUCH_PHASES
    subtasks = placing.SUBTASKS
    mishaps = KINDS
    takes = True
    relation: ClassVar[str]
    """Between target and receiver, in words: a key of the templates' bearers."""
    nowhere: ClassVar[str]
    """What is said where no object receives the target."""
    lacking: ClassVar[str]
    """What is said of an object of a kind that receives others, but not as it is."""
    pushes: ClassVar[tuple[tuple[float, float], ...]] = ((0.0, 0.0),)
    """Sideways along x and y, as shares of the target's weight: under each of them it must come to rest."""

    @abstractmethod
    def is_receiver(self, facts: ObjectFacts) -> bool:
        """Whether an object is of a kind that receives others."""

    @abstractmethod
    def receiver(self, receivers: Receivers, name: str) -> Receiver | None:
        """What an object offers to others as it stands; ``None``: nothing that this skill looks for."""

    def facts_of(self, receiver: Receiver) -> Mapping[str, object]:
        """What a task says of what receives, beside its outline."""
        del receiver
        return {}

    @abstractmethod
    def room_m(self, radius_m: float) -> float:
        """How far from the edge of what receives it the middle of a target of some radius must be."""

    @abstractmethod
    def place_conditions(self, task: AnyReceivedTask) -> tuple[Condition, ...]:
        """The target ends where the sentence says: asked on where it and its receiver lie at the end, and on nothing else."""

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What cannot be taken, and what nothing on the support can receive."""
        if reason := find_untakeable(place, target):
            return reason
        others = [name for name in place.objects if name != target]
        refused = {name: reason for name in others if (reason := self._find_unable(place, name)) is not None}
        return self._say_nowhere(refused) if len(refused) == len(others) else None

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """What receives others."""
        return tuple(sorted(name for name in place.objects if name != target and self._find_unable(place, name) is None))

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> AnyReceivedTask:
        """One of the objects that receive it, in the middle of what they offer, and how to say so."""
        phrases, references = tell_apart(place, start, target)
        others = sorted(name for name in place.objects if name != target)
        refused: dict[str, str] = {}
        for name in rng.permutation(others).tolist():
            reason = self._find_unable(place, name)
            receiver = None if reason is not None else self.receiver(place.receivers, name)
            if receiver is None:
                refused[name] = reason or ""
            elif name not in references:
                refused[name] = "no words tell it from another object"
            else:
                sentences = say_in_ways(PUT, phrases, self.relation, place.frame, rng=rng, references=references[name])
                try:
                    offer = Offer(place=place, start=start, target=target, name=name, receiver=receiver)
                    return self._build_task(offer, sentences, self.facts_of(receiver))
                except NotOffered as refusal:
                    refused[name] = refusal.reason
        raise NotOffered(self._say_nowhere(refused))

    def plan(self, scene: MotionScene, qpos: FloatArray, task: AnyReceivedTask, *, seed: int) -> Steps:
        """Take it; then, from how it lies in the hand, set it down."""
        return take_and_place(_query(scene, qpos, task), slip_m=SLIP_M, upright=task.upright, seed=seed)

    def plan_with_mishap(self, scene: MotionScene, qpos: FloatArray, task: AnyReceivedTask, mishap: Mishap, *, seed: int) -> Steps:
        """The same, with a first grasp that misses."""
        return take_and_place(_query(scene, qpos, task), slip_m=SLIP_M, upright=task.upright, mishap=mishap, seed=seed)

    def conditions(self, task: AnyReceivedTask) -> tuple[Condition, ...]:
        """Lifted, in its place, borne by the receiver, which stands; released, at rest and untouched."""
        pair = {"target": task.target_object, "support": task.support_object, "frames": LAST_FRAMES}
        return (
            LIFTED,
            *self.place_conditions(task),
            Condition(name="borne", measure="end_bearing", arguments=pair, limit=1.0, direction="at_least", unit="frames"),
            *((upright(task.max_tilt_rad),) if task.upright else ()),
            Condition(name="receiver_upright", measure="support_tilt", limit=MAX_TILT_RAD, direction="at_most", unit="rad"),
            RELEASED,
            AT_REST,
            untouched(task.target_object),
        )

    def check(self, task: AnyReceivedTask, motion: ObservedMotion) -> tuple[PredicateCheck, ...]:
        """Ask every condition of the task.

        Raises:
            SupportNotObserved: The poses of the receiver are not among what was observed.
        """
        if motion.support_poses is None:
            raise SupportNotObserved(task.support_object)
        return super().check(task, motion)

    def _find_unable(self, place: Workplace, name: str) -> str | None:
        """Why an object receives nothing wherever it stands; empty where it is of no such kind, ``None`` where it does."""
        facts = place.objects[name]
        if not self.is_receiver(facts):
            return ""
        if facts.bears:
            return f"{', '.join(facts.bears)} is there already"
        return facts.closed or (self.lacking if self.receiver(place.receivers, name) is None else None)

    def _say_nowhere(self, refused: Mapping[str, str]) -> str:
        """That nothing receives the target, and why those do not that could."""
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items()) if reason)
        return f"{self.nowhere} ({told})" if told else self.nowhere

    def _build_task(self, offer: Offer, sentences: tuple[str, tuple[str, ...]], facts: Mapping[str, object]) -> AnyReceivedTask:
        """The task of setting the target down there, with what is said of what receives it.

        Raises:
            NotOffered: It does not fit, would not rest, is not seen, or no hand gets there.
        """
        spot = offer.spot_m(self.room_m(offer.radius_m))
        goal = None if spot is None else offer.lowered(spot)
        if goal is None:
            raise NotOffered("there is no room for it")
        footprint, corners = offer.start.footprints[offer.target], offer.receiver.corners_m
        task = self.task(
            task_type=self.name,
            instruction=sentences[0],
            paraphrases=sentences[1],
            target_object=offer.target,
            support_object=offer.name,
            goal_position_m=_rounded(offer.unturned_m(goal)),
            corners_object_m=tuple(_rounded(corner) for corner in corners),
            center_object_m=_rounded(offer.center_object_m),
            half_height_m=round((footprint.top_m - footprint.bottom_m) / 2, 5),
            upright=offer.place.objects[offer.target].upright,
            **facts,
        )
        if not all(self._rests(offer, task, goal, push) for push in self.pushes):
            raise NotOffered("it would not stay there")
        if not offer.shows_at(goal):
            raise NotOffered("the scene's camera would hardly show it there")
        if not _can_be_held(offer, task):
            raise NotOffered("no hand can take it and set it down there")
        return task

    def _rests(self, offer: Offer, task: AnyReceivedTask, goal: Pose, push: tuple[float, float]) -> bool:
        """Whether the target, let go at its goal and pushed a little, comes to rest where the sentence says."""
        ended = offer.settled(goal, push)
        if ended is None:
            return False
        target, receiver = ended
        slid_m = float(np.linalg.norm(receiver[:3] - np.array(offer.start.poses[offer.name].position_m)))
        stood = np.array(offer.start.poses[offer.name].quat_wxyz)
        tilts = [tilt_rad(stood, receiver[3:])] + [tilt_rad(np.array(goal.quat_wxyz), target[3:])] * task.upright
        end = ObservedMotion(target_poses=target[None], support_poses=receiver[None], gripper_width_m=np.zeros(1), contacts=((),), fps=1)
        is_there = all(judgement.held for judgement in judge(self.place_conditions(task), end))
        return is_there and max(tilts) <= task.max_tilt_rad / 2 and slid_m <= _MOVED_M


def _can_be_held(offer: Offer, task: ReceivedTask) -> bool:
    """Whether a hand can take the target and set it down there: between walls the fingers need room, too."""
    query = _query(offer.place.planner, offer.qpos_with({}), task, SLIP_M)
    return next(reachable_grasps(query, []), None) is not None


def _query(scene: MotionScene, qpos: FloatArray, task: ReceivedTask, slip_m: float = 0.0) -> GraspQuery:
    return GraspQuery(
        scene=scene,
        qpos=qpos,
        target=task.target_object,
        support=task.support_object,
        goal_position_m=task.goal_position_m,
        center_object_m=task.center_object_m,
        keep_m=CLEARANCE_M + slip_m,
        yaws_rad=task.yaws_rad,
        support_touch_m=task.touch_m,
        looks_above=task.is_exact,
        line_step_m=_EXACT_STEP_M if task.is_exact else LINE_STEP_M,
    )


def _rounded(point_m: FloatArray) -> Vector3:
    return vector3(np.round(point_m, 5))
