"""Slide an object along its support, held between the fingers, to a place that the sentence names.

What push does to an object with closed fingers behind it, this does with the fingers around it: the object goes where the hand goes, and
never leaves the support.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill.conditions import AT_REST, untouched
from blueprint_pipeline.skill.contract import NotOffered, StartState, Steps, Workplace, planning_qpos, tell_apart
from blueprint_pipeline.skill.grasping import PALM_GAP_M, GraspQuery
from blueprint_pipeline.skill.instruction import SLIDE, say_in_ways
from blueprint_pipeline.skill.pick_place import draw_destinations, preferred_hold_m
from blueprint_pipeline.skill.picking import find_untakeable
from blueprint_pipeline.skill.region import RegionTask, center_in_object, rounded_corners
from blueprint_pipeline.skill.region_skill import RegionSkill, query_of
from blueprint_pipeline.skill.sliding import NO_STEADY_GRASP, plan_slide, plan_take, slidable_grasps

RISE_M = 0.01
"""How far the target may leave the height at which it stood."""
TILT_RAD = 0.15
MOVED_M = 0.03
CLEAR_M = 0.02
"""Room that the object keeps from edges, fixed things and others on its way."""
SHORTEST_M, LONGEST_M = 0.14, 0.45
"""Of the way: most of an episode is sliding, and it ends within the arm's reach."""
_STEP_M = 0.01


class SlideTask(RegionTask):
    """Move one object along its support into the region that the sentence names, without lifting it."""

    task_type: Literal["slide"] = "slide"
    goal_position_m: Vector3
    """Where the demonstration aims to bring the target's origin, in the world: within the region. Whether the task is done does not depend
    on it."""
    upright: bool
    """Whether the target must stay as upright as it began."""


class Slide(RegionSkill[SlideTask]):
    """Takes hold of an object and slides it to where the sentence says."""

    name = "slide"
    version = "slide-1"
    difficulty = 0.4
    phases = ("approach", "pre_grasp", "close", "slide", "release", "retract", "home")
    travel_phases = ("approach", "pre_grasp", "slide", "retract", "home")
    touch_phases = frozenset({"pre_grasp", "close", "slide", "release", "retract"})
    takes = True
    task = SlideTask

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What cannot be taken."""
        return find_untakeable(place, target)

    def propose_among(self, place: Workplace, start: StartState, target: str, names: Sequence[str], rng: np.random.Generator) -> SlideTask:
        """A part of the surface, or a place beside another object, with a free straight way to it, and how to say so."""
        phrases, references = tell_apart(place, start, target)
        footprint, qpos = start.footprints[target], planning_qpos(place, start)
        reason = "no place that a sentence names has a free straight way to it"
        for found in draw_destinations(place, start, target, list(references), rng, names=names):
            if not _is_clear(place, start, target, found.spot_m):
                continue
            spot = found.spot_m + footprint.origin_m[:2] - footprint.center_m
            others: Sequence[str | None] = [None] if found.reference is None else references[found.reference]
            instruction, paraphrases = say_in_ways(SLIDE, phrases, found.words, place.frame, rng=rng, references=others)
            task = SlideTask(
                instruction=instruction,
                paraphrases=paraphrases,
                target_object=target,
                support_object=place.surface.support,
                region_m=rounded_corners(found.region),
                words=found.words,
                beside=found.reference,
                center_object_m=center_in_object(start.poses[target], footprint),
                goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(float(footprint.origin_m[2]), 5)),
                upright=place.objects[target].upright,
            )
            rejected: list[CandidateRejected] = []
            if next(slidable_grasps(_query(place.planner, qpos, task), rejected), None) is not None:
                return task
            reason = rejected[0].reason if rejected else NO_STEADY_GRASP.format(target=target, support=task.support_object)
        raise NotOffered(reason)

    def plan(self, scene: MotionScene, qpos: FloatArray, task: SlideTask, *, seed: int) -> Steps:
        """Take hold of it; then, from how it lies in the hand, slide it and let go."""
        held = plan_take(_query(scene, qpos, task), seed=seed)
        observed = yield held
        yield plan_slide(_query(scene, observed, task), held, seed=seed)

    def conditions(self, task: SlideTask) -> tuple[Condition, ...]:
        """Moved, into the region; on the support all the way, upright where the task asks; at rest and untouched."""
        stays_upright = Condition(name="upright", measure="largest_tilt", limit=TILT_RAD, direction="at_most", unit="rad")
        return (
            task.in_region,
            Condition(name="moved", measure="way", limit=MOVED_M, direction="at_least", unit="m"),
            Condition(name="on_support", measure="rise", limit=RISE_M, direction="at_most", unit="m"),
            *((stays_upright,) if task.upright else ()),
            AT_REST,
            untouched(task.target_object),
        )


SKILL = Slide()


def _is_clear(place: Workplace, start: StartState, target: str, spot_m: FloatArray) -> bool:
    """Whether the object's outline and the hand find room on a way to a spot (2,) for its middle that is neither too short nor too long."""
    footprint = start.footprints[target]
    way_m = spot_m - footprint.center_m
    length_m = float(np.linalg.norm(way_m))
    if not SHORTEST_M <= length_m <= LONGEST_M:
        return False
    others, surface = start.others(target), place.surface
    outline = footprint.polygon_m + footprint.origin_m[:2]
    corners = np.concatenate([outline, (outline + np.roll(outline, -1, axis=0)) / 2])
    steps_m = np.linspace(0.0, 1.0, max(2, int(np.ceil(length_m / _STEP_M))))[1:, None, None] * way_m
    clear = surface.clearance_m(others) >= CLEAR_M
    above = surface.from_taller_m(others, footprint.top_m + PALM_GAP_M) >= place.planner.arm.gripper.palm.radius_m
    hand_m = preferred_hold_m(place, start, target)
    return bool(surface.at(clear, (corners + steps_m).reshape(-1, 2)).all() and surface.at(above, (hand_m + steps_m).reshape(-1, 2)).all())


def _query(scene: MotionScene, qpos: FloatArray, task: SlideTask) -> GraspQuery:
    return query_of(scene, qpos, task, yaws_rad=(0.0,))
