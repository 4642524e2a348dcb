"""Take an object with one hand, hand it to the other, and set it down with that where the first does not reach well.

The robot's first arm gives, and its second takes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3, vector3
from blueprint_pipeline.geometry.transforms import matrix_of
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.two_hands import count_pairs
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.both_hands import both_arms
from blueprint_pipeline.skill.conditions import AT_REST, HEIGHT_SLACK_M, LIFTED, MAX_TILT_RAD, untouched, upright
from blueprint_pipeline.skill.contract import NotOffered, StartState, Steps, Workplace, is_shown_at, shown_spots, tell_apart
from blueprint_pipeline.skill.goals import MARGIN_M, Destination, GoalSearch, OnlyReach, Reaching
from blueprint_pipeline.skill.grasping import GraspQuery
from blueprint_pipeline.skill.hand_phases import HandPhases
from blueprint_pipeline.skill.handing import hand_over
from blueprint_pipeline.skill.hands import Hands, hands_of, held_at_least, held_in_turn, undisturbed
from blueprint_pipeline.skill.instruction import RESTS, RESTS_THERE, Template, say_in_ways
from blueprint_pipeline.skill.meeting import find_meetings, least_apart_m
from blueprint_pipeline.skill.picking import find_untakeable
from blueprint_pipeline.skill.region import RELATIONS, RegionTask, center_in_object, rounded_corners
from blueprint_pipeline.skill.region_skill import RegionSkill, query_of

_GIVER, _TAKER = "left", "right"
PHASES = HandPhases(giver=_GIVER, taker=_TAKER)
_TEMPLATES = (
    f"hand the {{object}} from your {_GIVER} hand to your {_TAKER} and put it {{place}}",
    f"pass the {{object}} from your {_GIVER} hand to your {_TAKER} hand and set it down {{place}}",
    f"take the {{object}} with your {_GIVER} hand, hand it to your {_TAKER} hand and place it {{place}}",
    f"pick up the {{object}} with your {_GIVER} hand, pass it to the {_TAKER} one and put it {{place}}",
    f"give the {{object}} from your {_GIVER} hand to your {_TAKER} one and put it {{place}}",
)
HAND_OVER = tuple(Template(text, RESTS, RESTS_THERE) for text in _TEMPLATES)


class HandOverTask(RegionTask):
    """Hand one object from one hand to the other, and set it down with that in the region that the sentence names."""

    task_type: Literal["hand_over"] = "hand_over"
    goal_position_m: Vector3
    """Where the demonstration aims to set the target's origin down, if it is not turned, in the world: within the region."""
    hands: Hands = Field(min_length=2, max_length=2)
    """Bodies of the hand that gives, and of the one that takes."""
    upright: bool
    """Whether the target must end as upright as it began."""

    def goal_m(self, start: Pose) -> Vector3:
        """Where the demonstration sets the target's middle down."""
        return vector3(np.array(self.goal_position_m) + matrix_of(start)[:3, :3] @ np.array(self.center_object_m))


class HandOver(RegionSkill[HandOverTask]):
    """One hand gives an object to the other in the air, and that sets it down where the sentence says."""

    name = "hand_over"
    version = "hand_over-1"
    difficulty = 0.6
    phases = PHASES.names
    travel_phases = PHASES.travel
    touch_phases = PHASES.touch
    subtasks = PHASES.subtasks
    takes = True
    task = HandOverTask

    def start_reach(self, place: Workplace, radius_m: float) -> Reaching:
        """What the giving arm reaches and the taking one does not."""
        del radius_m
        return OnlyReach(by=place.reach_of(_GIVER), other=place.reach_of(_TAKER))

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """What cannot be taken, or has no room for two hands side by side."""
        if (reason := find_untakeable(place, target)) is not None:
            return reason
        arms = place.embodiment.arms[:2]
        if tuple(arm.name for arm in arms) != (_GIVER, _TAKER):
            return f"{place.embodiment.name} calls its arms {', '.join(arm.name for arm in arms)}; sentences speak of {_GIVER} and {_TAKER}"
        apart_m = least_apart_m(*arms)
        if count_pairs(both_arms(place.planner), target, apart_m) == 0:
            return f"the hands have no two grasps of it on opposite sides, {apart_m * 100:.0f} cm apart"
        return None

    def propose_among(
        self, place: Workplace, start: StartState, target: str, names: Sequence[str], rng: np.random.Generator
    ) -> HandOverTask:
        """A part of the surface, or a place beside another object, that the taking arm alone reaches, and how to say so."""
        phrases, references = tell_apart(place, start, target)
        search = _goal_search(place, start, target)
        qpos = place.twin.qpos_at(start.poses, home_qpos(place.embodiment))
        refused = f"there is no free spot for it within reach of the {_TAKER} arm alone that a sentence names"
        for words in rng.permutation(list(names)).tolist():
            for reference in rng.permutation(list(references)).tolist() if words in RELATIONS else [None]:
                found = search.offers(words, reference)
                if found is None or not is_shown_at(place, start, target, found.spot_m):
                    continue
                others = (None,) if reference is None else references[reference]
                sentences = say_in_ways(HAND_OVER, phrases, words, place.frame, rng=rng, references=others)
                task = _build_task(place, start, target, found, sentences)
                rejected: list[CandidateRejected] = []
                if next(find_meetings(_query(place.planner, qpos, task), rejected), None) is not None:
                    return task
                refused = f"the hands cannot hand it over to any such spot; for example, {rejected[0].reason}" if rejected else refused
        raise NotOffered(refused)

    def plan(self, scene: MotionScene, qpos: FloatArray, task: HandOverTask, *, seed: int) -> Steps:
        """Take it with one hand, give it to the other, and set it down with that."""
        return hand_over(_query(scene, qpos, task), PHASES, seed=seed)

    def conditions(self, task: HandOverTask) -> tuple[Condition, ...]:
        """In the air in one hand, in both, and in the other, in this order and in no others; set down in the region, and left there.

        That is: on the support, upright where the task asks, at rest and released; and nothing else was touched.
        """
        target, height = task.target_object, {"height_m": task.goal_position_m[2]}
        return (
            LIFTED,
            held_at_least("given", target, task.hands, [(0,)]),
            held_at_least("both_hands", target, task.hands, [(0, 1)]),
            held_at_least("taken", target, task.hands, [(1,)]),
            held_in_turn("in_turn", target, task.hands, [(0,), (0, 1), (1,)]),
            task.in_region,
            Condition(name="on_support", measure="height_off", arguments=height, limit=HEIGHT_SLACK_M, direction="at_most", unit="m"),
            *((upright(MAX_TILT_RAD),) if task.upright else ()),
            AT_REST,
            untouched(target),
            undisturbed(target, task.support_object),
        )


SKILL = HandOver()


def _goal_search(place: Workplace, start: StartState, target: str) -> GoalSearch:
    footprint = start.footprints[target]
    return GoalSearch(
        surface=place.surface,
        frame=place.frame,
        reach=OnlyReach(by=place.reach_of(_TAKER), other=place.reach_of(_GIVER)),
        target=footprint,
        others={name: other for name, other in start.footprints.items() if name != target},
        hand_m=0.0,  # where its hand is at the goal depends on the grasp: that is planned before it is proposed
        hand_from_center_m=np.zeros(2),
        room_m=footprint.radius_m + MARGIN_M,
        is_shown=lambda spots_m: shown_spots(place, start, target, spots_m),
    )


def _build_task(
    place: Workplace, start: StartState, target: str, found: Destination, sentences: tuple[str, tuple[str, ...]]
) -> HandOverTask:
    footprint = start.footprints[target]
    spot = found.spot_m + footprint.origin_m[:2] - footprint.center_m
    height = place.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
    return HandOverTask(
        instruction=sentences[0],
        paraphrases=sentences[1],
        target_object=target,
        support_object=place.surface.support,
        words=found.words,
        beside=found.reference,
        region_m=rounded_corners(found.region),
        center_object_m=center_in_object(start.poses[target], footprint),
        goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
        hands=hands_of(place.embodiment, (_GIVER, _TAKER)),
        upright=place.objects[target].upright,
    )


def _query(scene: MotionScene, qpos: FloatArray, task: HandOverTask) -> GraspQuery:
    return query_of(scene.with_arms(_GIVER, _TAKER), qpos, task)
