"""Lift an object with both hands, carry it level, and set it down where the sentence says.

For what one hand cannot bear alone or cannot hold level: a tray by its handles, a crate by its walls.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.two_hands import LEAST_APART_M, count_pairs
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill import both_hands
from blueprint_pipeline.skill.conditions import AT_REST, HEIGHT_SLACK_M, LIFTED, untouched
from blueprint_pipeline.skill.contract import NotOffered, StartState, Steps, Workplace, is_shown_at, shown_spots, tell_apart
from blueprint_pipeline.skill.goals import MARGIN_M, CommonReach, Destination, GoalSearch, Reaching
from blueprint_pipeline.skill.grasping import GraspQuery
from blueprint_pipeline.skill.hands import Hands, hands_of, held_at_least, held_never, undisturbed
from blueprint_pipeline.skill.instruction import RESTS, RESTS_THERE, Template, say_in_ways
from blueprint_pipeline.skill.region import RELATIONS, RegionTask, center_in_object, rounded_corners
from blueprint_pipeline.skill.region_skill import RegionSkill, query_of
from blueprint_pipeline.skill.two_handed_holds import find_holds

CARRY_TILT_RAD = 0.17
"""By how much the target may lean at any time: what stands on a tray slides from some 15 degrees."""
_REST_TEMPLATES = (
    "lift the {object} with both hands and put it {place}",
    "lift the {object} with both hands and set it down {place}",
    "pick up the {object} with two hands and put it {place}",
    "take the {object} in both hands and place it {place}",
    "use both hands to put the {object} {place}",
)
LIFT_BOTH = tuple(Template(text, RESTS, RESTS_THERE) for text in _REST_TEMPLATES)


class BimanualLiftTask(RegionTask):
    """Lift one object with both hands, and set it down in the region that the sentence names."""

    task_type: Literal["bimanual_lift"] = "bimanual_lift"
    goal_position_m: Vector3
    """Where the demonstration aims to set the target's origin down, if it is not turned, in the world: within the region."""
    hands: Hands
    """Bodies of both hands."""


class BimanualLift(RegionSkill[BimanualLiftTask]):
    """Two hands lift an object together and set it down where the sentence says."""

    name = "bimanual_lift"
    version = "bimanual_lift-1"
    difficulty = 0.5
    phases = both_hands.PHASES
    travel_phases = both_hands.TRAVEL_PHASES
    touch_phases = both_hands.TOUCH_PHASES
    takes = True
    task = BimanualLiftTask

    def start_reach(self, place: Workplace, radius_m: float) -> Reaching:
        """What both arms reach, each at its side of the target."""
        left, right = (place.reach_together(arm.name) for arm in place.embodiment.arms[:2])
        return CommonReach(left=left, right=right, half_apart_m=radius_m)

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What bears something, is closed by its pieces, offers no two grasps far enough apart, or is too heavy even for both."""
        facts, arms = place.objects[target], place.embodiment.arms[:2]
        if facts.bears:
            return f"{', '.join(facts.bears)} would fall off it"
        if facts.closed is not None:
            return facts.closed
        if count_pairs(both_hands.both_arms(place.planner), target) == 0:
            return f"the hands have no two grasps of it on opposite sides, {LEAST_APART_M * 100:.0f} cm apart"
        if facts.mass_kg > (bears_kg := sum(arm.max_payload_kg for arm in arms)):
            return f"it weighs {facts.mass_kg:.1f} kg, and both arms carry {bears_kg:g} kg"
        return None

    def propose_among(
        self, place: Workplace, start: StartState, target: str, names: Sequence[str], rng: np.random.Generator
    ) -> BimanualLiftTask:
        """A part of the surface, or a place beside another object, to which both arms can bring it, and how to say so."""
        phrases, references = tell_apart(place, start, target)
        search = self._goal_search(place, start, target)
        qpos = place.twin.qpos_at(start.poses, home_qpos(place.embodiment))
        refused = "there is no free spot for it within reach of both arms that a sentence names"
        for words in rng.permutation(list(names)).tolist():
            for reference in rng.permutation(list(references)).tolist() if words in RELATIONS else [None]:
                found = search.offers(words, reference)
                if found is None or not is_shown_at(place, start, target, found.spot_m):
                    continue
                others = (None,) if reference is None else references[reference]
                sentences = say_in_ways(LIFT_BOTH, phrases, words, place.frame, rng=rng, references=others)
                task = self._build_task(place, start, target, found, sentences)
                rejected: list[CandidateRejected] = []
                if next(find_holds(_query(place.planner, qpos, task), rejected), None) is not None:
                    return task
                refused = f"both hands cannot take it to any such spot; for example, {rejected[0].reason}" if rejected else refused
        raise NotOffered(refused)

    def plan(self, scene: MotionScene, qpos: FloatArray, task: BimanualLiftTask, *, seed: int) -> Steps:
        """Lift it with both hands; then, from how it lies in them, set it down."""
        lifted = both_hands.plan_lift(_query(scene, qpos, task), seed=seed)
        observed = yield lifted
        yield both_hands.plan_set_down(_query(scene, observed, task), lifted, seed=seed)

    def conditions(self, task: BimanualLiftTask) -> tuple[Condition, ...]:
        """Lifted by both hands and never by fewer, level all the way, in the region, on the support, at rest; nothing else was touched."""
        target, height = task.target_object, {"height_m": task.goal_position_m[2]}
        return (
            LIFTED,
            held_at_least("both_hands", target, task.hands, [(0, 1)]),
            held_never("one_hand", target, task.hands, [(), (0,), (1,)]),
            Condition(name="level", measure="largest_tilt", limit=CARRY_TILT_RAD, direction="at_most", unit="rad"),
            task.in_region,
            Condition(name="on_support", measure="height_off", arguments=height, limit=HEIGHT_SLACK_M, direction="at_most", unit="m"),
            AT_REST,
            untouched(target),
            undisturbed(target, task.support_object),
        )

    def _goal_search(self, place: Workplace, start: StartState, target: str) -> GoalSearch:
        footprint = start.footprints[target]
        return GoalSearch(
            surface=place.surface,
            frame=place.frame,
            reach=self.start_reach(place, footprint.radius_m),
            target=footprint,
            others={name: other for name, other in start.footprints.items() if name != target},
            hand_m=0.0,  # where its hands are at the goal depends on the grasp: that is planned before it is proposed
            hand_from_center_m=np.zeros(2),
            room_m=footprint.radius_m + MARGIN_M,
            is_shown=lambda spots_m: shown_spots(place, start, target, spots_m),
        )

    def _build_task(
        self, place: Workplace, start: StartState, target: str, found: Destination, sentences: tuple[str, tuple[str, ...]]
    ) -> BimanualLiftTask:
        footprint = start.footprints[target]
        spot = found.spot_m + footprint.origin_m[:2] - footprint.center_m
        height = place.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
        return BimanualLiftTask(
            instruction=sentences[0],
            paraphrases=sentences[1],
            target_object=target,
            support_object=place.surface.support,
            words=found.words,
            beside=found.reference,
            region_m=rounded_corners(found.region),
            center_object_m=center_in_object(start.poses[target], footprint),
            goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
            hands=hands_of(place.embodiment, [arm.name for arm in place.embodiment.arms[:2]]),
        )


SKILL = BimanualLift()


def _query(scene: MotionScene, qpos: FloatArray, task: BimanualLiftTask) -> GraspQuery:
    return query_of(both_hands.both_arms(scene), qpos, task)
