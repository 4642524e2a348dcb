"""Recordings are read as they are, and anything that is not in the format is found."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.episode.arrays import check_table, load_arrays
from blueprint_pipeline.episode.errors import RecordingUnreadable


def findings(table, frames=250):
    return check_table(table, frames=frames, n_objects=2, n_parts=0)


def test_a_sound_recording_has_no_findings_and_keeps_its_numbers(episode, tmp_path):
    pq.write_table(episode.table(), tmp_path / "states.parquet")
    arrays = load_arrays(tmp_path / "states.parquet", frames=250, n_objects=2, n_parts=0)
    assert arrays.frames == 250
    assert arrays.object_poses.shape == (251, 2, 7)
    assert arrays.robot_qpos.tolist() == episode.columns["robot_qpos"]
    assert len(arrays.contacts.pair) == sum(len(pairs) for pairs in episode.columns["contact_bodies"])
    assert arrays.contacts.row[-1] == 250


def drop(table, name):
    return table.drop_columns([name])


def recast(table, name, dtype):
    return table.set_column(table.schema.get_field_index(name), name, table[name].cast(dtype))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: drop(t, "qvel"), "qvel"),
        (lambda t: t.append_column("extra", pa.array([0] * t.num_rows)), "extra"),
        (lambda t: recast(t, "qpos", pa.list_(pa.float32())), "qpos"),
        (lambda t: recast(t, "frame_index", pa.int32()), "frame_index"),
        (lambda t: t.slice(0, 200), "200 rows"),
        (lambda t: t.slice(0, 0), "no rows"),
    ],
)
def test_tables_of_another_form_are_found(episode, change, told):
    assert told in "; ".join(findings(change(episode.table())))


def put(name, row, value):
    def change(columns):
        columns[name][row] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("time_s", 3, float("nan")), "time_s has a value that is not finite"),
        (put("time_s", 3, float("inf")), "time_s has a value that is not finite"),
        (put("time_s", 3, None), "time_s: 1 rows are null"),
        (put("robot_qpos", 3, [0.0] * 6), "robot_qpos has 6 to 7 numbers a row"),
        (put("robot_qvel", 3, [float("inf")] * 7), "robot_qvel has a value that is not finite"),
        (put("ctrl", 3, [None] * 8), "ctrl has a value that is not finite"),
        (put("ee_pose", 3, [0, 0, 0, 2, 0, 0, 0]), "ee_pose has a quaternion of norm 2"),
        (put("integration_state", 0, None), "integration_state of row 0"),
        (put("integration_state", 5, [1.0]), "integration_state stands in rows other than 0"),
        (put("contact_depth_m", 0, []), "differ in length"),
        (put("contact_force_n", 0, [-1.0, 1.0]), "contact_force_n"),
        (put("contact_bodies", 0, ["can", "bowl|table"]), "contact_bodies has 'can'"),
    ],
)
def test_bad_values_are_found(episode, change, told):
    change(episode.columns)
    assert told in "; ".join(findings(episode.table()))


NEVER = ("robot_torque", "actuator_force", "contact_force_n")


def without_efforts(episode):
    for name in NEVER:
        episode.columns[name] = [[float("nan")] * len(row) for row in episode.columns[name]]


def test_what_nobody_measured_holds_no_number(episode):
    """Where the simulator says that it tells none: nothing else passes, neither a number there nor a gap elsewhere."""
    without_efforts(episode)
    assert check_table(episode.table(), frames=250, n_objects=2, n_parts=0, unmeasured=frozenset(NEVER)) == []
    told = "; ".join(findings(episode.table()))
    assert all(f"{name} has a value that is not finite" in told for name in NEVER)


@pytest.mark.parametrize("name", NEVER)
def test_a_number_that_nobody_measured_is_found(episode, name):
    without_efforts(episode)
    row = next(index for index, values in enumerate(episode.columns[name]) if values)
    episode.columns[name][row] = [0.0] * len(episode.columns[name][row])
    found = check_table(episode.table(), frames=250, n_objects=2, n_parts=0, unmeasured=frozenset(NEVER))
    assert found == [f"{name} has a value, and its simulator measures none"]


def test_widths_that_do_not_fit_together_are_found(episode):
    episode.columns["object_poses"] = [row[:7] for row in episode.columns["object_poses"]]
    assert "object_poses has 7 numbers a row, expected 14" in "; ".join(findings(episode.table()))
    episode.columns["object_poses"] = np.tile([0, 0, 0, 1.0, 0, 0, 0] * 2, (251, 1)).tolist()
    episode.columns["robot_torque"] = [[1.0]] * 251
    assert "joint columns differ in size" in "; ".join(findings(episode.table()))
    episode.columns["qpos"] = [[]] * 251
    assert "qpos is empty" in "; ".join(findings(episode.table()))


def test_what_is_no_parquet_file_is_refused(tmp_path, episode):
    (tmp_path / "states.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(RecordingUnreadable, match="no readable parquet file"):
        load_arrays(tmp_path / "states.parquet", frames=1, n_objects=1, n_parts=0)
    pq.write_table(episode.table(), tmp_path / "states.parquet")
    with pytest.raises(RecordingUnreadable, match="251 rows, expected 11"):
        load_arrays(tmp_path / "states.parquet", frames=10, n_objects=2, n_parts=0)
