"""How a point of the world becomes a pixel: intrinsics and extrinsics of every camera of an episode.

A point at ``X, Y, Z`` [m] in a camera's frame (OpenCV's axes: x to the right, y down, z ahead) is drawn ``u = fx * X / Z + cx`` pixels
from the left and ``v = fy * Y / Z + cy`` from the top; the middle of the top left pixel is (0, 0). There is no distortion and no skew.
A camera that stands still has its pose in the world here; the pose of one that moves is a column of the data.

Source: OpenCV documentation, "Camera Calibration and 3D Reconstruction".
"""

import math
from collections.abc import Mapping

import numpy as np

from blueprint_pipeline.dataset.features import VideoFeature, camera_pose_key, video_key
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.rotations import quat_from_rotation, rotation_from_quat
from blueprint_pipeline.robot.placement import SCENE_CAMERA, View
from blueprint_pipeline.scene.manifest import Camera
from blueprint_pipeline.twin.robot_cameras import OPENCV_FROM_MUJOCO


class PinholeCamera(FrozenModel):
    """A camera of one episode, as its line of the sidecar has it."""

    feature: str
    """Key of its videos."""
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    """Focal lengths and principal point, in pixels."""
    pose_world_camera: tuple[float, ...] | None
    """The camera in the world, x, y, z [m] and quaternion w, x, y, z; ``None``: it moves."""
    pose_column: str | None
    """The column that has the same for each frame; ``None``: it stands still."""


def build_cameras(
    view: View | None, scene_camera: Camera, moving: Mapping[str, float], videos: Mapping[str, VideoFeature]
) -> dict[str, PinholeCamera]:
    """The cameras of an episode, by name.

    Args:
        view: Where the scene's camera stood; ``None``: as the scene was reconstructed with.
        scene_camera: As the scene was reconstructed with.
        moving: Vertical field of view [deg] of each camera that the robot carries, as it was mounted.
        videos: What was drawn, by feature key.
    """
    found = {}
    for name, fovy_deg in moving.items():
        if (video := videos.get(video_key(name))) is not None:
            found[name] = _pinhole(video, fovy_deg, None, camera_pose_key(name))
    if (video := videos.get(video_key(SCENE_CAMERA))) is not None:
        fovy_deg = view.fovy_deg if view else math.degrees(scene_camera.fovy_rad)
        stands = view or scene_camera.pose
        quat_opencv = quat_from_rotation(rotation_from_quat(np.array(stands.quat_wxyz)) @ OPENCV_FROM_MUJOCO)
        found[SCENE_CAMERA] = _pinhole(video, fovy_deg, (*stands.position_m, *quat_opencv.tolist()), None)
    return found


def _pinhole(video: VideoFeature, fovy_deg: float, pose: tuple[float, ...] | None, column: str | None) -> PinholeCamera:
    """Square pixels, the axis through the middle of the picture."""
    focal = video.height / 2 / math.tan(math.radians(fovy_deg) / 2)
    return PinholeCamera(
        feature=video.key,
        width=video.width,
        height=video.height,
        fx=focal,
        fy=focal,
        cx=(video.width - 1) / 2,
        cy=(video.height - 1) / 2,
        pose_world_camera=pose,
        pose_column=column,
    )
