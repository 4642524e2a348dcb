"""Stills of episodes that a person is asked about: small, from recorded states alone, kept under the name of their content."""

import io
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from blueprint_pipeline.episode.arrays import load_arrays
from blueprint_pipeline.episode.record import STRIPS_FOLDER
from blueprint_pipeline.render.strip import NothingToDraw, chosen_rows, draw_strip, first_touch
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.task.outcome import Phase, Recovery
from blueprint_pipeline.workspace.storage import SceneFolder


@pytest.fixture(scope="module")
def folder(one_episode):
    from upath import UPath

    return SceneFolder(UPath(str(one_episode[0])), "small", one_episode[0].parent / "cache")


def test_strip_shows_start_touch_and_end(folder, one_episode):
    """Three pictures that differ, under one caption; the name is the content's, so drawing again changes nothing."""
    _, plan, record, states = one_episode
    name = draw_strip(folder, [record.episode_id, "unknown"], choose_backend("auto"))
    data = folder.read_bytes(name)
    assert name == f"{STRIPS_FOLDER}/{sha256(data).hexdigest()[:16]}.jpg"
    assert draw_strip(folder, [plan.episodes[0].episode_id], choose_backend("auto")) == name
    assert len(folder.files_under(STRIPS_FOLDER)) == 1
    assert len(data) < 60_000
    picture = np.asarray(Image.open(io.BytesIO(data)), dtype=float)
    assert picture.shape == (204, 732, 3)
    start, touch, end = (picture[20:200, 244 * index : 244 * index + 240] for index in range(3))
    assert all(np.abs(one - other).mean() > 1 for one, other in ((start, touch), (touch, end), (start, end)))
    arrays = load_arrays(states, frames=record.frames, n_objects=len(record.object_ids), n_parts=0)
    assert 0 < first_touch(arrays, record.spec.task.target_object) < record.frames
    assert first_touch(arrays, "nothing") == record.frames // 2


def test_failed_tries_are_shown(one_episode):
    """Where each was seen, where the next begins, where the last ends: what a person needs to see the miss and the second try."""
    _, _, record, states = one_episode
    arrays = load_arrays(states, frames=record.frames, n_objects=len(record.object_ids), n_parts=0)
    touch = first_touch(arrays, record.spec.task.target_object)
    assert chosen_rows(arrays, record) == (0, touch, record.frames)
    miss = Recovery(failed_from_frame=0, seen_frame=20, again_frame=30, seen="it is not lifted")
    again = Phase(name="lift_again", start_frame=60, end_frame=80)
    tried = record.model_copy(update={"recoveries": (miss,), "phases": (*record.phases, again)})
    assert chosen_rows(arrays, tried) == (0, 20, 30, 80, record.frames)


def test_where_another_hand_takes_it_is_shown(one_episode):
    """The first row in which a hand touches the target that did not before; hands that touch it at nearly the same time are shown once."""
    _, _, record, states = one_episode
    arrays = load_arrays(states, frames=record.frames, n_objects=len(record.object_ids), n_parts=0)
    touch, target = first_touch(arrays, record.spec.task.target_object), record.spec.task.target_object
    two_armed = record.model_copy(update={"robot": record.robot.model_copy(update={"embodiment": "agibot_g2"})})
    left, right = (f"robot/{arm.gripper.hand_bodies[0]}" for arm in load_embodiment("agibot_g2").arms)
    for second, rows in ((touch + 40, (0, touch, touch + 40, record.frames)), (touch + 5, (0, touch, record.frames))):
        pairs = ["|".join(sorted((target, body))) for body in (left, right)]
        contacts = replace(arrays.contacts, row=np.array([touch, second]), pair=np.array(pairs, dtype=object))
        assert chosen_rows(replace(arrays, contacts=contacts), two_armed) == rows


def test_episodes_without_states_are_named(folder):
    with pytest.raises(NothingToDraw, match="small has no recorded states of ghost"):
        draw_strip(folder, ["ghost"], choose_backend("auto"))
