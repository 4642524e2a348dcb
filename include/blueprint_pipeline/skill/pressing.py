"""Pressing a button with closed fingers: approach, along its axis to just before it, push it in, straight back.

The fingertips come along the way that the button goes, or lean against it, where the arm cannot hold them so. How far they are from its
face is measured between the shapes that collide, so a finger of any form meets it where it is.
World frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, product

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import across, apply, build_pose, shift
from blueprint_pipeline.motion.candidates import natural_x
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.segments import constant, find_path, require_free, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.scene.handles import Handle
from blueprint_pipeline.skill.attempts import complete_first
from blueprint_pipeline.skill.part_query import PartQuery, require_direct_home, turn_to
from blueprint_pipeline.skill.picking import FREE_PACE, LINE_PACE, STOP_S, summarise_rejected

PRESS_PACE = Pace(velocity=0.08, acceleration=0.05)
STANDOFF_M = 0.07
"""Between the fingertips and the button, before and after."""
BEFORE_M = 0.008
"""Between them where the push begins."""
LEANS_RAD = tuple(np.deg2rad((0.0, 20.0, 40.0)))
"""By how much the fingers lean against the button's axis, in the order in which they are tried."""
MAX_TRIES = 60
"""Hands that are looked at; some others are like them."""
_STAGE = "plan_press"
_SIDES, _SPINS = 4, 12
_UP_WEIGHT = 0.3
"""Of a hand that leans so that it comes from below, as the cosine to straight up."""
_HOLD_S = 0.2
_SIGHT_M = 0.1
"""How far gaps are measured."""
_EXACT_M, _STEPS = 1e-5, 12


@dataclass(frozen=True, kw_only=True)
class ButtonPress:
    """Joint positions of the arm (k, n) each, from the standoff to the button and back, and the opening between the fingers."""

    reach: FloatArray
    push: FloatArray
    leave: FloatArray
    width_m: float


@dataclass(frozen=True, kw_only=True)
class PressQuery(PartQuery):
    """What is asked: to push a button from where it is to a position of its joint."""

    goal: float
    """[m]."""

    @property
    def inwards(self) -> FloatArray:
        """Unit vector (3,) in which the button goes in."""
        return np.array(self.joint.line.axis)


def find_presses(query: PressQuery, rejected: list[CandidateRejected]) -> Iterator[ButtonPress]:
    """What the arm can do, in order of promise; why it cannot do the rest is added to ``rejected``."""
    found = query.scene.handle_of(query.joint.part)
    if found is None:
        return
    for hand in islice(_hands(query, found.handle), MAX_TRIES):
        try:
            yield _solve(query, hand)
        except CandidateRejected as reason:
            rejected.append(reason)


def plan_press(query: PressQuery, controls: FloatArray, *, seed: int) -> MotionPlan:
    """Plan from the present state until the hand is off the button again.

    Args:
        query: What to push how far.
        controls: What is commanded now (nu,).
        seed: Decides the path search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: With the most frequent reason among the hands that were tried.
    """
    rejected = list[CandidateRejected]()
    found = complete_first(find_presses(query, rejected), partial(_complete, query, controls), rejected, seed=seed)
    if found is None:
        raise no_press(query.joint.part, rejected)
    return found


def no_press(part: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    """The failure of a press of which every try was rejected."""
    if rejected:
        return summarise_rejected(_STAGE, part, rejected)
    return PlanningFailed(_STAGE, "no_face", f"'{part}' has no face that a fingertip can press")


def _hands(query: PressQuery, handle: Handle) -> Iterator[FloatArray]:
    """Poses of the hand (4, 4) with closed fingertips at the middle of the face: square to it first, turned as the arm has it."""
    scene, inwards = query.scene, query.inwards
    face_m = apply(query.pose_world_part, handle.face_m[None])[0]
    pad, width_m = scene.arm.gripper.pad, scene.arm.gripper.openings_m[0]
    tip_m = float(scene.arm.gripper.advance_at(width_m)) + pad.tip_below_pad_m
    for lean in LEANS_RAD:
        ways = _leaning(inwards, lean)
        hands = [build_pose(face_m - tip_m * way, _spun(way, spin)) for way, spin in product(ways, range(_SPINS))]
        natural = np.repeat([natural_x(scene, face_m, way) for way in ways], _SPINS, axis=0)
        costs = [_UP_WEIGHT * float(hand[2, 2]) - float(hand[:3, 0] @ x) for hand, x in zip(hands, natural, strict=True)]
        yield from (hands[index] for index in np.argsort(np.round(costs, 6), kind="stable"))


def _leaning(inwards: FloatArray, lean_rad: float) -> list[FloatArray]:
    """Directions (3,) of the fingers: along the way in, or leaning against it to each side."""
    if lean_rad == 0.0:
        return [inwards]
    first, second = across(inwards)
    sides = (np.cos(angle) * first + np.sin(angle) * second for angle in np.arange(_SIDES) * 2 * np.pi / _SIDES)
    return [np.cos(lean_rad) * inwards + np.sin(lean_rad) * side for side in sides]


def _spun(approach: FloatArray, spin: int) -> FloatArray:
    """A rotation (3, 3) whose z is the approach, turned about it by a number of steps."""
    first, second = across(approach)
    turned: FloatArray = Rotation.from_rotvec(spin * 2 * np.pi / _SPINS * approach).as_matrix() @ np.column_stack([first, second, approach])
    return turned


def _solve(query: PressQuery, hand: FloatArray) -> ButtonPress:
    """A whole press with the hand at a pose (4, 4), of which only how far along the way in it touches is open.

    Raises:
        CandidateRejected: ``no_ik``, ``beside`` or ``press_blocked``.
    """
    scene, checker, inwards = query.scene, query.scene.checker, query.inwards
    width_m = scene.arm.gripper.openings_m[0]
    query.reset()
    back = shift(hand, -BEFORE_M * inwards)
    at_back = turn_to(scene, back)
    if at_back is None:
        raise CandidateRejected("no_ik", "the button is out of the arm's reach")
    gap_m = _gap(query, at_back, width_m)
    before, touch = shift(back, (gap_m - BEFORE_M) * inwards), shift(back, gap_m * inwards)
    at_before = solve_line(scene, back, at_back, (gap_m - BEFORE_M) * inwards, "no_ik")[-1]
    reach = solve_line(scene, before, at_before, (BEFORE_M - STANDOFF_M) * inwards, "no_ik")[::-1]
    require_free(scene, reach, width_m, "press_blocked")
    at_touch = solve_line(scene, before, at_before, BEFORE_M * inwards, "no_ik")
    pressed = solve_line(scene, touch, at_touch[-1], (query.goal - query.start) * inwards, "no_ik")
    require_free(scene, at_touch[:-1], width_m, "press_blocked")
    checker.pull(query.joint, touch)
    require_free(scene, pressed, width_m, "press_blocked")
    checker.leave_part(query.joint, query.goal)
    in_way = (query.goal - query.start) + STANDOFF_M
    leave = solve_line(scene, shift(touch, (query.goal - query.start) * inwards), pressed[-1], -in_way * inwards, "no_ik")
    require_free(scene, leave, width_m, "press_blocked")
    return ButtonPress(reach=reach, push=np.concatenate([at_touch, pressed[1:]]), leave=leave, width_m=width_m)


def _gap(query: PressQuery, qpos_arm: FloatArray, width_m: float) -> float:
    """How far the fingers at joint positions (n,) can go along the way in until they touch the button [m].

    By conservative advancement: no point of the fingers meets the button before they have gone by the distance between the two.

    Raises:
        CandidateRejected: ``beside``: they would go past it.

    Source: Mirtich, "Impulse-based Dynamic Simulation of Rigid Body Systems" (1996), section 2.3.2.
    """
    checker = query.scene.checker
    checker.is_free(qpos_arm, width_m)  # brings the fingers there
    model, data = checker.model, checker.data
    own = checker.bodies_of(query.joint.part)
    fingers, part = (
        [geom for geom in np.flatnonzero(checker.collides).tolist() if int(model.geom_bodyid[geom]) in bodies]
        for bodies in (checker.finger_bodies, own)
    )
    places, gone_m = data.geom_xpos[fingers].copy(), 0.0
    for _ in range(_STEPS):
        data.geom_xpos[fingers] = places + gone_m * query.inwards
        gap_m = min(mujoco.mj_geomDistance(model, data, finger, other, _SIGHT_M, None) for finger, other in product(fingers, part))
        if gap_m < _EXACT_M:
            return gone_m
        gone_m += gap_m
        if gone_m > _SIGHT_M:
            break
    if gap_m > BEFORE_M / 4:
        raise CandidateRejected("beside", "the fingers would go past the button")
    return gone_m


def _complete(query: PressQuery, controls: FloatArray, press: ButtonPress, /, *, seed: int, may_wander: bool) -> MotionPlan:
    """Search the path to a press and time all of it."""
    scene, checker = query.scene, query.scene.checker
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
    checker.place_objects(query.qpos)
    checker.allow()
    require_direct_home(scene, press.leave[-1], press.width_m)
    widest_m = max(scene.gripper_width(query.qpos), press.width_m)
    path = find_path(scene, builder.arm_end, press.reach[0], widest_m, seed, may_wander=may_wander)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(press.width_m)))
    query.reset()
    builder.move("reach", *time_checked(scene, press.reach, LINE_PACE, constant(press.width_m)), hold_s=STOP_S)
    checker.leave_part(query.joint, query.goal)
    builder.move("press", *time_checked(scene, press.push, PRESS_PACE, constant(press.width_m)), hold_s=_HOLD_S)
    builder.move("leave", *time_checked(scene, press.leave, LINE_PACE, constant(press.width_m)), hold_s=STOP_S)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)
