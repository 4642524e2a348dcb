"""How a part that moves can be taken: grasps of the handle that sticks out of its front, or across a knob."""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import vector3
from blueprint_pipeline.geometry.transforms import apply, invert, matrix_of
from blueprint_pipeline.motion.grasp_cache import load_grasps
from blueprint_pipeline.motion.grasp_set import EMPTY, GraspSet
from blueprint_pipeline.motion.knob_grips import find_grips
from blueprint_pipeline.motion.surface import CollisionSurface, object_surface
from blueprint_pipeline.robot.gripper import Gripper
from blueprint_pipeline.scene.handles import Handle, find_handle
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.twin.articulation import PartJoint

_SHALLOWEST = 0.25
"""Cosine between an approach and straight into the front: flatter ones bring the hand into it."""
_MOST_DOWN = 0.8
"""Sine of the slope from which an approach that comes down more steeply is no better."""
_INTO_WEIGHT, _DOWN_WEIGHT, _MIDDLE_WEIGHT_M = 0.5, 1.0, 2.0
"""Of an approach aslant, as 1 less the cosine; of one that comes down, from where an arm follows a part farthest; and of a metre from the
middle of the handle."""


_ALIKE, _REPEAT_COST = 0.95, 0.05
"""Cosine between two approaches that mostly fail together, and what each one that was chosen takes from those like it."""


@dataclass(frozen=True, kw_only=True)
class HandleGrasps:
    """Where a hand takes or presses a part, and its grasps there, both in the frame of the part."""

    handle: Handle
    grasps: GraspSet
    """None of a button: it is pressed."""

    def ranked(self, rotation_world_part: FloatArray) -> NDArray[np.int64]:
        """Indices of the grasps that come from the front, the most promising first: good in themselves, at the middle, from above.

        Args:
            rotation_world_part: How the part is turned in the world (3, 3).
        """
        approach, places = self.grasps.pose_object_tcp[:, :3, 2], self.grasps.pose_object_tcp[:, :3, 3]
        into = -approach @ self.handle.outward
        aside = np.abs((places - self.handle.middle_m) @ self.handle.axes[:, 0])
        down = np.minimum(-approach @ rotation_world_part[2], _MOST_DOWN)
        score = self.grasps.quality - _INTO_WEIGHT * (1 - into) + _DOWN_WEIGHT * down - _MIDDLE_WEIGHT_M * aside
        score[into < _SHALLOWEST] = -np.inf
        chosen: list[int] = []
        for _ in range(int(np.isfinite(score).sum())):
            best = int(np.argmax(score))
            chosen.append(best)
            score[approach @ approach[best] > _ALIKE] -= _REPEAT_COST
            score[best] = -np.inf
        return np.array(chosen, dtype=np.int64)


def load_handle(model: mujoco.MjModel, joint: PartJoint, gripper: Gripper, cache_dir: Path) -> HandleGrasps | None:
    """Where a hand takes or presses a part of a model, with all grasps that a gripper has of it; ``None``: nowhere."""
    surface = object_surface(model, joint.part)
    handle = find_handle(surface.vertices, surface.faces, in_part_frame(joint))
    if handle is None:
        return None
    if handle.use == "button":
        return HandleGrasps(handle=handle, grasps=EMPTY)
    if handle.use == "knob":
        return HandleGrasps(handle=handle, grasps=find_grips(surface, handle, in_part_frame(joint), gripper))
    held, rest = (CollisionSurface(surface.vertices, surface.faces[chosen]) for chosen in (handle.faces, ~handle.faces))
    return HandleGrasps(handle=handle, grasps=load_grasps(held, gripper, cache_dir, around=rest))


def in_part_frame(joint: PartJoint) -> ArticulationJoint:
    """A joint as its manifest has it: in the frame of its part when that is closed."""
    line = joint.line
    local = invert(matrix_of(line.closed))
    return ArticulationJoint(
        name=joint.name,
        type="prismatic" if line.slides else "revolute",
        axis=vector3(local[:3, :3] @ line.axis),
        origin=vector3(apply(local, np.array([line.anchor_m]))[0]),
        limits=line.limits,
        child_part=joint.part,
    )
