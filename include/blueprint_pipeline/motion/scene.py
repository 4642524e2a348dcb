"""A scene as a planner sees it: the model, the arms that move in it, what may collide, and how each object can be grasped.

Most motions are of one arm. A scene of several plans for all of them at once, by the same functions: configurations hold the joints of one
arm after the other, openings and poses one entry an arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, invert
from blueprint_pipeline.motion.arm_set import ArmSet
from blueprint_pipeline.motion.collision import CollisionChecker
from blueprint_pipeline.motion.grasp_cache import load_grasps
from blueprint_pipeline.motion.grasp_set import GraspSet, HalfSpace
from blueprint_pipeline.motion.hand_camera import HandCamera, find_hand_camera
from blueprint_pipeline.motion.handles import HandleGrasps, in_part_frame, load_handle
from blueprint_pipeline.motion.ik import ArmKinematics, base_pose_of
from blueprint_pipeline.motion.surface import center_of_mass, object_surface
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.scene.part_use import PartUse, use_of
from blueprint_pipeline.twin.articulation import PartJoint, find_joints
from blueprint_pipeline.twin.binding import ArmBinding, RobotBinding, bind_robot


@dataclass(frozen=True, kw_only=True)
class MotionScene:
    """Made once for a model; used for any number of plans, one at a time. Plans do not depend on earlier plans."""

    model: mujoco.MjModel
    embodiment: Embodiment
    robot: RobotBinding
    arms: ArmSet
    """Those that move; the others stand still."""
    fps: int
    cache_dir: Path
    checker: CollisionChecker
    parts: Mapping[str, PartJoint]
    """The joint of each part of an object that moves."""
    pose_world_base: FloatArray
    """The robot's model in the world (4, 4)."""
    hand_camera: HandCamera | None
    """Of the first arm."""
    _grasps: dict[str, GraspSet] = field(default_factory=dict)
    _upper_grasps: dict[str, GraspSet] = field(default_factory=dict)
    _handles: dict[str, HandleGrasps | None] = field(default_factory=dict)
    _others: dict[tuple[str, ...], "MotionScene"] = field(default_factory=dict)

    def with_arms(self, *names: str) -> "MotionScene":
        """The same scene for other arms, in this order; made at first use. It keeps where things stand for itself.

        Raises:
            UnknownArm: The robot has no arm of that name.
        """
        if names not in self._others:
            self._others[names] = _build(self.model, self.embodiment, names, fps=self.fps, cache_dir=self.cache_dir, others=self._others)
        return self._others[names]

    @property
    def hands(self) -> tuple["MotionScene", ...]:
        """The scene for each of its arms alone."""
        return tuple(self.with_arms(binding.arm.name) for binding in self.arms.bindings)

    def grasps_of(self, object_id: str) -> GraspSet:
        """Grasps in the object's frame, best first; computed at first use, then from the cache."""
        if object_id not in self._grasps:
            self._grasps[object_id] = load_grasps(object_surface(self.model, object_id), self.arm.gripper, self.cache_dir)
        return self._grasps[object_id]

    def upper_grasps_of(self, object_id: str) -> GraspSet:
        """Grasps above the object's centre of mass, as it stands in the model: held there it hangs, and does not turn over."""
        if object_id not in self._upper_grasps:
            center_m, up = center_of_mass(self.model, object_id)
            above = HalfSpace(np.round(up, 3), round(float(center_m @ up), 3))
            surface = object_surface(self.model, object_id)
            self._upper_grasps[object_id] = load_grasps(surface, self.arm.gripper, self.cache_dir, within=above)
        return self._upper_grasps[object_id]

    def handle_of(self, part: str) -> HandleGrasps | None:
        """Where a hand takes or presses a part, and how; ``None``: it cannot."""
        if part not in self._handles:
            self._handles[part] = load_handle(self.model, self.parts[part], self.arm.gripper, self.cache_dir)
        return self._handles[part]

    def use_of(self, part: str) -> PartUse:
        """What a hand does with a part."""
        return use_of(in_part_frame(self.parts[part]), object_surface(self.model, part).vertices)

    def count_grasps(self, object_id: str) -> int:
        """How many grasps the object has, over all directions; 0: this gripper cannot hold it."""
        return len(self.grasps_of(object_id))

    @property
    def acting(self) -> ArmBinding:
        """The arm that moves; of several, the first."""
        return self.arms.bindings[0]

    @property
    def arm(self) -> Arm:
        """Its record."""
        return self.acting.arm

    @property
    def kinematics(self) -> ArmKinematics:
        """Its kinematics."""
        return self.arms.kinematics[0]

    @property
    def root_m(self) -> FloatArray:
        """Where the first arm begins, in the world (3,)."""
        root_m: FloatArray = apply(self.pose_world_base, self.kinematics.root_m[None])[0]
        return root_m

    def arm_qpos(self, qpos: FloatArray) -> FloatArray:
        """The joints (n,) of the arms that move out of a whole state (nq,)."""
        joints: FloatArray = qpos[self.arms.qpos]
        return joints

    def gripper_width(self, qpos: FloatArray) -> float:
        """Opening of the first arm's gripper in a whole state."""
        return self.acting.width_m(qpos)

    def gripper_widths(self, qpos: FloatArray) -> FloatArray:
        """Openings of all their grippers in a whole state, one an arm."""
        return np.array([binding.width_m(qpos) for binding in self.arms.bindings])

    def holding(self, qpos: FloatArray) -> FloatArray:
        """Controls (nu,) that hold the whole robot where a state has it: where a plan begins."""
        return self.robot.ctrl_holding(qpos, self.model.nu)

    def tool_pose(self, qpos_arm: FloatArray) -> FloatArray:
        """Pose of the first arm's tool centre point in the world (4, 4) at joint positions (n,)."""
        first: FloatArray = self.tool_poses(qpos_arm)[0]
        return first

    def tool_poses(self, qpos_arms: FloatArray) -> FloatArray:
        """Poses of all tool centre points in the world, one an arm (k, 4, 4)."""
        parts = zip(self.arms.kinematics, self.arms.split(qpos_arms), strict=True)
        return np.stack([self.pose_world_base @ arm.forward(qpos) for arm, qpos in parts])

    def solve_ik(self, poses_world_tcp: FloatArray, seeds: Sequence[FloatArray]) -> FloatArray | None:
        """Joint positions (n,) that bring the tool centre points to poses of the world, (k, 4, 4) or, of one arm, (4, 4), or ``None``."""
        local = invert(self.pose_world_base) @ poses_world_tcp
        return self.arms.solve(list(local.reshape(-1, 4, 4)), seeds)


def build_motion_scene(model: mujoco.MjModel, embodiment: Embodiment, arm: str, *, fps: int, cache_dir: Path) -> MotionScene:
    """Prepare a model (scene with the robot mounted) for planning motions of one arm; :meth:`MotionScene.with_arms` gives others.

    Args:
        model: Compiled scene; it is copied, never changed.
        embodiment: The robot that is mounted in it.
        arm: Name of the arm that acts.
        fps: Rate of setpoints [Hz].
        cache_dir: Folder where grasps are kept between processes.

    Raises:
        UnknownArm: The robot has no arm of that name.
    """
    others: dict[tuple[str, ...], MotionScene] = {}
    scene = others[(arm,)] = _build(model, embodiment, (arm,), fps=fps, cache_dir=cache_dir, others=others)
    return scene


def _build(
    model: mujoco.MjModel,
    embodiment: Embodiment,
    names: Sequence[str],
    *,
    fps: int,
    cache_dir: Path,
    others: dict[tuple[str, ...], MotionScene],
) -> MotionScene:
    robot = bind_robot(model, embodiment)
    bindings = tuple(robot.arms[embodiment.arm_index(name)] for name in names)
    kinematics = tuple(ArmKinematics(embodiment, binding.arm) for binding in bindings)
    return MotionScene(
        model=model,
        embodiment=embodiment,
        robot=robot,
        arms=ArmSet(bindings=bindings, kinematics=kinematics),
        fps=fps,
        cache_dir=cache_dir,
        checker=CollisionChecker(model, *bindings),
        hand_camera=find_hand_camera(model, bindings[0]),
        parts=find_joints(model),
        pose_world_base=base_pose_of(model, f"{ROBOT_PREFIX}{embodiment.base_body}") @ invert(kinematics[0].pose_base_body),
        _others=others,
    )
