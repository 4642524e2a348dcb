"""Frames and units are converted once, and back again without loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.rotations import RigidPose, angle_between, quat_from_rotation, rotation_from_quat
from blueprint_pipeline.scene.frames import SceneFrame, rotation_error, split_affine

numbers = st.floats(-100, 100, allow_nan=False, width=32)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
rotations = (
    st.tuples(*[st.floats(-1, 1, width=32)] * 4)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: Rotation.from_quat(np.array(q) / np.linalg.norm(q)).as_matrix())
)
frames = st.builds(SceneFrame, st.sampled_from(["y_up", "z_up"]), st.sampled_from([1.0, 0.01, 0.001, 0.0254, 3.0]))


@given(frames, vectors)
def test_points_survive_the_round_trip(frame, point):
    """To the world and back is where it was."""
    there = frame.points_to_world(point[None])
    assert np.allclose(frame.points_to_scene(there)[0], point, atol=1e-9)


@given(frames, rotations, vectors)
def test_poses_survive_the_round_trip(frame, rotation, translation):
    """A pose to the world and back is the same pose."""
    turned, moved = frame.scene_pose(frame.object_pose(rotation, translation))
    assert angle_between(turned, rotation) < 1e-6
    assert np.allclose(moved, translation, atol=1e-9)


@given(frames, rotations, vectors, vectors, st.tuples(*[st.floats(0.01, 100)] * 3).map(np.array))
def test_object_frame_says_where_vertices_are(frame, rotation, translation, vertex, scale):
    """Mesh to object to world is the same place as mesh to scene to world."""
    in_scene = rotation @ (scale * vertex) + translation
    in_world = frame.points_to_world(in_scene[None])[0]
    in_object = frame.object_from_mesh(scale) @ vertex
    found = frame.object_pose(rotation, translation).apply(in_object[None])[0]
    assert np.allclose(found, in_world, atol=1e-6 * max(1.0, np.abs(in_world).max()))


@given(rotations)
def test_quaternions_survive_the_round_trip(rotation):
    """W comes first, and is never negative."""
    quat = quat_from_rotation(rotation)
    assert quat[0] >= 0
    assert angle_between(rotation_from_quat(quat), rotation) < 1e-6


@given(rotations, st.tuples(*[st.floats(0.01, 100)] * 3).map(np.array), vectors)
def test_affine_is_split_into_its_parts(rotation, scale, translation):
    """Rotation, translation and scale come out as they went in."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(scale)
    matrix[:3, 3] = translation
    found, moved, stretched = split_affine(matrix)
    assert rotation_error(found) < 1e-9
    assert np.allclose(stretched, scale)
    assert np.allclose(moved, translation)


def test_y_up_means_up():
    """What is above in a y-up scene is above in the world, in metres."""
    frame = SceneFrame("y_up", 0.01)
    assert np.allclose(frame.points_to_world(np.array([[10.0, 90.0, -20.0]])), [[0.1, 0.2, 0.9]])


def test_camera_looks_where_it_looked():
    """A camera at z = 2 that looks straight down sees -z; its up is the image's up."""
    down = np.eye(4)
    down[:3, :3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    down[:3, 3] = -down[:3, :3] @ np.array([0.5, 0.0, 2.0])
    pose = SceneFrame("z_up", 1.0).camera_pose(down)
    assert np.allclose(pose.position_m, [0.5, 0, 2])
    assert np.allclose(pose.rotation @ [0, 0, -1], [0, 0, -1])
    assert np.allclose(pose.rotation @ [0, 1, 0], [0, 1, 0])


def test_shear_is_seen():
    """A sheared matrix is no rotation."""
    sheared = np.eye(3)
    sheared[0, 1] = 0.35
    assert rotation_error(sheared / np.linalg.norm(sheared, axis=0)) > 0.3


def test_pose_applies_rotation_then_position():
    """A quarter turn about z, then a shift."""
    pose = RigidPose(np.array([1.0, 0, 0]), np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)]))
    assert pose.apply(np.array([[1.0, 0, 0]]))[0] == pytest.approx([1, 1, 0])
