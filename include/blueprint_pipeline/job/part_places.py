"""Where parts that move are: at which support, where their handle goes, and what outline they sweep. World frame: z up, metres."""

from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply
from blueprint_pipeline.job.placement import Front
from blueprint_pipeline.motion.handles import in_part_frame
from blueprint_pipeline.motion.surface import object_surface
from blueprint_pipeline.scene.articulation import opening_direction
from blueprint_pipeline.scene.handles import find_handle
from blueprint_pipeline.twin.articulation import PartJoint, find_joints
from blueprint_pipeline.twin.body_names import object_of
from blueprint_pipeline.twin.footprint import Footprint, collision_points, footprint_of

STANDS_M = 0.03
"""How far above or below a surface the lowest point of what stands on it may be."""
_POSITIONS = 9
_BEFORE_M = 0.002


@dataclass(frozen=True, kw_only=True)
class PartPlace:
    """Where one part is."""

    owner: str
    """The object that it hangs on."""
    bottom_m: float
    """Height of that object's lowest point."""
    handle_m: FloatArray
    """(n, 3): just before the middle of its handle, knob or button, or of all of it, from closed to open: where it is seen."""
    outward: FloatArray
    """(n, 3): away from its front there."""
    front: Front
    swept: Footprint
    """The outline that it sweeps over its whole range, about the origin of the world."""

    def stands_at(self, support: str, height_m: float) -> bool:
        """Whether it belongs to a support (an object, or the background), or to what stands at the height of its surface."""
        return self.owner == support or abs(self.bottom_m - height_m) <= STANDS_M


def find_parts(model: mujoco.MjModel) -> dict[str, PartPlace]:
    """The parts of a scene's twin that move, by name."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    found = {}
    for part, joint in find_joints(model).items():
        bottom_m = float(collision_points(model, data, object_of(part))[:, 2].min())
        found[part] = _place(model, joint, bottom_m)
    return found


def _place(model: mujoco.MjModel, joint: PartJoint, bottom_m: float) -> PartPlace:
    line, local = joint.line, in_part_frame(joint)
    surface = object_surface(model, joint.part)
    handle = find_handle(surface.vertices, surface.faces, local)
    middle = surface.vertices.mean(axis=0) if handle is None else handle.face_m
    outward = opening_direction(local, middle) if handle is None else handle.outward
    seen = middle + _BEFORE_M * outward
    poses = [line.matrix_at(position) for position in np.linspace(0.0, line.limits[1], _POSITIONS)]
    handle_m = np.array([apply(pose, seen[None])[0] for pose in poses])
    return PartPlace(
        owner=object_of(joint.part),
        bottom_m=bottom_m,
        handle_m=handle_m,
        outward=np.array([pose[:3, :3] @ outward for pose in poses]),
        front=Front(places_m=handle_m[:, :2], outward=(poses[0][:3, :3] @ outward)[:2]),
        swept=_swept(model, joint),
    )


def _swept(model: mujoco.MjModel, joint: PartJoint) -> Footprint:
    data, points = mujoco.MjData(model), []
    for position in np.linspace(*joint.line.limits, _POSITIONS):
        data.qpos[joint.qpos] = position
        mujoco.mj_kinematics(model, data)
        points.append(collision_points(model, data, joint.part))
    return footprint_of(np.concatenate(points), np.zeros(3))
