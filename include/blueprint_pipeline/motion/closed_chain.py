"""Several hands on one object: a closed chain. The object's path decides where every hand goes.

Hands that hold one object firmly must keep their poses relative to each other: what they drift apart, the object and the pads have to
give. So a path of the object is solved for all arms, continuously, and what was timed is checked again at every setpoint and between them.
World frame: z up, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, invert
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.plan import WidthPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LARGEST_JUMP_RAD, time_checked
from blueprint_pipeline.motion.timing import Pace

POSITION_TOLERANCE_M = 0.002
ORIENTATION_TOLERANCE_RAD = 0.015
"""How far hands may drift from how they hold the object, each against the first: somewhat more than inverse kinematics leaves of each arm
(0.5 mm and 5 mrad), and less than rubber pads give."""
STEP_M, STEP_RAD = 0.01, 0.03
"""Way and turn of the object between two points of its path: between them joints go straight, and hands do not."""
_SUBSTEPS = 3


@dataclass(frozen=True)
class Drift:
    """How far hands are, at most, from how they hold an object together."""

    position_m: float
    orientation_rad: float

    @property
    def within_tolerance(self) -> bool:
        """Whether the object and the pads can give it."""
        return self.position_m <= POSITION_TOLERANCE_M and self.orientation_rad <= ORIENTATION_TOLERANCE_RAD


def straight_way(start: FloatArray, goal: FloatArray) -> FloatArray:
    """Poses (m, 4, 4) of an object on a straight way with an even turn, from after ``start`` to ``goal``."""
    turns = Rotation.from_matrix([start[:3, :3], goal[:3, :3]])
    turn_rad = float((turns[1] * turns[0].inv()).magnitude())
    way_m = float(np.linalg.norm(goal[:3, 3] - start[:3, 3]))
    steps = max(1, int(np.ceil(max(way_m / STEP_M, turn_rad / STEP_RAD))))
    shares = np.arange(1, steps + 1) / steps
    rotations = Slerp([0.0, 1.0], turns)(shares).as_matrix()
    places = start[:3, 3] + shares[:, None] * (goal[:3, 3] - start[:3, 3])
    return np.stack([build_pose(place, rotation) for place, rotation in zip(places, rotations, strict=True)])


def follow_object(
    scene: MotionScene, pose_object_tcps: FloatArray, poses_world_object: Sequence[FloatArray] | FloatArray, start: FloatArray, code: str
) -> FloatArray:
    """Joint positions (m + 1, n) that take all hands along with an object, from ``start`` on, without a jump.

    Args:
        scene: Whose arms move.
        pose_object_tcps: How each hand holds the object, (k, 4, 4).
        poses_world_object: Where the object goes, (m, 4, 4).
        start: Joint positions (n,) before the first of them.
        code: What a rejection is called.

    Raises:
        CandidateRejected: With ``code``: an arm does not reach that far, or would jump; ``chain_open``: between two points the hands would
            drift apart.
    """
    points = [start]
    for pose in poses_world_object:
        seeds = [2 * points[-1] - points[-2], points[-1]] if len(points) > 1 else [start]
        solution = scene.solve_ik(pose @ pose_object_tcps, seeds)
        if solution is None or np.abs(solution - points[-1]).max() > LARGEST_JUMP_RAD:
            share = len(points) / (len(poses_world_object) + 1)
            raise CandidateRejected(code, f"the arms follow the object only {share:.0%} of its way together")
        points.append(solution)
    found = np.array(points)
    _require_closed(scene, pose_object_tcps, (found[1:] + found[:-1]) / 2)
    return found


def measure_drift(scene: MotionScene, pose_object_tcps: FloatArray, rows: FloatArray) -> Drift:
    """How far the hands are from how they hold an object together, at most, in configurations (m, n).

    Of each hand the pose in the first one's frame is compared with what it is on the object (k, 4, 4).
    """
    held = invert(pose_object_tcps[0]) @ pose_object_tcps
    position_m = orientation_rad = 0.0
    for row in rows:
        poses = scene.tool_poses(row)
        for wanted, found in zip(held[1:], (invert(poses[0]) @ poses)[1:], strict=True):
            position_m = max(position_m, float(np.linalg.norm(found[:3, 3] - wanted[:3, 3])))
            turn = Rotation.from_matrix(wanted[:3, :3].T @ found[:3, :3])
            orientation_rad = max(orientation_rad, float(turn.magnitude()))
    return Drift(position_m, orientation_rad)


def time_carried(
    scene: MotionScene, pose_object_tcps: FloatArray, waypoints: FloatArray, pace: Pace, widths: WidthPlan
) -> tuple[FloatArray, FloatArray]:
    """Setpoints (T, n) and openings (T, k) along a path of hands that hold one object, free and within the chain's tolerance.

    Raises:
        CandidateRejected: ``collision_in_timed_trajectory``; ``chain_open``: between the path's points the hands would drift apart.
    """
    setpoints, openings = time_checked(scene, waypoints, pace, widths)
    rows = np.concatenate([waypoints[:1], setpoints])
    between = [rows[:-1] + share * np.diff(rows, axis=0) for share in np.arange(1, _SUBSTEPS + 1) / _SUBSTEPS]
    _require_closed(scene, pose_object_tcps, np.concatenate([waypoints[:1], *between]))
    return setpoints, openings


def _require_closed(scene: MotionScene, pose_object_tcps: FloatArray, rows: FloatArray) -> None:
    drift = measure_drift(scene, pose_object_tcps, rows)
    if not drift.within_tolerance:
        told = f"{drift.position_m * 1000:.1f} mm and {drift.orientation_rad * 1000:.0f} mrad"
        allowed = f"{POSITION_TOLERANCE_M * 1000:g} mm and {ORIENTATION_TOLERANCE_RAD * 1000:g} mrad"
        raise CandidateRejected("chain_open", f"the hands would drift from how they hold the object by {told}; {allowed} are allowed")
