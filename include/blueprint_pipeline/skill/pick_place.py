"""Pick an object and place it somewhere else on its support.

Two steps: taking (:mod:`blueprint_pipeline.skill.picking`), then, planned from what was observed after the lift: transport,
straight down to just above the support, release, straight back, home.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3, vector3
from blueprint_pipeline.geometry.transforms import matrix_of
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.candidates import rank_grasps
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill import placing
from blueprint_pipeline.skill.conditions import AT_REST, HEIGHT_SLACK_M, LIFTED, MAX_TILT_RAD, RELEASED, untouched, upright
from blueprint_pipeline.skill.contract import NotOffered, StartState, Steps, Workplace, is_shown_at, shown_spots, tell_apart
from blueprint_pipeline.skill.goals import Destination, GoalSearch
from blueprint_pipeline.skill.instruction import PUT, say_in_ways
from blueprint_pipeline.skill.mishaps import KINDS
from blueprint_pipeline.skill.picking import find_untakeable
from blueprint_pipeline.skill.region import RELATIONS, RegionTask, center_in_object, rounded_corners
from blueprint_pipeline.skill.region_skill import RegionSkill, query_of
from blueprint_pipeline.skill.taking import take_and_place
from blueprint_pipeline.task.mishap import Mishap


class PickPlaceTask(RegionTask):
    """Take one object and set it down in the region that the sentence names."""

    task_type: Literal["pick_place"] = "pick_place"
    goal_position_m: Vector3
    """Where the demonstration aims to set the target's origin down, in the world: within the region. Whether the task is done does not
    depend on it but for its height, which is that of the support."""
    upright: bool
    """Whether the target must end as upright as it began."""
    max_tilt_rad: float = Field(default=MAX_TILT_RAD, gt=0)

    def goal_m(self, start: Pose) -> Vector3:
        """Where the demonstration sets the target's middle down."""
        return vector3(np.array(self.goal_position_m) + matrix_of(start)[:3, :3] @ np.array(self.center_object_m))


class PickPlace(RegionSkill[PickPlaceTask]):
    """Takes an object and sets it down where the sentence says."""

    name = "pick_place"
    version = "pick_place-11"
    difficulty = 0.3
    phases = placing.ALL_PHASES
    travel_phases = placing.TRAVEL_PHASES
    touch_phases = placing.TOUCH_PHASES
    subtasks = placing.SUBTASKS
    mishaps = KINDS
    takes = True
    task = PickPlaceTask

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What cannot be taken."""
        return find_untakeable(place, target)

    def propose_among(
        self, place: Workplace, start: StartState, target: str, names: Sequence[str], rng: np.random.Generator
    ) -> PickPlaceTask:
        """A part of the surface, or a place beside another object, and how to say so."""
        phrases, references = tell_apart(place, start, target)
        footprint = start.footprints[target]
        found = next(draw_destinations(place, start, target, list(references), rng, names=names), None)
        if found is None:
            raise NotOffered("there is no free spot for it within reach that a sentence names")
        others: Sequence[str | None] = [None] if found.reference is None else references[found.reference]
        instruction, paraphrases = say_in_ways(PUT, phrases, found.words, place.frame, rng=rng, references=others)
        spot = found.spot_m + footprint.origin_m[:2] - footprint.center_m
        height = place.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
        return PickPlaceTask(
            instruction=instruction,
            paraphrases=paraphrases,
            target_object=target,
            support_object=place.surface.support,
            region_m=rounded_corners(found.region),
            words=found.words,
            beside=found.reference,
            center_object_m=center_in_object(start.poses[target], footprint),
            goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
            upright=place.objects[target].upright,
        )

    def plan(self, scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, *, seed: int) -> Steps:
        """Take it; then, from how it lies in the hand, set it down."""
        return take_and_place(query_of(scene, qpos, task), upright=task.upright, seed=seed)

    def plan_with_mishap(self, scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, mishap: Mishap, *, seed: int) -> Steps:
        """The same, with a first grasp that misses."""
        return take_and_place(query_of(scene, qpos, task), upright=task.upright, mishap=mishap, seed=seed)

    def conditions(self, task: PickPlaceTask) -> tuple[Condition, ...]:
        """Lifted, in the region, on the support, upright where the task asks, released, at rest and untouched."""
        height = {"height_m": task.goal_position_m[2]}
        return (
            LIFTED,
            task.in_region,
            Condition(name="on_support", measure="height_off", arguments=height, limit=HEIGHT_SLACK_M, direction="at_most", unit="m"),
            *((upright(task.max_tilt_rad),) if task.upright else ()),
            RELEASED,
            AT_REST,
            untouched(task.target_object),
        )


SKILL = PickPlace()


def draw_destinations(
    place: Workplace, start: StartState, target: str, references: Sequence[str], rng: np.random.Generator, *, names: Sequence[str]
) -> Iterator[Destination]:
    """What is on offer, one for each of some parts of the surface and relations at most, in an order in which each has the same chance.

    Raises:
        NotOffered: The hand finds no hold of the target, wherever it should go.
    """
    others = {name: footprint for name, footprint in start.footprints.items() if name != target}
    center_m, held_m = start.footprints[target].center_m, preferred_hold_m(place, start, target)
    search = GoalSearch(
        surface=place.surface,
        frame=place.frame,
        reach=place.reach,
        target=start.footprints[target],
        others=others,
        hand_m=place.planner.arm.gripper.palm.radius_m,
        hand_from_center_m=held_m - center_m,
        is_shown=lambda spots_m: shown_spots(place, start, target, spots_m),
    )
    if not place.surface.at(search.room_for_hand, held_m[None])[0]:
        raise NotOffered("where the hand would hold it, something taller stands too near")
    for words in rng.permutation(list(names)):
        for reference in rng.permutation(list(references)) if words in RELATIONS else [None]:
            found = search.offers(str(words), None if reference is None else str(reference))
            if found is not None and is_shown_at(place, start, target, found.spot_m):
                yield found
                break


def preferred_hold_m(place: Workplace, start: StartState, target: str) -> FloatArray:
    """Where the hand would hold an object that stands alone, (2,) in the world."""
    pose = matrix_of(start.poses[target])
    best = rank_grasps(place.planner, target, pose, 1)
    if len(best) == 0:
        raise NotOffered("the gripper has no grasp of it from above, as it stands")
    held: FloatArray = (pose @ place.planner.grasps_of(target).pose_object_tcp[best[0]])[:2, 3]
    return held
