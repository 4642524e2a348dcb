"""Push an object along its support into a part of it that the sentence names.

Strokes are straight: down behind the object, forward, back and up. After each the object is looked at, and the next is planned
from there, until it lies deep enough in the region; then the arm goes home.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, describe_contact, find_path, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.skill.attempts import MAX_PATH_SEARCHES, SEED_STEP
from blueprint_pipeline.skill.conditions import AT_REST, untouched
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace, planning_qpos, shown_spots, tell_apart
from blueprint_pipeline.skill.homing import plan_home
from blueprint_pipeline.skill.instruction import PUSH, say_in_ways
from blueprint_pipeline.skill.picking import FREE_PACE, LINE_PACE, STOP_S, summarise_rejected
from blueprint_pipeline.skill.push_contact import LEANS_RAD, Contact, Pushed, Sides, observe_pushed
from blueprint_pipeline.skill.region import THIRDS, Region, RegionTask, build_region, center_in_object, rounded_corners
from blueprint_pipeline.skill.stroke import Hold, Stroke, carry, holds, leave_behind, solve_stroke
from blueprint_pipeline.skill.support_surface import BoolArray
from blueprint_pipeline.task.mishap import Mishap, Provoked
from blueprint_pipeline.twin.footprint import Footprint

PUSH_PACE = Pace(velocity=0.12, acceleration=0.06)
MAX_STROKES = 4
NEAREST_M, FARTHEST_M = 0.04, 0.36
"""Lengths of the way into the region, between which an object is worth pushing and can be."""
DEEP_M = 0.02
"""How deep the centre must lie in the region for the strokes to end."""
ENOUGH_M = 0.003
"""How deep it must lie where no further stroke can be planned."""
AIM_DEEPER_M = 0.015
"""How much deeper a stroke aims than that."""
CLEAR_M = 0.02
"""Room that the object keeps from edges, fixed things and others on its way."""
SHORT_SHARES = (0.7, 0.35)
"""Of its way into the region, by which a stroke that falls short goes: the most and the least."""
RISE_M = 0.01
TILT_RAD = 0.15
MOVED_M = 0.03
GRIP_CHANGE_M = 0.01
_STEP_M = 0.01
_SLOPE_COST, _LENGTH_COST, _LEAN_COST, _HIDDEN_COST = 1.0, 1.5, 0.05, 0.5
"""Of a side that slants by its whole width, a metre of way, a radian of lean, and an object that the camera on the hand sees nothing of."""
_STAGE = "plan_stroke"


class PushTask(RegionTask):
    """Push one object along its support until its middle lies in a region."""

    task_type: Literal["push"] = "push"


class Push(Skill[PushTask]):
    """Pushes an object into the part of its support that the sentence names."""

    name = "push"
    version = "push-10"
    difficulty = 0.4
    phases = ("approach", "descend", "push", "leave", "home")
    travel_phases = ("approach", "descend", "push", "leave", "home")
    touch_phases = frozenset({"push", "leave"})
    mishaps = ("short",)
    task = PushTask

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """An object that bears another, may roll, or is too heavy to be pushed."""
        facts, arm = place.objects[target], place.planner.arm
        if facts.bears:
            return f"{', '.join(facts.bears)} would fall off it"
        if not facts.upright:
            return "it may roll"
        if facts.mass_kg > arm.max_payload_kg:
            return f"it weighs {facts.mass_kg:.1f} kg, and the arm carries {arm.max_payload_kg:g} kg"
        return None

    def list_goals(self, place: Workplace, target: str) -> tuple[str, ...]:
        """Parts of the surface."""
        del place, target
        return tuple(THIRDS)

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> PushTask:
        """A region that a stroke of the arm leads into, with a free way to it, and how to say so."""
        footprint, support = start.footprints[target], place.surface.support
        phrases, _ = tell_apart(place, start, target)
        clear = place.surface.clearance_m(start.others(target)) >= CLEAR_M
        pushed = observe_pushed(place.planner, planning_qpos(place, start), target, support)
        sides = Sides(place.planner, pushed)
        reason = "no part of the surface is near enough, with a free way to it"
        for words in rng.permutation(sorted(THIRDS)):
            region = build_region(place.frame, str(words))
            if region.depth_m(footprint.center_m) > -NEAREST_M / 2:
                continue
            rejected: list[CandidateRejected] = []
            free = [way for way in _ways(sides, footprint.center_m, region) if _is_clear(place, clear, footprint, way)]
            stroke = next(_strokes(place.planner, pushed, free, rejected), None)
            if stroke is None:
                reason = summarise_rejected(_STAGE, target, rejected).reason if rejected else reason
                continue
            if not shown_spots(place, start, target, (footprint.center_m + stroke.way_m)[None])[0]:
                reason = "where a push would bring it, something stands before it in the scene camera's picture"
                continue
            instruction, paraphrases = say_in_ways(PUSH, phrases, str(words), place.frame, rng=rng)
            return PushTask(
                instruction=instruction,
                paraphrases=paraphrases,
                target_object=target,
                support_object=support,
                region_m=rounded_corners(region),
                words=str(words),
                center_object_m=center_in_object(start.poses[target], footprint),
            )
        raise NotOffered(reason)

    def plan(self, scene: MotionScene, qpos: FloatArray, task: PushTask, *, seed: int) -> Steps:
        """Stroke by stroke from what is observed, then home."""
        return _plan(scene, qpos, task, None, seed=seed)

    def plan_with_mishap(self, scene: MotionScene, qpos: FloatArray, task: PushTask, mishap: Mishap, *, seed: int) -> Steps:
        """The same, with a first stroke that ends too early."""
        return _plan(scene, qpos, task, mishap, seed=seed)

    def conditions(self, task: PushTask) -> tuple[Condition, ...]:
        """Moved, into the region; upright, on the support and out of the grip all the way; at rest and untouched."""
        touch = {"target": task.target_object, "robot_prefix": ROBOT_PREFIX}
        return (
            task.in_region,
            Condition(name="moved", measure="way", limit=MOVED_M, direction="at_least", unit="m"),
            Condition(name="upright", measure="largest_tilt", limit=TILT_RAD, direction="at_most", unit="rad"),
            Condition(name="on_support", measure="rise", limit=RISE_M, direction="at_most", unit="m"),
            Condition(name="not_gripped", measure="closing", arguments=touch, limit=GRIP_CHANGE_M, direction="at_most", unit="m"),
            AT_REST,
            untouched(task.target_object),
        )


SKILL = Push()


def _center_m(scene: MotionScene, qpos: FloatArray, task: PushTask) -> FloatArray:
    """The middle of the object in a whole state, (2,)."""
    address = int(scene.model.jnt_qposadr[scene.model.body(task.target_object).jntadr[0]])
    middle: FloatArray = qpos[address : address + 3] + rotation_from_quat(qpos[address + 3 : address + 7]) @ np.array(task.center_object_m)
    return middle[:2]


def _plan(scene: MotionScene, qpos: FloatArray, task: PushTask, mishap: Mishap | None, *, seed: int) -> Steps:
    controls = scene.holding(qpos)
    scene.checker.place_objects(qpos)
    scene.checker.allow()
    if not scene.checker.is_free(scene.arm_qpos(qpos), scene.gripper_width(qpos)):
        raise PlanningFailed(_STAGE, "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
    for number in range(MAX_STROKES):
        depth_m = task.region.depth_m(_center_m(scene, qpos, task))
        if depth_m >= DEEP_M:
            break
        provoked = _shortened(mishap) if number == 0 else None
        try:
            step = _plan_stroke(scene, qpos, task, controls, provoked, seed=seed + SEED_STEP * number)
        except PlanningFailed:
            if depth_m < ENOUGH_M:
                raise
            break
        qpos = yield step if number == 0 else replace(step, phases=step.again(), failed=_tell_depth(task, depth_m))
        controls = step.setpoints[-1]
    missing_m = -task.region.depth_m(_center_m(scene, qpos, task))
    if missing_m > 0:
        reason = f"after {MAX_STROKES} strokes '{task.target_object}' is {missing_m * 100:.0f} cm outside of its region"
        raise PlanningFailed(_STAGE, "too_many_strokes", reason)
    yield plan_home(scene, qpos, controls, seed=seed)


def _shortened(mishap: Mishap | None) -> Provoked | None:
    if mishap is None:
        return None
    far, near = SHORT_SHARES
    return Provoked(kind="short", from_frame=0, way_share=round(far - mishap.share * (far - near), 4))


def _tell_depth(task: PushTask, depth_m: float) -> str:
    """Where the target lies, in words."""
    where = "outside of its region" if depth_m < 0 else "within its region, near its edge"
    return f"'{task.target_object}' lies {abs(depth_m) * 100:.1f} cm {where}"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A stroke that leads into the region, whatever the arm can do."""

    contact: Contact
    length_m: float
    cost: float
    """The less the better: square to the side that is touched, short, and leaning little."""


def _ways(sides: Sides, center_m: FloatArray, region: Region) -> list[Way]:
    """Strokes that lead into the region."""
    found: list[Way] = []
    for index, direction in enumerate(sides.directions):
        crossing = region.crossing_m(center_m, direction, DEEP_M)
        if crossing is None or crossing[0] > FARTHEST_M:
            continue
        length_m = min(crossing[0] + AIM_DEEPER_M, (crossing[0] + crossing[1]) / 2)
        for contact in sides.contacts(index):
            cost = _SLOPE_COST * contact.slope + _LENGTH_COST * length_m + _LEAN_COST * abs(contact.lean_rad - LEANS_RAD[0])
            found.append(Way(contact=contact, length_m=length_m, cost=cost))
    return found


def _is_clear(place: Workplace, clear: BoolArray, footprint: Footprint, way: Way) -> bool:
    """Whether the object's outline finds room all the way, and the robot reaches its end."""
    direction = way.contact.direction
    outline = footprint.polygon_m + footprint.origin_m[:2]
    corners = np.concatenate([outline, (outline + np.roll(outline, -1, axis=0)) / 2])
    ahead = np.append(np.arange(_STEP_M, way.length_m, _STEP_M), way.length_m)
    points = (corners + ahead[:, None, None] * direction).reshape(-1, 2)
    end = footprint.center_m + way.length_m * direction
    return bool(place.surface.at(clear, points).all() and place.reach.reaches(end[None])[0])


def order_tries(scene: MotionScene, pushed: Pushed, ways: list[Way]) -> list[tuple[Way, Hold]]:
    """What to try, best first: each way with the hand held in two ways.

    What the hand's camera would see of the object is weighed against how good the way is.
    """
    tries = [(way, hold) for way in ways for hold in holds(scene, pushed, way.contact)]
    return sorted(tries, key=lambda item: item[0].cost + _HIDDEN_COST * item[1].hidden)


def _strokes(
    scene: MotionScene, pushed: Pushed, ways: list[Way], rejected: list[CandidateRejected], share: float = 1.0
) -> Iterator[Stroke]:
    """The strokes that the arm can do, each by a share of its way, best first; why others cannot be done is added to ``rejected``."""
    for way, hold in order_tries(scene, pushed, ways):
        try:
            yield solve_stroke(scene, pushed, way.contact, hold, share * way.length_m)
        except CandidateRejected as reason:
            rejected.append(reason)


def _no_stroke(target: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    if rejected:
        return summarise_rejected(_STAGE, target, rejected)
    return PlanningFailed(_STAGE, "no_stroke", f"no straight push leads '{target}' into its region")


def _plan_stroke(
    scene: MotionScene, qpos: FloatArray, task: PushTask, controls: FloatArray, provoked: Provoked | None, *, seed: int
) -> MotionPlan:
    """One stroke, from where the arm stands until the hand is above the object again."""
    pushed = observe_pushed(scene, qpos, task.target_object, task.support_object)
    ways = _ways(Sides(scene, pushed), _center_m(scene, qpos, task), task.region)
    rejected: list[CandidateRejected] = []
    share = 1.0 if provoked is None else provoked.way_share
    for stroke in islice(_strokes(scene, pushed, ways, rejected, share), MAX_PATH_SEARCHES):
        builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
        try:
            return replace(_complete_stroke(scene, pushed, stroke, builder, seed=seed), begins_try=True, provoked=provoked)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise _no_stroke(task.target_object, rejected)


def _complete_stroke(scene: MotionScene, pushed: Pushed, stroke: Stroke, builder: SetpointBuilder, *, seed: int) -> MotionPlan:
    """Search the path to a stroke and time all of it."""
    scene.checker.place_objects(pushed.qpos)
    scene.checker.allow()
    widest_m = max(scene.gripper_width(pushed.qpos), stroke.width_m)
    path = find_path(scene, builder.arm_end, stroke.descend[0], widest_m, seed)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(stroke.width_m)))
    builder.move("descend", *time_checked(scene, stroke.descend, LINE_PACE, constant(stroke.width_m)), hold_s=STOP_S)
    moved = carry(scene, pushed, stroke)
    builder.move("push", *_time_push(scene, pushed, stroke), hold_s=STOP_S)
    leave_behind(scene, pushed, moved)
    builder.move("leave", *time_checked(scene, stroke.leave, LINE_PACE, constant(stroke.width_m)))
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)


def _time_push(scene: MotionScene, pushed: Pushed, stroke: Stroke) -> tuple[FloatArray, FloatArray]:
    """Setpoints (T, n) and openings (T,) of the push itself, as slow as the object needs it to stay upright."""
    setpoints, widths_m = time_checked(scene, stroke.push, PUSH_PACE, constant(stroke.width_m))
    steps_m = np.diff([scene.tool_pose(row)[:2, 3] for row in setpoints], axis=0)
    fastest_m_s = float(np.linalg.norm(steps_m, axis=1).max()) * scene.fps
    allowed_m_s = pushed.fastest_push_m_s(stroke.direction)
    if fastest_m_s <= allowed_m_s:
        return setpoints, widths_m
    return time_checked(scene, stroke.push, PUSH_PACE.slower(allowed_m_s / fastest_m_s), constant(stroke.width_m))
