"""Insert an object in a hole of another one: a peg in a block, a stopper in a bottle.

A hole is measured, not authored (:mod:`blueprint_pipeline.skill.holes`), and so is what fits in it: each object whose outline, turned about
the vertical as is best, leaves a little room on every side. World frame: z up, metres.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3, vector3
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.geometry.transforms import apply, matrix_of
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.skill.contract import NotOffered, ObjectFacts, StartState, Workplace, tell_apart
from blueprint_pipeline.skill.grasping import LOWER_M
from blueprint_pipeline.skill.hole_words import hole_words
from blueprint_pipeline.skill.holes import CLOSED_M, LEAST_CLEARANCE_M, MOST_CLEARANCE_M, Fit, Hole, fit, section_of
from blueprint_pipeline.skill.instruction import INSERT, say_in_ways
from blueprint_pipeline.skill.offer import Offer, turned_about
from blueprint_pipeline.skill.receiver import Receiver, Receivers
from blueprint_pipeline.skill.receiving import ReceivedTask, ReceivingSkill

DEPTH_SHARE = 0.8
"""Of a hole that the target goes down at least."""
ALIGNED_RAD = 0.1
"""Between the target's axis and the hole's; a peg that leans on the rim of a hole of 4 cm, with 3 mm of room a side, is 0.15 off."""
RECEIVER_MOVED_M = 0.01
"""How far the object with the hole may be moved."""
_THROUGH_M = 0.003
"""How far below the hole's floor the target may end."""
_KEPT_SHARE, _KEPT_M = 0.3, 0.001
"""Of the room on its side, and at most: what is kept between the target in hand and the walls."""
_DEEPEST_M = LOWER_M - 0.015
"""The straight way down begins above the hole."""


class InsertTask(ReceivedTask):
    """Take one object and insert it in the hole that the sentence names."""

    task_type: Literal["insert"] = "insert"
    hole: int = Field(ge=1)
    """Which of the receiver's holes, counted from 1 in an order of their places in its frame."""
    depth_m: float = Field(gt=0)
    """Of the hole, from the lowest place of its rim to its floor."""
    clearance_m: float = Field(gt=0)
    """Room that the target has in the hole, on the side on which there is least."""
    turns_rad: tuple[float, ...] = Field(min_length=1)
    """Turns of the target about the vertical, from how it stands at the start, with which it has that room, best first."""
    axis_object: Vector3
    """What was up in the target at the start, in its own frame: the axis along which it goes in."""
    axis_support: Vector3
    """The hole's axis, outwards, in the receiver's frame."""

    @property
    def goal_name(self) -> str:
        """Which hole of what."""
        return f"{self.support_object}, hole {self.hole}"

    @property
    def yaws_rad(self) -> tuple[float, ...]:
        """Only those that fit."""
        return self.turns_rad

    @property
    def touch_m(self) -> float:
        """Nothing: some of the room is kept."""
        return -min(_KEPT_M, _KEPT_SHARE * self.clearance_m)

    @property
    def is_exact(self) -> bool:
        """It is: the target slips in the hand on the way, by as much as it has room."""
        return True

    def end_pose(self, start: Pose) -> Pose:
        """In the hole, turned so that it fits."""
        return turned_about(super().end_pose(start), np.array(self.center_object_m), self.turns_rad[0])


class Insert(ReceivingSkill[InsertTask]):
    """Takes an object and inserts it in a hole."""

    name = "insert"
    version = "insert-2"
    difficulty = 0.8
    task = InsertTask
    relation = "in"
    nowhere = "no hole beside it fits it"
    lacking = "it has no hole"

    @property
    def is_retraceable(self) -> bool:
        """No: a repeated motion is checked with the room of free space, and turns the object in any way at its goal."""
        return False

    def is_receiver(self, facts: ObjectFacts) -> bool:
        """Whatever has a hole."""
        del facts
        return True

    def receiver(self, receivers: Receivers, name: str) -> Receiver | None:
        """Its first hole: which one is asked for, each task says."""
        return next((receiver_of(hole) for hole in receivers.holes(name)), None)

    def room_m(self, radius_m: float) -> float:
        """Whether it fits was asked of its outline."""
        del radius_m
        return 0.0

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What cannot be taken, and what fits in no hole."""
        if reason := super().find_unsuitable(place, target):
            return reason
        refused = self._refused(place, target)
        return self._say_nowhere(refused) if len(refused) == len(place.objects) - 1 else None

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """Every hole in which it fits."""
        return tuple(
            f"{name}, hole {number}"
            for name in super().list_goals(place, target)
            for number, misfit in enumerate(_misfits(place, target, name), start=1)
            if misfit is None
        )

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> InsertTask:
        """One of the holes in which it fits, and how to say so."""
        return self._propose(place, start, target, None, rng)

    def propose_goal(self, place: Workplace, start: StartState, target: str, goal: str, rng: np.random.Generator) -> InsertTask:
        """The same, with one hole alone."""
        return self._propose(place, start, target, goal, rng)

    def _propose(self, place: Workplace, start: StartState, target: str, goal: str | None, rng: np.random.Generator) -> InsertTask:
        phrases, references = tell_apart(place, start, target)
        refused = self._refused(place, target)
        fitting = [
            (name, number)
            for name in sorted(set(place.objects) - {target} - set(refused))
            for number, misfit in enumerate(_misfits(place, target, name), start=1)
            if misfit is None and goal in (None, f"{name}, hole {number}")
        ]
        alone = len({name for name in place.objects if place.receivers.holes(name)}) == 1
        for name, number in (fitting[index] for index in rng.permutation(len(fitting))):
            words, hole = _words(place, start, name, number), place.receivers.holes(name)[number - 1]
            if words is None or name not in references:
                refused[name] = "no words tell its holes from one another" if words is None else "no words tell it from another object"
            else:
                said = [words] * alone + [f"{words} of the {reference}" for reference in references[name]]
                sentences = say_in_ways(INSERT, phrases, self.relation, place.frame, rng=rng, references=said)
                try:
                    offer = Offer(place=place, start=start, target=target, name=name, receiver=receiver_of(hole))
                    return self._build(offer, number, sentences)
                except NotOffered as refusal:
                    refused[name] = refusal.reason
        raise NotOffered(self._say_nowhere(refused))

    def _build(self, offer: Offer, number: int, sentences: tuple[str, tuple[str, ...]]) -> InsertTask:
        start, hole = offer.start, offer.place.receivers.holes(offer.name)[number - 1]
        found = _fit_in(start, offer.target, offer.name, hole)
        facts = {
            "hole": number,
            "depth_m": round(hole.depth_m, 5),
            "clearance_m": round(found.clearance_m, 5),
            "turns_rad": tuple(round(turn, 5) for turn in found.turns_rad),
            "axis_object": _up_in(start.poses[offer.target]),
            "axis_support": _up_in(start.poses[offer.name]),
        }
        return self._build_task(replace(offer, turn_rad=found.turns_rad[0]), sentences, facts)

    def place_conditions(self, task: InsertTask) -> tuple[Condition, ...]:
        rim = task.outline
        axes = {"axis_object": task.axis_object, "axis_support": task.axis_support}
        deep = DEPTH_SHARE * task.depth_m
        return (
            task.depth_in_outline("in_hole"),
            Condition(name="inserted", measure="depth_under_rim", arguments=rim, limit=deep, direction="at_least", unit="m"),
            Condition(
                name="above_floor", measure="depth_under_rim", arguments=rim, limit=task.depth_m + _THROUGH_M, direction="at_most", unit="m"
            ),
            Condition(name="aligned", measure="misalignment", arguments=axes, limit=ALIGNED_RAD, direction="at_most", unit="rad"),
        )

    def conditions(self, task: InsertTask) -> tuple[Condition, ...]:
        """As of all that receive; the receiver stays where it is, but for a little."""
        still = Condition(name="receiver_still", measure="support_way", limit=RECEIVER_MOVED_M, direction="at_most", unit="m")
        return (*super().conditions(task), still)

    def _refused(self, place: Workplace, target: str) -> dict[str, str]:
        """The objects that have no hole for the target wherever they stand, and why; nothing is said of those that have none at all."""
        refused = {}
        for name in set(place.objects) - {target}:
            if (unable := self._find_unable(place, name)) is not None:
                refused[name] = unable
            elif None not in (misfits := _misfits(place, target, name)):
                refused[name] = "; ".join(dict.fromkeys(filter(None, misfits)))
        return refused

    def _find_unable(self, place: Workplace, name: str) -> str | None:
        return super()._find_unable(place, name) if place.receivers.holes(name) else ""


def receiver_of(hole: Hole) -> Receiver:
    """A hole as what receives another object: there is one spot for it."""
    radius = np.linalg.norm(hole.outline_m - hole.outline_m.mean(axis=0), axis=1).min()
    return Receiver(spots_m=hole.floor_m[None], inside_m=np.array([radius]), corners_m=hole.outline_m, depth_m=hole.depth_m)


def find_misfit(section_m: FloatArray, hole: Hole, pose_world_receiver: FloatArray) -> str | None:
    """Why an object with some outline (k, 2) about its middle is not inserted in a hole, in words; ``None``: it is."""
    drawn = fit(section_m, _about_middle(hole.drawn_m, hole, pose_world_receiver))
    if drawn.clearance_m < LEAST_CLEARANCE_M:
        if drawn.clearance_m < 0:
            return f"a hole is {_mm(-drawn.clearance_m)} too narrow for it on a side"
        return f"a hole leaves it {_mm(drawn.clearance_m)} of room on a side ({_mm(LEAST_CLEARANCE_M)} at least)"
    if drawn.clearance_m > MOST_CLEARANCE_M:
        return f"a hole leaves it {_mm(drawn.clearance_m)} of room on a side ({_mm(MOST_CLEARANCE_M)} at most), and it would lean"
    if hole.closed_m > CLOSED_M:
        how = "close all of a hole" if np.isinf(hole.closed_m) else f"stand {_mm(hole.closed_m)} into a hole"
        return f"its collision pieces {how} that is drawn open ({_mm(CLOSED_M)} at most): make its walls of separate closed convex parts"
    if hole.depth_m > _DEEPEST_M:
        return f"a hole is {_mm(hole.depth_m)} deep ({_mm(_DEEPEST_M)} at most)"
    return None


def _mm(length_m: float) -> str:
    return f"{length_m * 1000:.1f} mm"


def _about_middle(outline_m: FloatArray, hole: Hole, pose_world_receiver: FloatArray) -> FloatArray:
    """An outline (n, 3) of a hole from above, about its middle (n, 2), with its object at a pose (4, 4)."""
    turned = (outline_m - hole.floor_m) @ pose_world_receiver[:3, :3].T
    seen: FloatArray = turned[:, :2]
    return seen


def _fit_in(start: StartState, target: str, name: str, hole: Hole) -> Fit:
    """How the target goes in where both stand."""
    return fit(section_of(start.footprints[target]), _about_middle(hole.outline_m, hole, matrix_of(start.poses[name])))


def _misfits(place: Workplace, target: str, name: str) -> tuple[str | None, ...]:
    """Why the target is not inserted in each hole of an object, however both are turned; ``None``: it is."""
    pose, _ = place.receivers.stands(name)
    section = section_of(place.receivers.stands(target)[1])
    return tuple(find_misfit(section, hole, pose) for hole in place.receivers.holes(name))


def _words(place: Workplace, start: StartState, name: str, number: int) -> str | None:
    """What a hole is called, as the scene's camera sees it."""
    pose = matrix_of(start.poses[name])
    middles = np.array([apply(pose, hole.floor_m)[:2] for hole in place.receivers.holes(name)])
    return hole_words(place.frame.to_viewer(middles))[number - 1]


def _up_in(pose: Pose) -> Vector3:
    """The world's up in the frame of an object."""
    return vector3(np.round(rotation_from_quat(np.array(pose.quat_wxyz))[2], 6))


SKILL = Insert()
