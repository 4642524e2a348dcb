"""The environment of a kit: what Gymnasium and LeRobot ask of it, and that recorded actions give the recorded states."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from gymnasium.utils.env_checker import check_env

from blueprint_pipeline.dataset.features import ACTION, EE_POSE, OBJECT_POSES, STATE
from blueprint_pipeline.dataset.frames import load_frames
from blueprint_pipeline.kit import trial
from blueprint_pipeline.kit.env import KitEnv
from blueprint_pipeline.kit.world import KitNotUsable
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.twin.robot_cameras import RobotCameras
from tests.kit.conftest import SKILLS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def delivered(small_kit):
    """What the dataset would hold of every episode, by id."""
    cameras = RobotCameras(next(iter(small_kit.records.values())).robot)
    arms = layout_of(load_embodiment("franka_panda"))
    return {name: load_frames(small_kit.states(name), record, arms, cameras) for name, record in small_kit.records.items()}


def test_gymnasium_finds_nothing(small_kit):
    """Its own checker."""
    check_env(KitEnv(small_kit.folder), skip_render_check=True)


def test_recorded_setpoints_give_the_recorded_states_bit_by_bit(small_kit):
    """In float64, as the recording has them; the try ends in success no later than the recording does."""
    env = KitEnv(small_kit.folder, starts="delivered")
    for name in small_kit.records:
        rows = pq.read_table(small_kit.states(name)).to_pydict()
        env.reset(options={"start": name})
        commands = zip(rows["robot_command"], rows["gripper_command_m"], rows["ctrl"], strict=True)
        for frame, (joints, width_m, ctrl) in enumerate(list(commands)[:-1]):
            np.testing.assert_array_equal(env._world.setpoint(np.array([*joints, *width_m])), ctrl)
            _, reward, done, _, info = env.step(np.array([*joints, *width_m]))
            assert env._world.data.qpos.tobytes() == np.array(rows["qpos"][frame + 1]).tobytes()
            if done:
                break
        assert (reward, done, info["is_success"], info["missed"]) == (1.0, True, True, "")


def test_delivered_actions_do_the_task_and_give_the_delivered_columns(small_kit, delivered):
    """The dataset's own float32 actions: rounded, so that states are close and no longer equal."""
    env = KitEnv(small_kit.folder, starts="delivered")
    assert (trial.STATE, trial.OBJECT_POSES, trial.EE_POSE) == (STATE, OBJECT_POSES, EE_POSE)
    for name, frames in delivered.items():
        seen, info = env.reset(options={"start": name})
        for action, *expected in zip(*(frames.vectors[key] for key in (ACTION, STATE, OBJECT_POSES, EE_POSE)), strict=True):
            state, objects, tools = expected
            np.testing.assert_allclose(seen["agent_pos"], state, atol=0.01)
            np.testing.assert_allclose(seen["ee_pose"], tools, atol=0.01)
            places_m = [values.reshape(-1, 7)[:, :3] for values in (seen["environment_state"], objects)]
            np.testing.assert_allclose(*places_m, atol=0.01)  # how a thing turns that is let go hangs on the last bits
            seen, _, done, _, info = env.step(action)
            if done:
                break
        assert info["is_success"]


def test_the_first_observation_is_the_delivered_one(small_kit, delivered):
    """Bit by bit."""
    env = KitEnv(small_kit.folder, starts="delivered")
    for name, frames in delivered.items():
        seen, info = env.reset(options={"start": name})
        for key, column in (("agent_pos", STATE), ("environment_state", OBJECT_POSES), ("ee_pose", EE_POSE)):
            np.testing.assert_array_equal(seen[key], frames.vectors[column][0])
        assert seen["task"] == info["task"] == frames.task


def test_a_try_is_cut_off_and_says_what_was_missed(small_kit):
    """An arm that stands still lifts nothing."""
    env = KitEnv(small_kit.folder, skills=["pick_place"])
    seen, _ = env.reset(seed=3)
    for frame in range(env._max_episode_steps):
        seen, reward, done, cut_off, info = env.step(seen["agent_pos"])
        assert (reward, done, cut_off) == (0.0, False, frame == env._max_episode_steps - 1)
    assert info["missed"] == "lifted"
    assert not info["is_success"]


def test_a_try_in_which_physics_blows_up_is_lost(small_kit):
    """MuJoCo goes on from the model's own start then; what is true there is no success."""
    env = KitEnv(small_kit.folder)
    seen, _ = env.reset(seed=3)
    env._world.data.qvel[:] = 1e12
    _, reward, ended, cut_off, info = env.step(seen["agent_pos"])
    assert (reward, ended, cut_off, info["is_success"], info["missed"]) == (0.0, True, False, False, trial.DIVERGED)
    seen, _ = env.reset(seed=3)
    assert not env.step(seen["agent_pos"])[2]


def test_states_of_another_mujoco_are_refused(small_kit, tmp_path):
    folder = tmp_path / "kit"
    shutil.copytree(small_kit.folder, folder)
    kit = json.loads((folder / "kit.json").read_text()) | {"mujoco": "2.3.7"}
    (folder / "kit.json").write_text(json.dumps(kit))
    with pytest.raises(KitNotUsable, match=r"Made with mujoco 2\.3\.7, and this is .*: pip install mujoco==2\.3\.7"):
        KitEnv(folder)


def test_a_camera_that_is_not_there_is_refused(small_kit):
    with pytest.raises(KitNotUsable, match="There is no camera scen; there are scene, "):
        KitEnv(small_kit.folder, cameras=["scen"])


def test_held_out_starts_are_no_episodes(small_kit):
    """Drawn by seed, of both skills, and different from every delivered start."""
    env = KitEnv(small_kit.folder)
    assert {name.partition("_held_out")[0] for name in env.start_ids} == set(SKILLS)
    assert not set(env.start_ids) & set(small_kit.records)
    first = [env.reset(seed=seed)[0]["environment_state"] for seed in range(8)]
    again = [env.reset(seed=seed)[0]["environment_state"] for seed in range(8)]
    np.testing.assert_array_equal(first, again)
    rows = {name: np.array(pq.read_table(small_kit.states(name))["object_poses"][0].as_py()) for name in small_kit.records}
    assert all(np.abs(seen - start).max() > 1e-3 for seen in first for start in rows.values())


def test_a_start_that_is_not_there_is_refused(small_kit):
    env = KitEnv(small_kit.folder)
    with pytest.raises(ValueError, match="has no start 'nowhere'; it has pick_place_ep000000, "):
        env.reset(options={"start": "nowhere"})
    with pytest.raises(ValueError, match="has no held_out start of stack"):
        KitEnv(small_kit.folder, skills=["stack"])
    with pytest.raises(ValueError, match="starts is 'train'; expected one of held_out, delivered"):
        KitEnv(small_kit.folder, starts="train")


def load_hub_module(path: Path, name: str):
    """As LeRobot 0.4.4 does (``lerobot/envs/utils.py``, ``_load_module_from_path``)."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_the_hub_keeps_it(kit: Path, cache: Path) -> Path:
    """A snapshot in the Hub's cache: every file is a link to a blob."""
    snapshot = cache / "snapshots/0123"
    (cache / "blobs").mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in kit.rglob("*") if path.is_file())):
        blob, link = cache / f"blobs/{number}", snapshot / path.relative_to(kit)
        shutil.copyfile(path, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return snapshot


TRY_OUT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("hub_env_user_repo", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
envs = module.make_env(n_envs=2, use_async_envs=sys.argv[2] == "True")
vector = envs["small"][0]
seen, _ = vector.reset(seed=[0, 1])
seen, reward, *_ = vector.step(seen["agent_pos"])
print({suite: list(tasks) for suite, tasks in envs.items()}, type(vector).__name__, vector.metadata["autoreset_mode"].value)
print(seen["agent_pos"].shape, seen["pixels"]["wrist"].shape, reward.tolist(), *vector.call("_max_episode_steps"))
print(*vector.call("task_description"), sep="; ")
for made in envs["small"].values():
    made.close()
"""
"""Loads ``env.py`` as LeRobot 0.4.4 does (``lerobot/envs/utils.py``, ``_load_module_from_path``)."""


@pytest.mark.parametrize("use_async_envs", [False, True])
def test_lerobots_hub_layout(small_kit, tmp_path, use_async_envs):
    """From a snapshot in the Hub's cache: one vector environment a skill, and no trace beside the modules."""
    snapshot = as_the_hub_keeps_it(small_kit.folder, tmp_path / "cache")
    command = [sys.executable, "-c", TRY_OUT, str(snapshot / "env.py"), str(use_async_envs)]
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}}
    environment["MUJOCO_GL"] = choose_backend("auto")
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    layout, shapes, sentences = ran.stdout.splitlines() or [ran.stderr, "", ""]
    assert layout == f"{{'small': [0, 1]}} {'AsyncVectorEnv' if use_async_envs else 'SyncVectorEnv'} SameStep"
    limit = json.loads((snapshot / "kit.json").read_text())["max_steps"]
    assert shapes == f"(2, 8) (2, 120, 160, 3) [0.0, 0.0] {limit} {limit}"
    assert all(" the " in sentence for sentence in sentences.split("; "))
    assert not (snapshot / "blueprint_kit/__pycache__").exists()


def test_env_py_alone_says_what_to_fetch(small_kit, tmp_path):
    """EnvHub fetches that one file."""
    shutil.copyfile(small_kit.folder / "env.py", tmp_path / "env.py")
    with pytest.raises(FileNotFoundError, match="hf download USER/REPO"):
        load_hub_module(tmp_path / "env.py", "hub_env_alone").make_env()
