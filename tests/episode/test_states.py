"""Recorded states as a replay reads them: what is damaged is refused, and never read askew."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.episode.states import StatesUnreadable, load_motion, load_poses

ROWS = [[1.0] * 7] * 4


def write(path, **columns):
    names = ("qpos", "qvel", "ctrl", "robot_qpos", "robot_qvel", "gripper_width_m", "object_poses")
    table = {name: pa.array(columns.get(name, ROWS), pa.list_(pa.float64())) for name in names}
    table["integration_state"] = pa.array([[0.0], None, None, None], pa.list_(pa.float64()))
    pq.write_table(pa.table(table), path)
    return path


def test_whole_states_are_read(tmp_path):
    path = write(tmp_path / "states.parquet")
    assert load_motion(path).qpos.shape == (4, 7)
    assert load_poses(path).object_poses.shape == (4, 1, 7)


@pytest.mark.parametrize(("name", "load"), [("qpos", load_motion), ("ctrl", load_motion), ("object_poses", load_poses)])
def test_rows_of_unequal_length_are_refused(tmp_path, name, load):
    """Together these fill a table of four rows, in which every number of rows 2 and 3 stands in the wrong place."""
    path = write(tmp_path / "states.parquet", **{name: [[1.0] * 7, [2.0] * 6, [3.0] * 8, [4.0] * 7]})
    with pytest.raises(StatesUnreadable, match="unequal length"):
        load(path)
