"""What planners of parts ask: a part as it is now, with the checker brought to that state, and hands that come to it.

World frame: z up, metres.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose
from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.collision import Allowance
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import describe_contact, find_direct
from blueprint_pipeline.twin.articulation import PartJoint

PALM_GAP_M = 0.004
"""Between all of the hand but the fingers and the part."""
_TOUCH_M = 0.004
_TILT_RAD = 0.4
"""By how much the hand is turned between two solutions on the way from the arm's default to a grasp."""


@dataclass(frozen=True, kw_only=True)
class PartQuery:
    """A part in a whole state."""

    scene: MotionScene
    qpos: FloatArray
    """Whole state (nq,)."""
    joint: PartJoint

    @property
    def start(self) -> float:
        """Where the part is [m] or [rad]."""
        return float(self.qpos[self.joint.qpos])

    @property
    def pose_world_part(self) -> FloatArray:
        """Where the part is, (4, 4)."""
        return self.joint.line.matrix_at(self.start)

    def reset(self) -> None:
        """Bring the checker back to the state; the fingers may touch the part, and the palm keeps :data:`PALM_GAP_M` from it."""
        checker = self.scene.checker
        checker.place_objects(self.qpos)
        checker.set_clearance(self.joint.part, PALM_GAP_M)
        checker.allow(Allowance(checker.finger_bodies, checker.bodies_of(self.joint.part), _TOUCH_M))


def turn_to(scene: MotionScene, pose_world_tcp: FloatArray) -> FloatArray | None:
    """Joint positions (n,) for a pose of the hand, found by turning it there step by step from how the arm has it by default."""
    (qpos,) = ik_seeds(scene, pose_world_tcp)
    start = scene.tool_pose(qpos)[:3, :3]
    turn = Rotation.from_matrix(pose_world_tcp[:3, :3] @ start.T).as_rotvec()
    steps = max(1, int(np.ceil(np.linalg.norm(turn) / _TILT_RAD)))
    for share in np.arange(1, steps + 1) / steps:
        rotation = Rotation.from_rotvec(share * turn).as_matrix() @ start
        solution = scene.solve_ik(build_pose(pose_world_tcp[:3, 3], rotation), [qpos])
        if solution is None:
            return None
        qpos = solution
    return qpos


def require_direct_home(scene: MotionScene, start: FloatArray, width_m: float) -> None:
    """Check that a direct way leads home from joint positions (n,) at which the hand left a part.

    Raises:
        CandidateRejected: ``detour``.
    """
    if find_direct(scene, start, np.array(scene.arm.default_qpos_rad), width_m) is None:
        raise CandidateRejected("detour", "no direct way leads home from where the hand leaves the part")


def require_free_start(scene: MotionScene, qpos: FloatArray, stage: str) -> None:
    """Check that the robot touches nothing in a whole state (nq,).

    Raises:
        PlanningFailed: ``start_in_collision``, as a failure of a stage.
    """
    scene.checker.place_objects(qpos)
    scene.checker.allow()
    if not scene.checker.is_free(scene.arm_qpos(qpos), scene.gripper_width(qpos)):
        raise PlanningFailed(stage, "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
