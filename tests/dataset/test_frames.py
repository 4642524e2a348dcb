"""The vectors of a dataset come from the right columns and rows, or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import build_vector_features
from blueprint_pipeline.dataset.frames import load_frames, validate_sizes
from blueprint_pipeline.geometry.rotations import continuous_quats
from tests.dataset.conftest import ARMS, OBJECTS, ROBOT_CAMERAS, VECTORS, episode_record, states_table


@pytest.fixture
def states(tmp_path: Path) -> Path:
    pq.write_table(states_table(10, 3), tmp_path / "states.parquet")
    return tmp_path / "states.parquet"


def test_vectors_come_from_their_columns(states: Path) -> None:
    """State, action and poses of frame t are those of row t; the last row, after the last frame, is left out."""
    frames = load_frames(states, episode_record(0, 10, states), ARMS, ROBOT_CAMERAS)
    rows = pq.read_table(states).to_pylist()
    assert frames.length == 10
    for t in (0, 4, 9):
        np.testing.assert_array_equal(
            frames.vectors["observation.state"][t], np.float32([*rows[t]["robot_qpos"], *rows[t]["gripper_width_m"]])
        )
        np.testing.assert_array_equal(frames.vectors["action"][t], np.float32([*rows[t]["robot_command"], *rows[t]["gripper_command_m"]]))
        np.testing.assert_array_equal(frames.vectors["observation.velocity"][t], np.float32(rows[t]["robot_qvel"]))
        np.testing.assert_array_equal(frames.vectors["observation.ee_pose"][t], np.float32(rows[t]["ee_pose"]))
        np.testing.assert_array_equal(frames.vectors["observation.object_pose"][t], np.float32(rows[t]["object_poses"][7:14]))
        np.testing.assert_array_equal(frames.vectors["observation.object_poses"][t], np.float32(rows[t]["object_poses"]))
    validate_sizes(frames, VECTORS)
    names = next(vector.names for vector in VECTORS if vector.key == "observation.object_poses")
    assert (names[0], names[7], len(names)) == ("bowl.x_m", "lemon.x_m", 14)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_quaternions_do_not_jump(seed: int, length: int) -> None:
    """Whatever signs a simulator gives: neighbours stand on one side, rotations stay, row 0 has its largest part positive."""
    rng = np.random.default_rng(seed)
    steps = Rotation.from_rotvec(rng.normal(0, 0.5, (length, 3)))
    turned = [Rotation.random(random_state=seed)]
    for step in steps[1:]:
        turned.append(step * turned[-1])
    raw = Rotation.concatenate(turned).as_quat(scalar_first=True) * rng.choice([-1.0, 1.0], (length, 1))
    found = continuous_quats(raw)
    assert (np.einsum("tc,tc->t", found[1:], found[:-1]) >= 0).all()
    assert found[0, np.abs(found[0]).argmax()] > 0
    np.testing.assert_array_equal(np.abs(found), np.abs(raw))
    assert (np.abs(np.einsum("tc,tc->t", found, raw)) > 1 - 1e-12).all()


def test_statistics_of_a_turning_hand_make_sense(tmp_path: Path) -> None:
    """A hand that looks down and whose recorded quaternion flips in every other frame: the column has no spread where nothing turns."""
    table = states_table(10, 3)
    column = [[*pose[:3], *(np.array(pose[3:]) * (-1) ** row)] for row, pose in enumerate(table.column("ee_pose").to_pylist())]
    path = tmp_path / "states.parquet"
    pq.write_table(table.set_column(table.column_names.index("ee_pose"), "ee_pose", pa.array(column)), path)
    vectors = load_frames(path, episode_record(0, 10, path), ARMS, ROBOT_CAMERAS).vectors
    np.testing.assert_array_equal(vectors["observation.ee_pose"][:, 3:], np.tile(np.float32([0, 1, 0, 0]), (10, 1)))
    np.testing.assert_array_equal(vectors["observation.ee_rotation_6d"], np.tile(np.float32([1, 0, 0, 0, -1, 0]), (10, 1)))


def test_a_missing_row_is_refused(states: Path) -> None:
    """A record that speaks of more frames than there are states is refused."""
    with pytest.raises(EpisodeUnusable, match="number of rows is 11"):
        load_frames(states, episode_record(0, 11, states), ARMS, ROBOT_CAMERAS)


def test_a_value_that_is_not_finite_is_refused(states: Path) -> None:
    """NaN never gets into a dataset."""
    table = states_table(10, 3)
    column = table.column("gripper_width_m").to_pylist()
    column[4] = [float("nan")]
    pq.write_table(table.set_column(table.column_names.index("gripper_width_m"), "gripper_width_m", pa.array(column)), states)
    with pytest.raises(EpisodeUnusable, match="gripper_width_m is not finite"):
        load_frames(states, episode_record(0, 10, states), ARMS, ROBOT_CAMERAS)


def test_rows_of_different_lengths_are_refused(states: Path) -> None:
    """A ragged column is refused, even where its total fits."""
    table = states_table(10, 3)
    column = table.column("robot_qvel").to_pylist()
    column[2], column[3] = [*column[2], 0.0], column[3][:-1]
    pq.write_table(table.set_column(table.column_names.index("robot_qvel"), "robot_qvel", pa.array(column)), states)
    with pytest.raises(EpisodeUnusable, match="lists of one length"):
        load_frames(states, episode_record(0, 10, states), ARMS, ROBOT_CAMERAS)


def test_an_unknown_target_is_refused(states: Path) -> None:
    """The target must be one of the recorded objects."""
    record = episode_record(0, 10, states).model_copy(update={"object_ids": ("bowl", "can")})
    with pytest.raises(EpisodeUnusable, match="lemon"):
        load_frames(states, record, ARMS, ROBOT_CAMERAS)


def test_frames_that_do_not_count_are_refused(states: Path) -> None:
    """Frames that do not count up from 0 are refused."""
    table = states_table(10, 3)
    pq.write_table(table.set_column(0, "frame_index", pa.array([*range(10), 12])), states)
    with pytest.raises(EpisodeUnusable, match="frame_index"):
        load_frames(states, episode_record(0, 10, states), ARMS, ROBOT_CAMERAS)


def test_a_robot_with_more_joints_is_refused(states: Path) -> None:
    """All episodes of a dataset have the same columns."""
    frames = load_frames(states, episode_record(0, 10, states), ARMS, ROBOT_CAMERAS)
    arm = ARMS[0].arm
    longer = arm.model_copy(update={"joints": (*arm.joints, arm.joints[0].model_copy(update={"name": "joint8"}))})
    with pytest.raises(EpisodeUnusable, match=r"observation\.state"):
        validate_sizes(frames, build_vector_features([replace(ARMS[0], arm=longer)], OBJECTS, (), ["wrist"]))
