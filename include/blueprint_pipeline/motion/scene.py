"""A scene as a planner sees it: the model, the arm in it, what may collide, and how each object can be grasped."""

from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.collision import CollisionChecker
from blueprint_pipeline.motion.grasp_cache import load_grasps
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.ik import ArmKinematics, base_pose_of
from blueprint_pipeline.motion.surface import object_surface
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX, Arm, Embodiment


@dataclass(frozen=True, kw_only=True)
class MotionScene:
    """Made once for a model; used for any number of plans, one at a time. Plans do not depend on earlier plans."""

    model: mujoco.MjModel
    arm: Arm
    fps: int
    cache_dir: Path
    checker: CollisionChecker
    kinematics: ArmKinematics
    pose_world_base: FloatArray
    _grasps: dict[str, GraspSet] = field(default_factory=dict)

    def grasps_of(self, object_id: str) -> GraspSet:
        """Grasps in the object's frame, best first; computed at first use, then from the cache."""
        if object_id not in self._grasps:
            self._grasps[object_id] = load_grasps(object_surface(self.model, object_id), self.arm.gripper, self.cache_dir)
        return self._grasps[object_id]

    def count_grasps(self, object_id: str) -> int:
        """How many grasps the object has, over all directions; 0: this gripper cannot hold it."""
        return len(self.grasps_of(object_id))

    def arm_qpos(self, qpos: FloatArray) -> FloatArray:
        """The arm's joints (n,) out of a whole state (nq,)."""
        return np.array([qpos[self.model.joint(ROBOT_PREFIX + joint.name).qposadr[0]] for joint in self.arm.joints])

    def gripper_width(self, qpos: FloatArray) -> float:
        """Opening of the gripper in a whole state."""
        gripper = self.arm.gripper
        travel = [qpos[self.model.joint(ROBOT_PREFIX + name).qposadr[0]] for name in gripper.joints]
        return float(np.sum(travel) / np.sum(gripper.joint_per_width))

    def solve_ik(self, pose_world_tcp: FloatArray, seeds: list[FloatArray]) -> FloatArray | None:
        """Joint positions (n,) that bring the tool centre point to a pose of the world, or ``None``."""
        return self.kinematics.solve(invert(self.pose_world_base) @ pose_world_tcp, seeds)


def build_motion_scene(model: mujoco.MjModel, embodiment: Embodiment, *, fps: int, cache_dir: Path) -> MotionScene:
    """Prepare a model (scene with the robot mounted) for planning.

    Args:
        model: Compiled scene; it is copied, never changed.
        embodiment: The robot that is mounted in it; its first arm acts.
        fps: Rate of setpoints [Hz].
        cache_dir: Folder where grasps are kept between processes.
    """
    arm = embodiment.arm
    return MotionScene(
        model=model,
        arm=arm,
        fps=fps,
        cache_dir=cache_dir,
        checker=CollisionChecker(model, arm),
        kinematics=ArmKinematics(embodiment, arm),
        pose_world_base=base_pose_of(model, f"{ROBOT_PREFIX}{embodiment.base_body}"),
    )
