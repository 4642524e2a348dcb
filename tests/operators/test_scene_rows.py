"""The file of scenes is data that is checked when it is read."""

from datetime import timedelta

import pytest

from operators.scene_params import build_params
from operators.scene_rows import InvalidScenes, load_scene_rows


def test_shipped_file_is_sound():
    """Every row's parameters exist and are within their bounds."""
    rows = load_scene_rows()
    assert rows
    for row in rows:
        assert all(param.resolve() is not None for param in build_params(row.params).values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scenes: [{scene_id: a}, {scene_id: a}]", "scene a stands there more than once"),
        ("scenes: [{scene_id: a, prioritty: 1}]", "scenes.0.prioritty"),
        ("scenes: [{scene_id: ../a}]", "'../a' is not a valid id"),
        ("scenes: [{scene_id: a, pool: gpus}]\npools: {gpu: 2}", "scene a: no pool 'gpus'"),
        ("pools: {gpu: 0}", "pools.gpu"),
        ("scenes: [", "cannot be used"),
        ("scenes: [{scene_id: a, dag: {deadline_h: 0}}]", "scenes.0.dag.deadline_h"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, text, told):
    """A misspelt key must not be ignored."""
    path = tmp_path / "scenes.yaml"
    path.write_text(text)
    with pytest.raises(InvalidScenes, match=told):
        load_scene_rows(path)


def test_own_dag_has_a_deadline(tmp_path):
    """Hours become what Airflow takes."""
    path = tmp_path / "scenes.yaml"
    path.write_text("scenes: [{scene_id: a, dag: {deadline_h: 1.5}}]")
    (row,) = load_scene_rows(path)
    assert row.dag.deadline == timedelta(minutes=90)
    assert row.dag.paused


def test_empty_file_is_no_scenes(tmp_path):
    path = tmp_path / "scenes.yaml"
    path.write_text("")
    assert load_scene_rows(path) == ()
