"""A policy is tried in a kit: what is counted, what is refused, and that what was learnt comes back from its file."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.dataset.frames import load_frames
from blueprint_pipeline.kit.starts import load_starts
from blueprint_pipeline.kit.world import World
from blueprint_pipeline.policy.baseline import BaselinePolicy, load_baseline, save_baseline, train_baseline, validate_target
from blueprint_pipeline.policy.columns import COLUMNS, Episode, TeachingSet, load_columns
from blueprint_pipeline.policy.errors import (
    ActionRefused,
    DatasetNotTeachable,
    KitRefused,
    NoHeldOutStart,
    NoPolicyKit,
    PolicyFailed,
    PolicyNotLoaded,
    PolicyNotWritten,
    SentenceNotRead,
    TooFewDemonstrations,
)
from blueprint_pipeline.policy.evaluate import describe_evaluation, evaluate, find_kit
from blueprint_pipeline.policy.kinematics import ToolKinematics
from blueprint_pipeline.policy.load import load_policy
from blueprint_pipeline.policy.observation import read_sentence
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.task.variation import Variation
from blueprint_pipeline.twin.robot_cameras import RobotCameras

pytestmark = pytest.mark.slow


def stand_still(observation):
    """Hold the arm where it is."""
    return observation["observation.state"]


class Player:
    """Gives what was recorded, whatever it sees: each trial the next episode."""

    def __init__(self, episodes):
        self.episodes, self.number = episodes, -1

    def reset(self):
        self.number, self.frame = self.number + 1, -1

    def __call__(self, observation):
        actions = self.episodes[self.number].vectors["action"]
        self.frame = min(self.frame + 1, len(actions) - 1)
        return actions[self.frame]


@pytest.fixture(scope="module")
def bundle(small_kit):
    return small_kit.folder.parents[1]


@pytest.fixture(scope="module")
def taught(small_kit):
    """The columns that the dataset of the kit's episodes would have."""
    records = list(small_kit.records.values())
    arms, cameras = layout_of(load_embodiment("franka_panda")), RobotCameras(records[0].robot)
    frames = [load_frames(small_kit.states(record.episode_id), record, arms, cameras) for record in records]
    episodes = [Episode(sentence=item.task, vectors={name: item.vectors[name].astype(float) for name in COLUMNS}) for item in frames]
    return TeachingSet(object_ids=records[0].object_ids, episodes=tuple(episodes))


def test_who_stands_still_never_succeeds(small_kit):
    """Each trial says what was missed, and the interval is Wilson's of 0 of 4."""
    found = evaluate(small_kit.folder, stand_still, name="still", trials=4)
    assert (found.successes, found.share) == (0, 0.0)
    assert found.interval == pytest.approx((0.0, 0.4899), abs=1e-4)
    assert found.missed == {"lifted": 2, "in_region": 2}
    assert describe_evaluation(found) == "0 of 4 held-out starts succeed, 0% (95 % interval 0% to 49%); missed first: lifted 2, in_region 2"


def test_who_does_the_task_succeeds(small_kit, taught, tmp_path):
    """The demonstrations themselves, from their own starts told as held-out ones."""
    for path in small_kit.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "starts.json").unlink()
    rows = [row | {"delivered": False} for row in json.loads((small_kit.folder / "starts.json").read_text()) if row["delivered"]]
    (tmp_path / "starts.json").write_text(json.dumps(rows))
    told = []
    found = evaluate(tmp_path, Player(taught.episodes), name="player", trials=4, on_trial=told.append)
    assert (found.successes, found.missed) == (4, {})
    assert tuple(told) == found.trials


def test_what_is_no_action_is_refused(small_kit):
    for given, said in ((np.zeros(3), r"shape \(3,\)"), (np.full(8, np.nan), "not finite"), ("left", "str"), (None, "frame 0; expected 8")):
        with pytest.raises(ActionRefused, match=said):
            evaluate(small_kit.folder, lambda _, given=given: given, name="bad", trials=1)


def test_a_policy_that_raises_is_told_with_its_place(small_kit):
    """And with what it may read."""

    def wrong(observation):
        return observation["observation.velocity"]

    with pytest.raises(
        PolicyFailed, match=r"frame 0 with KeyError\('observation.velocity'\), at .*test_evaluate.py:\d+.*observation.ee_pose"
    ):
        evaluate(small_kit.folder, wrong, name="wrong", trials=1)


def test_more_trials_than_starts_are_refused(small_kit):
    with pytest.raises(NoHeldOutStart, match="has 4 held-out starts; 5 trials were asked for"):
        evaluate(small_kit.folder, stand_still, name="still", trials=5)


def test_doors(small_kit, tmp_path):
    """A folder without a kit, and names that are no policy."""
    with pytest.raises(NoPolicyKit, match=r"has no data/replay/kit\.json"):
        find_kit(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    for name in ("nowhere.npz", str(tmp_path / "broken.npz"), "left", "json:nothing", "no.such.module:x", "json:__name__"):
        with pytest.raises(PolicyNotLoaded):
            load_policy(name, small_kit.folder)


def test_a_camera_that_is_not_there_is_refused_before_the_first_trial(small_kit):
    with pytest.raises(KitRefused, match="it has no camera scen; it has scene, "):
        evaluate(small_kit.folder, stand_still, name="still", trials=1, cameras=["scen"])


class Onlooker:
    """Keeps what it saw first in each trial."""

    def __init__(self):
        self.seen, self.new = [], True

    def reset(self):
        self.new = True

    def __call__(self, observation):
        if self.new:
            self.seen.append(observation["observation.images.scene"])
            self.new = False
        return observation["observation.state"]


def test_a_policy_sees_each_varied_scene_as_the_simulator_draws_it(small_kit):
    """Without a screen and without a word about what draws."""
    seen = Onlooker()
    evaluate(small_kit.folder, seen, name="look", trials=2, cameras=("scene",))
    held_out = [start for start in load_starts(small_kit.folder).values() if not start.delivered][:2]
    simulator = MujocoSimulator()
    simulator.load(small_kit.mjcf.parent, next(iter(small_kit.records.values())).robot, 30)
    for start, picture in zip(held_out, seen.seen, strict=True):
        simulator.vary(Variation.model_validate(start.variation))
        simulator.restore_state(start.integration_state)
        np.testing.assert_array_equal(picture, simulator.render("scene", 160, 120))
    assert np.abs(seen.seen[0].astype(int) - seen.seen[1]).mean() > 1


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda row: row.pop("variation"), "damaged"),
        (lambda row: row["variation"].pop("friction"), "lacks friction"),
        (lambda row: row["variation"].update(friction=float("nan")), "all numbers finite"),
        (lambda row: row["variation"].update(friction=-1.0), "factors are positive"),
        (lambda row: row["variation"]["masses"].update(ghost=1.5), "of 'ghost', which the scene does not have"),
        (lambda row: row["variation"]["view"].update(fovy_deg=400.0), "no lens"),
        (lambda row: row["variation"].update(light_tint=[1.0, "red", 1.0]), "another form"),
    ],
)
def test_a_damaged_start_is_refused_in_words(small_kit, tmp_path, damage, told):
    shutil.copytree(small_kit.folder, tmp_path / "kit")
    path = tmp_path / "kit/starts.json"
    rows = json.loads(path.read_text())
    damage(next(row for row in rows if not row["delivered"]))
    path.write_text(json.dumps(rows))
    with pytest.raises(KitRefused, match=told):
        evaluate(tmp_path / "kit", stand_still, name="still", trials=1)


def test_a_side_is_no_name(small_kit):
    """``drawer_left`` is no object that "to the left of" names."""
    sentence = read_sentence("put the red can to the left of the green box", ("red_can", "green_box", "mug_left", "counter/drawer_left"))
    assert (sentence.target, sentence.reference, sentence.words) == (0, 1, ("left of",))


@pytest.mark.parametrize(("name", "told"), [("policy", "does not end in .npz"), ("missing/policy.npz", "there is no folder")])
def test_what_cannot_be_written_is_refused_before_anything_is_learnt(tmp_path, name, told):
    with pytest.raises(PolicyNotWritten, match=told):
        validate_target(tmp_path / name)


@pytest.mark.parametrize(
    ("sentence", "object_ids", "told"),
    [
        ("put the mug to the left", ("thing_7", "red_can"), "names none of the objects"),
        ("put the red bowl to the left", ("red_bowl", "blue_bowl"), "two objects have the same name"),
        ("open the top drawer", ("can", "chest/upper_drawer", "chest/lower_drawer"), "two objects have the same name"),
        ("open the cabinet door", ("can", "cabinet/door"), "names a part"),
    ],
)
def test_sentences_that_the_baseline_would_misread_are_refused(sentence, object_ids, told):
    """It would learn to handle something else."""
    with pytest.raises(SentenceNotRead, match=told):
        read_sentence(sentence, object_ids)


def test_inverse_kinematics_finds_what_forward_kinematics_gives(small_kit):
    """Within half a millimetre, from joints a little off."""
    kinematics, rng = ToolKinematics(small_kit.folder, 0), np.random.default_rng(0)
    home = np.array(load_embodiment("franka_panda").arms[0].default_qpos_rad)
    for _ in range(20):
        joints = home + rng.uniform(-0.3, 0.3, 7)
        wanted = kinematics.forward(joints)
        found = kinematics.inverse(wanted, home)
        assert found is not None
        np.testing.assert_allclose(kinematics.forward(found), wanted, atol=6e-3)
        assert np.linalg.norm((kinematics.forward(found) - wanted)[:3, 3]) < 6e-4
    assert kinematics.inverse(wanted + np.eye(4)[:, [3]] @ np.ones((1, 4)) * 5.0, home) is None


def test_forward_kinematics_are_those_of_the_recording(small_kit, taught):
    """The tool's recorded pose, from the recorded joints."""
    kinematics, world = ToolKinematics(small_kit.folder, 0), World(small_kit.folder)
    row = {name: values[40] for name, values in taught.episodes[0].vectors.items()}
    found = kinematics.pose_world_base @ kinematics.forward(row["observation.state"][:7])
    np.testing.assert_allclose(found[:3, 3], row["observation.ee_pose"][:3], atol=1e-5)
    assert world.arms[0].name == "arm"


def test_what_was_learnt_comes_back_from_its_file(small_kit, taught, tmp_path):
    """The same actions, bit by bit; two demonstrations a skill teach little, and it acts all the same."""
    learnt = train_baseline(taught, small_kit.folder, steps=5)
    save_baseline(tmp_path / "policy.npz", learnt)
    start = next(iter(load_starts(small_kit.folder).values()))
    seen = {name: values[0] for name, values in taught.episodes[0].vectors.items()} | {"task": start.instruction}
    first, second = BaselinePolicy(learnt, small_kit.folder), BaselinePolicy(load_baseline(tmp_path / "policy.npz"), small_kit.folder)
    for _ in range(50):
        np.testing.assert_array_equal(first(seen), second(seen))


def test_a_single_demonstration_is_too_few(small_kit, taught):
    with pytest.raises(TooFewDemonstrations, match="1 of 1 demonstrations pause equally often"):
        train_baseline(replace(taught, episodes=taught.episodes[:1]), small_kit.folder)


def write_dataset(folder, taught):
    """The files of a LeRobot v3.0 dataset that the baseline reads."""
    (folder / "meta").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    names = [f"{name}.{part}" for name in taught.object_ids for part in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")]
    features = {name: {"names": names if name.endswith("object_poses") else None} for name in COLUMNS}
    count = len(taught.episodes)
    info = {"codebase_version": "v3.0", "splits": {"train": f"0:{count - 1}", "val": f"{count - 1}:{count}"}, "features": features}
    (folder / "meta/info.json").write_text(json.dumps(info))
    sentences = [episode.sentence for episode in taught.episodes]
    pq.write_table(pa.table({"task_index": range(count), "task": sentences}), folder / "meta/tasks.parquet")
    lengths = [len(episode.vectors["action"]) for episode in taught.episodes]
    index = np.repeat(np.arange(count), lengths)
    columns = {name: np.concatenate([episode.vectors[name] for episode in taught.episodes]).astype(np.float32).tolist() for name in COLUMNS}
    table = pa.table({"episode_index": index, "task_index": index, **columns})
    pq.write_table(table, folder / "data/chunk-000/file-000.parquet")
    return info


def test_columns_are_read_from_a_dataset(taught, tmp_path):
    """All training episodes and none of ``val``; a missing column is named."""
    info = write_dataset(tmp_path, taught)
    found = load_columns(tmp_path)
    assert found.object_ids == taught.object_ids
    assert [episode.sentence for episode in found.episodes] == [episode.sentence for episode in taught.episodes[:-1]]
    for read, known in zip(found.episodes, taught.episodes, strict=False):
        for name in COLUMNS:
            np.testing.assert_array_equal(read.vectors[name], known.vectors[name])
    del info["features"]["action"]
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DatasetNotTeachable, match="columns are missing: action"):
        load_columns(tmp_path)
    with pytest.raises(DatasetNotTeachable, match=r"there is no meta/info\.json"):
        load_columns(tmp_path / "meta")


def test_the_commands_train_and_try(bundle, taught, tmp_path):
    """From a bundle's folder to a file, and from that to a share with its interval, as JSON."""
    (tmp_path / "bundle/data").mkdir(parents=True)
    (tmp_path / "bundle/data/replay").symlink_to(bundle / "data/replay")
    write_dataset(tmp_path / "bundle/data/dataset/v3.0", replace(taught, episodes=taught.episodes * 2))
    runner, out = CliRunner(), tmp_path / "policy.npz"
    made = runner.invoke(app, ["policy", "train-baseline", str(tmp_path / "bundle"), "--out", str(out), "--steps", "5", "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["episodes"] == 7
    tried = runner.invoke(app, ["policy", "evaluate", str(tmp_path / "bundle"), "--policy", str(out), "--trials", "2", "--json"])
    assert tried.exit_code == 0, tried.output
    found = json.loads(tried.stdout)
    assert len(found["trials"]) == 2
    assert sum(found["missed"].values()) == 2 - found["successes"]


def test_a_callable_of_a_module_is_tried(bundle, tmp_path):
    """As people call the program."""
    (tmp_path / "mine.py").write_text("def act(observation):\n    return observation['observation.state']\n")
    command = [sys.executable, "-m", "blueprint_pipeline", "policy", "evaluate", str(bundle), "--policy", "mine:act", "--trials", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("0 of 1 held-out starts succeed, 0% (95 % interval 0% to 79%); missed first: lifted 1")
