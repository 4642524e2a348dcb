"""Grasps that miss on purpose: where the hand is brought instead, so that it surely fails and nothing is touched on the way.

A mishap looks like one: the hand comes down a little beside the object, or stops a little too high, or its fingers stop before they touch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import vector3
from blueprint_pipeline.geometry.transforms import build_pose, turn_about_z
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.overhead import from_above
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.segments import constant, find_path, require_free, solve_line, time_checked
from blueprint_pipeline.skill.grasping import APPROACH_M, LIFT_M, GraspQuery
from blueprint_pipeline.skill.picking import CLOSE_HOLD_S, FREE_PACE, GRIP_SPEED_M_S, LINE_PACE, STOP_S, PickPlan
from blueprint_pipeline.task.mishap import Mishap, MishapKind, Provoked

KINDS: tuple[MishapKind, ...] = ("beside", "high", "loose")
"""Those of a grasp."""
FARTHEST_M = 0.07
"""By which a hand is off at most: who is off by more has not seen the object."""
MORE_M = 0.012
"""By how much more than just enough to miss, at most."""
GAPS_M = (0.008, 0.016)
"""Between which ``loose`` fingers stay open beyond the object's width, both sides together."""
_STEP_M = 0.005
_CODE = "mishap"
_WIDTHS = 6
"""Openings from open to closed at which the hand must touch nothing."""


@dataclass(frozen=True, kw_only=True)
class MissedPick(MotionPlan):
    """A plan with the phases of a :class:`~blueprint_pipeline.skill.picking.PickPlan` that takes nothing."""

    pose_object_tcp: FloatArray
    """Where the hand closes instead (4, 4)."""


def plan_missed(query: GraspQuery, pick: PickPlan, mishap: Mishap, *, seed: int) -> MissedPick | None:
    """The first kind of mishap that the situation allows, from the same state as the pick; ``None``: none of them."""
    for kind in mishap.kinds:
        for provoked in _candidates(kind, pick, mishap, query.scene.arm.gripper.stroke_m):
            try:
                return _complete(query, pick, provoked, seed)
            except CandidateRejected:
                continue
    return None


def _candidates(kind: MishapKind, pick: PickPlan, mishap: Mishap, stroke_m: float) -> Iterator[Provoked]:
    """What may go wrong, from the least that could miss."""
    if kind == "loose":
        gap_m = GAPS_M[0] + mishap.share * (GAPS_M[1] - GAPS_M[0])
        if pick.width_m + gap_m < min(pick.open_m, stroke_m):
            yield Provoked(kind=kind, from_frame=0, gap_m=round(gap_m, 5))
        return
    way = np.array([0.0, 0.0, -1.0]) if kind == "high" else np.array([np.cos(mishap.way_rad), np.sin(mishap.way_rad), 0.0])
    for far_m in np.arange(_STEP_M, FARTHEST_M, _STEP_M) + mishap.share * MORE_M:
        yield Provoked(kind=kind, from_frame=0, offset_hand_m=vector3(np.round(far_m * way, 5)), turn_rad=mishap.turn_rad)


def _complete(query: GraspQuery, pick: PickPlan, provoked: Provoked, seed: int) -> MissedPick:
    """Time the motion of a mishap.

    Raises:
        CandidateRejected: Something would be touched, or a place is out of reach.
    """
    scene, checker = query.scene, query.scene.checker
    pose_object_tcp = pick.pose_object_tcp @ build_pose(np.array(provoked.offset_hand_m), turn_about_z(provoked.turn_rad)[:3, :3])
    pose_world_tcp = pick.pose_world_object @ pose_object_tcp
    closed_m = pick.width_m + provoked.gap_m if provoked.kind == "loose" else pick.close_m
    meant: FloatArray = pick.setpoints[pick.phases[2].start_frame, scene.acting.actuators]
    query.reset()
    if provoked.kind == "loose":
        query.allow_target()
    at = scene.solve_ik(pose_world_tcp, [meant])
    if at is None:
        raise CandidateRejected(_CODE, "out of reach")
    for width_m in np.linspace(pick.open_m, closed_m, _WIDTHS):
        require_free(scene, at[None], float(width_m), _CODE)
    back = solve_line(scene, pose_world_tcp, at, -APPROACH_M * pose_world_tcp[:3, 2], _CODE)
    require_free(scene, back, pick.open_m, _CODE)
    down = from_above(scene, back[::-1], pick.over_m, pick.open_m)
    up = solve_line(scene, pose_world_tcp, at, np.array([0.0, 0.0, LIFT_M]), _CODE)
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=scene.holding(query.qpos))
    lift, _ = time_checked(scene, up, LINE_PACE, constant(closed_m))
    lowered = time_checked(scene, down, LINE_PACE, constant(pick.open_m))
    checker.release()
    checker.allow()
    path = find_path(scene, builder.arm_end, down[0], pick.open_m, seed)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(pick.open_m)))
    builder.move("pre_grasp", *lowered, hold_s=STOP_S)
    builder.grip("close", width_m=closed_m, speed_m_s=GRIP_SPEED_M_S, hold_s=CLOSE_HOLD_S)
    builder.move("lift", lift, np.full(len(lift), closed_m))
    setpoints, phases = builder.build()
    begins = phases[2].start_frame if provoked.kind == "loose" else 0
    done = provoked.model_copy(update={"from_frame": begins})
    return MissedPick(setpoints=setpoints, phases=phases, provoked=done, pose_object_tcp=pose_object_tcp)
