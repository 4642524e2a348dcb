"""A scene as a planner sees it: the model, the arm in it, what may collide, and how each object can be grasped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, invert
from blueprint_pipeline.motion.collision import CollisionChecker
from blueprint_pipeline.motion.grasp_cache import load_grasps
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.hand_camera import HandCamera, find_hand_camera
from blueprint_pipeline.motion.handles import HandleGrasps, load_handle
from blueprint_pipeline.motion.ik import ArmKinematics, base_pose_of
from blueprint_pipeline.motion.surface import object_surface
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.articulation import PartJoint, find_joints
from blueprint_pipeline.twin.binding import ArmBinding, RobotBinding, bind_robot


@dataclass(frozen=True, kw_only=True)
class MotionScene:
    """Made once for a model; used for any number of plans, one at a time. Plans do not depend on earlier plans."""

    model: mujoco.MjModel
    robot: RobotBinding
    acting: ArmBinding
    """The arm that moves; the others stand still."""
    fps: int
    cache_dir: Path
    checker: CollisionChecker
    kinematics: ArmKinematics
    parts: Mapping[str, PartJoint]
    """The joint of each part of an object that moves."""
    pose_world_base: FloatArray
    """The robot's model in the world (4, 4)."""
    hand_camera: HandCamera | None
    _grasps: dict[str, GraspSet] = field(default_factory=dict)
    _handles: dict[str, HandleGrasps | None] = field(default_factory=dict)

    def grasps_of(self, object_id: str) -> GraspSet:
        """Grasps in the object's frame, best first; computed at first use, then from the cache."""
        if object_id not in self._grasps:
            self._grasps[object_id] = load_grasps(object_surface(self.model, object_id), self.arm.gripper, self.cache_dir)
        return self._grasps[object_id]

    def handle_of(self, part: str) -> HandleGrasps | None:
        """How a part can be taken by its handle; ``None``: it has none."""
        if part not in self._handles:
            self._handles[part] = load_handle(self.model, self.parts[part], self.arm.gripper, self.cache_dir)
        return self._handles[part]

    def count_grasps(self, object_id: str) -> int:
        """How many grasps the object has, over all directions; 0: this gripper cannot hold it."""
        return len(self.grasps_of(object_id))

    @property
    def arm(self) -> Arm:
        """The record of the arm that moves."""
        return self.acting.arm

    @property
    def root_m(self) -> FloatArray:
        """Where the arm begins, in the world (3,)."""
        root_m: FloatArray = apply(self.pose_world_base, self.kinematics.root_m[None])[0]
        return root_m

    def arm_qpos(self, qpos: FloatArray) -> FloatArray:
        """The arm's joints (n,) out of a whole state (nq,)."""
        joints: FloatArray = qpos[self.acting.qpos]
        return joints

    def gripper_width(self, qpos: FloatArray) -> float:
        """Opening of the arm's gripper in a whole state."""
        return self.acting.width_m(qpos)

    def holding(self, qpos: FloatArray) -> FloatArray:
        """Controls (nu,) that hold the whole robot where a state has it: where a plan begins."""
        return self.robot.ctrl_holding(qpos, self.model.nu)

    def tool_pose(self, qpos_arm: FloatArray) -> FloatArray:
        """Pose of the tool centre point in the world (4, 4) at joint positions (n,)."""
        pose: FloatArray = self.pose_world_base @ self.kinematics.forward(qpos_arm)
        return pose

    def solve_ik(self, pose_world_tcp: FloatArray, seeds: list[FloatArray]) -> FloatArray | None:
        """Joint positions (n,) that bring the tool centre point to a pose of the world, or ``None``."""
        return self.kinematics.solve(invert(self.pose_world_base) @ pose_world_tcp, seeds)


def build_motion_scene(model: mujoco.MjModel, embodiment: Embodiment, arm: str, *, fps: int, cache_dir: Path) -> MotionScene:
    """Prepare a model (scene with the robot mounted) for planning.

    Args:
        model: Compiled scene; it is copied, never changed.
        embodiment: The robot that is mounted in it.
        arm: Name of the arm that acts.
        fps: Rate of setpoints [Hz].
        cache_dir: Folder where grasps are kept between processes.

    Raises:
        UnknownArm: The robot has no arm of that name.
    """
    robot = bind_robot(model, embodiment)
    acting = robot.arms[embodiment.arm_index(arm)]
    kinematics = ArmKinematics(embodiment, acting.arm)
    return MotionScene(
        model=model,
        robot=robot,
        acting=acting,
        fps=fps,
        cache_dir=cache_dir,
        checker=CollisionChecker(model, acting),
        kinematics=kinematics,
        hand_camera=find_hand_camera(model, acting),
        parts=find_joints(model),
        pose_world_base=base_pose_of(model, f"{ROBOT_PREFIX}{embodiment.base_body}") @ invert(kinematics.pose_base_body),
    )
