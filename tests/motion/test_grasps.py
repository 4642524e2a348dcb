"""Grasps of known shapes: where the fingers go, how wide, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from blueprint_pipeline.motion import grasps
from blueprint_pipeline.motion.grasp_cache import grasp_key, load_grasps
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.grasps import sample_grasps
from blueprint_pipeline.motion.surface import CollisionSurface
from blueprint_pipeline.robot.embodiment import load_embodiment

GRIPPER = load_embodiment("franka_panda").arms[0].gripper


def surface_of(mesh: trimesh.Trimesh) -> CollisionSurface:
    return CollisionSurface(np.array(mesh.vertices), np.array(mesh.faces))


def grasps_of(mesh: trimesh.Trimesh) -> GraspSet:
    return sample_grasps(surface_of(mesh), GRIPPER, np.random.default_rng(0))


def test_a_box_is_taken_across_its_narrow_sides() -> None:
    """4 x 6 x 12 cm: only the two short sides fit, and the closing direction is along one of them."""
    found = grasps_of(trimesh.creation.box((0.04, 0.06, 0.12)))
    assert len(found) > 50
    closing = np.abs(found.pose_object_tcp[:, :3, 1])
    assert (closing[:, 2] < 0.4).all(), "12 cm do not fit between the fingers"
    best = slice(0, 20)
    assert (closing[best, :2].max(axis=1) > 0.97).all()
    assert np.minimum(np.abs(found.width_m[best] - 0.04), np.abs(found.width_m[best] - 0.06)).max() < 0.002


def test_a_cylinder_is_taken_through_its_axis() -> None:
    """The closing line of good grasps crosses the axis at a right angle."""
    found = grasps_of(trimesh.creation.cylinder(0.03, 0.1, sections=64))
    for pose, width in zip(found.pose_object_tcp[:30], found.width_m[:30], strict=True):
        assert abs(width - 0.06) < 0.003
        assert abs(pose[2, 1]) < 0.1
        contact_middle = pose[:3, 3]
        line = pose[:2, 1] / np.linalg.norm(pose[:2, 1])
        off_axis = contact_middle[0] * line[1] - contact_middle[1] * line[0]
        assert abs(off_axis) < 0.012


def test_what_is_too_wide_has_no_grasp() -> None:
    """A cube of 10 cm does not fit an opening of 8 cm."""
    assert len(grasps_of(trimesh.creation.box((0.1, 0.1, 0.1)))) == 0


def test_a_cup_is_taken_by_its_rim() -> None:
    """A cup wider than the gripper is held by its wall, with one finger inside."""
    cup = trimesh.creation.annulus(r_min=0.055, r_max=0.059, height=0.07, sections=64)
    found = grasps_of(cup)
    assert len(found) > 20
    assert found.width_m.max() < 0.01


def test_quality_falls_and_poses_are_rigid() -> None:
    """Best first; every pose is a rotation and a place."""
    found = grasps_of(trimesh.creation.cylinder(0.03, 0.1))
    assert (np.diff(found.quality) <= 1e-12).all()
    rotations = found.pose_object_tcp[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (len(found), 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-6)


def test_no_finger_or_palm_lies_in_the_object() -> None:
    """On a tall box the hand never reaches over more than its fingers can clear."""
    box = trimesh.creation.box((0.03, 0.03, 0.2))
    found = grasps_of(box)
    corners = trimesh.sample.sample_surface(box, 2000, seed=1)[0]
    for pose, width in zip(found.pose_object_tcp[:100], found.width_m[:100], strict=True):
        local = (corners - pose[:3, 3]) @ pose[:3, :3]
        palm = (np.abs(local[:, 0]) < 0.025) & (np.abs(local[:, 1]) < 0.09) & (local[:, 2] < -0.045) & (local[:, 2] > -0.09)
        assert palm.mean() < 0.002
        finger = (np.abs(local[:, 0]) < 0.008) & (np.abs(local[:, 1]) > width / 2 + 0.005) & (np.abs(local[:, 1]) < width / 2 + 0.015)
        assert (finger & (local[:, 2] > -0.03) & (local[:, 2] < 0.008)).mean() < 0.002


def test_the_cache_gives_the_same_and_computes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second question is answered from the file, with equal arrays."""
    mesh = surface_of(trimesh.creation.cylinder(0.03, 0.1))
    first = load_grasps(mesh, GRIPPER, tmp_path)
    monkeypatch.setattr(grasps, "sample_grasps", lambda *_: pytest.fail("computed again"))
    second = load_grasps(mesh, GRIPPER, tmp_path)
    np.testing.assert_array_equal(first.pose_object_tcp, second.pose_object_tcp)
    assert [path.suffix for path in (tmp_path / "grasps").iterdir()] == [".npz"]


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04torn", b"no archive"])
def test_a_damaged_file_is_computed_again(tmp_path: Path, left: bytes) -> None:
    """A machine that lost power may leave a name without its bytes; the episodes of its scene are not lost with it."""
    mesh = surface_of(trimesh.creation.box((0.03, 0.03, 0.05)))
    path = tmp_path / "grasps" / f"{grasp_key(mesh, GRIPPER)}.npz"
    path.parent.mkdir()
    path.write_bytes(left)
    assert len(load_grasps(mesh, GRIPPER, tmp_path)) > 0
    assert path.stat().st_size > len(left)


def test_another_shape_or_gripper_is_another_key() -> None:
    """A cached grasp is never used for something else."""
    small, large = (surface_of(trimesh.creation.box((0.03, 0.03, height))) for height in (0.1, 0.11))
    assert grasp_key(small, GRIPPER) != grasp_key(large, GRIPPER)
    assert grasp_key(small, GRIPPER) != grasp_key(small, GRIPPER.model_copy(update={"openings_m": (0.0, 0.05)}))
