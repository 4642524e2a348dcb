"""Isaac Lab Mimic's file: what it holds is what was recorded, cut where the phases end, and each rule of its consumers finds its breach."""

import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from blueprint_pipeline.dataset.contract import DatasetSpec
from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import build_vector_features
from blueprint_pipeline.dataset.frames import Recorded, load_frames
from blueprint_pipeline.dataset.layout import DATASET_PATH
from blueprint_pipeline.dataset.read import check_dataset, describe_dataset
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.writer import DatasetWriter
from blueprint_pipeline.episode.record import STATE_COLUMNS, EpisodeRecord, recording_path
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos, layout_of
from blueprint_pipeline.skill.hand_over import HandOverTask
from blueprint_pipeline.skill.hands import hands_of
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import Phase
from blueprint_pipeline.twin.robot_cameras import load_robot_cameras
from blueprint_pipeline.twin.robot_tools import load_robot_tools
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import ARMS, FPS, PLACEMENT, ROBOT_CAMERAS, dataset_spec, load_json, stage_context, tool_poses
from tests.dataset.mimic_case import REQUEST, copy_with_phases, grasp_end, write_mimic

h5py = pytest.importorskip("h5py", reason="h5py is in requirements.txt: make install")
from blueprint_pipeline.dataset.mimic import MimicWriter  # noqa: E402 -- it needs h5py

INFO = "data/demo_1/obs/datagen_info"
GRASP = f"{INFO}/subtask_term_signals/grasp"


@pytest.fixture(scope="module")
def case(scene_with_episodes: SceneFolder, tmp_path_factory: pytest.TempPathFactory) -> SceneFolder:
    """Six kept episodes with all phases. Read only."""
    return copy_with_phases(scene_with_episodes, tmp_path_factory.mktemp("mimic"))


@pytest.fixture(scope="module")
def written(case: SceneFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their folder in Mimic's format. Read only."""
    return write_mimic(case, tmp_path_factory.mktemp("written"))


def recorded(case: SceneFolder, index: int) -> Recorded:
    folder = Path(case.root.path) / recording_path(index // 4, f"ep_{index:04d}")
    return Recorded(EpisodeRecord.model_validate_json((folder / "episode.json").read_text()), folder / "states.parquet")


def column(found: Recorded, name: str) -> np.ndarray:
    return np.array(pq.read_table(found.states, columns=[name])[name].to_pylist())


def test_what_is_written_breaks_no_rule(written: Path) -> None:
    """And says what it is."""
    assert check_dataset(written) == []
    found = describe_dataset(written)
    assert (found.version, found.robot_type, found.fps, found.episodes, found.frames) == ("mimic", "franka_panda", FPS, 6, 285)
    assert found.features["obs/joint_pos"] == {"dtype": "float32", "shape": [7]}


def test_nothing_is_lost_that_a_replay_needs(case: SceneFolder, written: Path) -> None:
    """States, controls and the saved state are the recording's doubles, bit by bit."""
    with h5py.File(written / "dataset.hdf5") as file:
        for index in range(6):
            source, demo = recorded(case, index), file[f"data/demo_{index}"]
            states = np.hstack([column(source, name).reshape(source.record.frames + 1, -1) for name in ("time_s", "qpos", "qvel")])
            assert np.array_equal(demo["states"], states[:-1])
            assert np.array_equal(demo["replay/ctrl"], column(source, "ctrl")[:-1])
            saved = pq.read_table(source.states, columns=["integration_state"])["integration_state"][0].as_py()
            assert np.array_equal(demo["replay/integration_state"], saved)
            assert np.array_equal(demo["processed_actions"][:, :7], column(source, "robot_command")[:-1])
            assert demo.attrs["seed"] == source.record.spec.seed


def test_a_row_holds_where_things_are_and_where_the_action_leads(case: SceneFolder, written: Path) -> None:
    """Poses at the start of the frame; the target pose is that of the tool at the commanded joints; what comes next is the row after."""
    source = recorded(case, 2)
    with h5py.File(written / "dataset.hdf5") as file:
        demo = file["data/demo_2"]
        at, wanted = (demo[f"obs/datagen_info/{kind}/arm"][()] for kind in ("eef_pose", "target_eef_pose"))
        np.testing.assert_allclose(at[:, :3, 3], column(source, "ee_pose")[:-1, :3], atol=1e-6)
        reached = tool_poses(PLACEMENT, column(source, "robot_command"))[:-1]
        np.testing.assert_allclose(wanted[:, :3, 3], reached[:, :3], atol=1e-6)
        assert np.abs(wanted[:, :3, 3] - at[:, :3, 3]).max() > 1e-4
        bowl, lemon = np.split(column(source, "object_poses"), 2, axis=1)
        np.testing.assert_allclose(demo["obs/datagen_info/object_pose/target"][:, :3, 3], lemon[:-1, :3], atol=1e-6)
        np.testing.assert_allclose(demo["obs/datagen_info/object_pose/bowl"][:, :3, 3], bowl[:-1, :3], atol=1e-6)
        np.testing.assert_allclose(demo["obs/datagen_info/object_pose/goal"][:, :3, 3], np.tile((0.5, 0.1, 0.8), (46, 1)), atol=1e-6)
        assert np.array_equal(demo["next_obs/joint_pos"][-1], column(source, "robot_qpos")[-1].astype(np.float32))


def test_a_subtask_ends_where_its_last_phase_does(case: SceneFolder, written: Path) -> None:
    """As Mimic cuts it: two past the last frame in which its signal is 0."""
    with h5py.File(written / "dataset.hdf5") as file:
        for index in range(6):
            signal = file[f"data/demo_{index}/obs/datagen_info/subtask_term_signals/grasp"][()]
            end = grasp_end(recorded(case, index).record.frames)
            assert int(np.flatnonzero(~signal)[-1]) + 2 == end
            assert signal[end - 1 :].all()


def test_written_again_it_is_the_same(case: SceneFolder, written: Path, tmp_path: Path) -> None:
    """To the byte, with no unfinished file left."""
    again = write_mimic(case, tmp_path)
    assert digest_files(again, list_files(again)) == digest_files(written, list_files(written))
    assert not list(again.rglob("*.part"))


def test_nobody_sees_a_file_that_is_not_whole(case: SceneFolder, tmp_path: Path) -> None:
    """Until the last demonstration is in, it has another name."""
    writer = DatasetWriter(tmp_path, dataset_spec(), formats=("mimic",))
    found = recorded(case, 0)
    writer.add(load_frames(found.states, found.record, ARMS, ROBOT_CAMERAS), {}, {})
    assert not (tmp_path / "mimic/dataset.hdf5").exists()
    writer.close()
    assert check_dataset(tmp_path / "mimic") == []


def test_it_is_written_where_it_is_asked_for(case: SceneFolder, written: Path, tmp_path: Path) -> None:
    """Otherwise there is no trace of it; the cards name what stands beside them."""
    from blueprint_pipeline.dataset.stages import WRITE_DATASET

    WRITE_DATASET.run(REQUEST.model_copy(update={"more_formats": ()}), stage_context(case, tmp_path))
    assert sorted(path.name for path in (tmp_path / DATASET_PATH).iterdir()) == ["v2.1", "v3.0"]
    assert "The same frames are written as LeRobot v2.1.\n" in (tmp_path / DATASET_PATH / "v3.0/README.md").read_text()
    card = (written / "README.md").read_text()
    assert "The same frames are written as LeRobot v3.0 and LeRobot v2.1.\n" in card
    assert yaml.safe_load(card.split("---")[1])["tags"][:2] == ["robomimic", "Isaac Lab"]


def test_an_episode_that_left_a_subtask_out_is_refused(case: SceneFolder, tmp_path: Path) -> None:
    """Its cut would be at no end of anything."""
    found = recorded(case, 0)
    frames = load_frames(found.states, found.record.model_copy(update={"phases": found.record.phases[:4]}), ARMS, ROBOT_CAMERAS)
    writer = DatasetWriter(tmp_path, dataset_spec(), formats=("mimic",))
    with pytest.raises(EpisodeUnusable, match="phases is those of grasp, expected those of grasp, place"):
        writer.add(frames, {}, {})
    with pytest.raises(EpisodeUnusable, match="recording is absent"):
        writer.add(replace(frames, recorded=None), {}, {})


Mutation = Callable[[object], None]


def assign(path: str, change: Callable[[np.ndarray], object]) -> Mutation:
    """Write other values to an array, in its place and of whatever type they are."""

    def mutate(file: object) -> None:
        values = change(file[path][()])
        del file[path]
        file[path] = values

    return mutate


def attribute(path: str, name: str, value: object) -> Mutation:
    return lambda file: file[path].attrs.__setitem__(name, value)


def conventions(change: Callable[[dict], None]) -> Mutation:
    """Change what the file says of itself."""

    def mutate(file: object) -> None:
        known = json.loads(file["data"].attrs["blueprint_pipeline"])
        change(known)
        file["data"].attrs["blueprint_pipeline"] = json.dumps(known)

    return mutate


def remove(path: str) -> Mutation:
    return lambda file: file.__delitem__(path)


def put(values: np.ndarray, index: object, value: object) -> np.ndarray:
    values = values.copy()
    values[index] = value
    return values


MUTATIONS: dict[str, tuple[str, Mutation]] = {
    "quaternions of another version": ("mimic.version", attribute("/", "format_version", 0)),
    "no name of an environment": ("mimic.environment", attribute("data", "env_args", json.dumps({"env_name": "", "type": 2}))),
    "a gap in the numbers": ("mimic.numbering", lambda file: file["data"].move("demo_2", "demo_9")),
    "a wrong total": ("mimic.total", attribute("data", "total", 284)),
    "a mask of nobody": ("mimic.mask", assign("mask/train", lambda names: np.append(names, b"demo_7"))),
    "nobody trains": ("mimic.mask", assign("mask/train", lambda names: names[:-1])),
    "not in the mask of its skill": ("mimic.mask", assign("mask/pick_place", lambda names: names[1:])),
    "a column more": ("mimic.columns", assign("data/demo_1/obs/object", lambda values: np.hstack([values, values[:, :1]]))),
    "lengths that only add up": ("mimic.length", lambda file: _shift_length(file, "data/demo_1", "data/demo_2")),
    "a row less": ("mimic.length", assign("data/demo_1/obs/joint_vel", lambda values: values[:-1])),
    "a signal too short": ("mimic.length", assign(GRASP, lambda values: values[:-1])),
    "success in words": ("mimic.attributes", attribute("data/demo_1", "success", "yes")),
    "a text": ("mimic.no_numbers", lambda file: file["data/demo_1"].__setitem__("note", "text")),
    "not finite": ("mimic.not_finite", assign("data/demo_1/obs/joint_pos", lambda values: put(values, (3, 2), np.nan))),
    "actions of double size": ("mimic.actions", assign("data/demo_1/actions", lambda values: values.astype(np.float64))),
    "an action out of range": ("mimic.actions", assign("data/demo_1/actions", lambda values: put(values, (3, 2), 1.01))),
    "a command that is another": ("mimic.actions", assign("data/demo_1/processed_actions", lambda values: put(values, (3, 2), 0.9))),
    "a command of half size": ("mimic.actions", assign("data/demo_1/processed_actions", lambda values: values.astype(np.float32))),
    "nothing after": ("mimic.observations", remove("data/demo_1/next_obs/eef_pos")),
    "after is before": ("mimic.observations", lambda file: _same(file, "data/demo_1/next_obs/eef_pos", "data/demo_1/obs/eef_pos")),
    "an end too early": ("mimic.ends", assign("data/demo_1/dones", lambda values: np.roll(values, -1))),
    "an unearned reward": ("mimic.ends", assign("data/demo_1/rewards", lambda values: put(values, 3, 1.0))),
    "no datagen_info": ("mimic.no_datagen_info", remove(INFO)),
    "no pose of the arm": ("mimic.pose_missing", remove(f"{INFO}/eef_pose/arm")),
    "no pose of where it should be": ("mimic.pose_missing", remove(f"{INFO}/target_eef_pose/arm")),
    "no pose of what is referred to": ("mimic.pose_missing", remove(f"{INFO}/object_pose/goal")),
    "poses as doubles": ("mimic.pose", assign(f"{INFO}/object_pose/bowl", lambda values: values.astype(np.float64))),
    "a pose that stretches": ("mimic.pose", assign(f"{INFO}/eef_pose/arm", lambda values: put(values, (3, 0, 0), 2.0))),
    "a pose in a mirror": ("mimic.pose", assign(f"{INFO}/eef_pose/arm", lambda values: values * np.float32([[1], [1], [-1], [1]]))),
    "a pose with another last row": ("mimic.pose", assign(f"{INFO}/eef_pose/arm", lambda values: put(values, (3, 3, 3), 0.5))),
    "no signal": ("mimic.signal_missing", remove(GRASP)),
    "a signal that falls": ("mimic.signal", assign(GRASP, lambda values: put(values, -1, 0))),
    "a signal that is up at once": ("mimic.signal", assign(GRASP, np.ones_like)),
    "a signal that never rises": ("mimic.signal", assign(GRASP, np.zeros_like)),
    "a signal of other numbers": ("mimic.signal", assign(GRASP, lambda values: values.astype(int) * 2)),
    "a cut at the end": ("mimic.cuts", assign(GRASP, lambda values: np.arange(len(values)) == len(values) - 1)),
    "an offset beyond the end": ("mimic.cuts", conventions(lambda known: _subtasks(known)[0].update(subtask_term_offset_range=[0, 60]))),
    "a name that is used twice": (
        "mimic.signal_names",
        conventions(lambda known: known["subtask_configs"]["pick_place"].update(other=known["subtask_configs"]["pick_place"]["arm"])),
    ),
    "a signal of the last subtask": ("mimic.signal_names", conventions(lambda known: _subtasks(known)[1].update(subtask_term_signal="x"))),
    "two rows at the start": (
        "mimic.initial_state",
        assign("data/demo_1/initial_state/rigid_object/bowl/root_pose", lambda values: np.vstack([values, values])),
    ),
    "a quaternion w, x, y, z": (
        "mimic.initial_state",
        assign("data/demo_1/initial_state/rigid_object/bowl/root_pose", lambda values: values[:, [0, 1, 2, 6, 3, 4, 5]]),
    ),
    "fingers without a position": (
        "mimic.initial_state",
        assign("data/demo_1/initial_state/articulation/robot/joint_position", lambda values: values[:, :7]),
    ),
    "states of half size": ("mimic.replay", assign("data/demo_1/states", lambda values: values.astype(np.float32))),
    "no saved state": ("mimic.replay", remove("data/demo_1/replay/integration_state")),
    "no rewards at all": ("mimic.unreadable", remove("data/demo_1/rewards")),
}


def _same(file: object, path: str, other: str) -> None:
    del file[path]
    file[path] = file[other][()]


def _shift_length(file: object, path: str, other: str) -> None:
    file[path].attrs["num_samples"] -= 1
    file[other].attrs["num_samples"] += 1


def _subtasks(known: dict) -> list[dict]:
    return known["subtask_configs"]["pick_place"]["arm"]


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_rule_finds_its_breach(written: Path, tmp_path: Path, name: str) -> None:
    """Nothing but what was changed is wrong, and it is found."""
    code, mutate = MUTATIONS[name]
    shutil.copy(written / "dataset.hdf5", tmp_path)
    with h5py.File(tmp_path / "dataset.hdf5", "r+") as file:
        mutate(file)
    findings = check_dataset(tmp_path)
    assert code in {finding.code for finding in findings}, findings
    assert all(finding.message for finding in findings)


def test_a_torn_file_is_found(written: Path, tmp_path: Path) -> None:
    """As a copy that broke off."""
    data = (written / "dataset.hdf5").read_bytes()
    (tmp_path / "dataset.hdf5").write_bytes(data[: len(data) // 2])
    assert [finding.code for finding in check_dataset(tmp_path)] == ["mimic.unreadable"]


def test_a_robot_with_two_arms(case: SceneFolder, tmp_path: Path) -> None:
    """Poses and columns of both; the arm that acts has the subtasks, the other one stands still for the whole demonstration."""
    found = two_armed(recorded(case, 0), tmp_path)
    robot, arms = load_embodiment("agibot_g2"), layout_of(load_embodiment("agibot_g2"))
    cameras = load_robot_cameras(found.record.robot)
    vectors = build_vector_features(arms, found.record.object_ids, (), tuple(cameras.fovy_deg))
    spec = DatasetSpec(fps=FPS, robot_type=robot.name, vectors=vectors, render_profile=None)
    writer = DatasetWriter(tmp_path, spec, formats=("mimic",))
    writer.add(load_frames(found.states, found.record, arms, cameras), {}, {})
    writer.close()
    assert check_dataset(tmp_path / "mimic") == []
    with h5py.File(tmp_path / "mimic/dataset.hdf5") as file:
        demo, known = file["data/demo_0"], json.loads(file["data"].attrs["blueprint_pipeline"])
        assert list(demo["obs/datagen_info/eef_pose"]) == ["left", "right"]
        assert {"left_eef_pos", "right_eef_quat"} <= set(demo["obs"])
        assert list(demo["obs/datagen_info/subtask_term_signals"]) == ["left_grasp"]
        assert known["subtask_configs"]["pick_place"]["right"] == [
            {"object_ref": None, "subtask_term_signal": None, "subtask_term_offset_range": [0, 0]}
        ]
        assert known["actions"]["gripper_columns"] == {"left": 7, "right": 15}
        right = demo["obs/datagen_info/target_eef_pose/right"][:, :3, 3]
        wanted = load_robot_tools(found.record.robot).poses(column(found, "robot_command"))[:-1, 1, :3]
        np.testing.assert_allclose(right, wanted, atol=1e-6)


def test_hands_that_act_together_have_subtasks_of_their_own(case: SceneFolder, tmp_path: Path) -> None:
    """Of what is handed over: each arm cuts the whole demonstration, by signals with its name, and the file breaks no rule."""
    found = handed_over(two_armed(recorded(case, 0), tmp_path))
    robot, arms = load_embodiment("agibot_g2"), layout_of(load_embodiment("agibot_g2"))
    cameras = load_robot_cameras(found.record.robot)
    vectors = build_vector_features(arms, found.record.object_ids, (), tuple(cameras.fovy_deg))
    spec = DatasetSpec(fps=FPS, robot_type=robot.name, vectors=vectors, render_profile=None)
    writer = DatasetWriter(tmp_path, spec, formats=("mimic",))
    writer.add(load_frames(found.states, found.record, arms, cameras), {}, {})
    writer.close()
    assert check_dataset(tmp_path / "mimic") == []
    ends = {phase.name: phase.end_frame for phase in found.record.phases}
    wanted = {"left_take": "left_lift", "right_meet": "both_meet", "right_receive": "left_retract"}
    with h5py.File(tmp_path / "mimic/dataset.hdf5") as file:
        demo, known = file["data/demo_0"], json.loads(file["data"].attrs["blueprint_pipeline"])
        signals = demo["obs/datagen_info/subtask_term_signals"]
        assert set(signals) == set(wanted)
        assert {name: int(np.flatnonzero(~signals[name][()])[-1]) + 2 for name in wanted} == {
            name: ends[last] for name, last in wanted.items()
        }
        configs = known["subtask_configs"]["hand_over"]
        assert {arm: [item["object_ref"] for item in items] for arm, items in configs.items()} == {
            "left": ["target", None],
            "right": [None, "target", "goal"],
        }


def handed_over(source: Recorded) -> Recorded:
    """The same episode as one in which the target goes from hand to hand."""
    record, names = source.record, load_skill("hand_over").phases
    ends = np.linspace(0, record.frames, len(names) + 1).round().astype(int).tolist()
    phases = tuple(Phase(name=name, start_frame=start, end_frame=end) for name, start, end in zip(names, ends, ends[1:], strict=False))
    told = record.spec.task.model_dump(
        include={"instruction", "target_object", "support_object", "region_m", "center_object_m", "goal_position_m"}
    )
    task = HandOverTask(**told, hands=hands_of(load_embodiment("agibot_g2"), ("left", "right")), upright=True)
    return Recorded(record.model_copy(update={"phases": phases, "spec": record.spec.model_copy(update={"task": task})}), source.states)


def two_armed(source: Recorded, folder: Path) -> Recorded:
    """The same episode by the robot with two arms, both of which move."""
    robot, layout = load_embodiment("agibot_g2"), layout_of(load_embodiment("agibot_g2"))
    table, rows = pq.read_table(source.states), source.record.frames + 1
    home = np.array([value for part in layout for value in part.arm.default_qpos_rad])
    joints = home + 0.1 * np.sin(np.linspace(0, 3, rows)[:, None] + np.arange(len(home)))
    placement = source.record.robot.model_copy(update={"embodiment": robot.name})
    widths = np.full((rows, 2), 0.05)
    changed = {
        "robot_qpos": joints,
        "robot_qvel": np.gradient(joints, axis=0),
        "robot_command": np.vstack([joints[1:], joints[-1:]]),
        "gripper_width_m": widths,
        "gripper_command_m": widths,
        "ee_pose": load_robot_tools(placement).poses(joints).reshape(rows, 14),
    }
    for name, values in changed.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(list(values), STATE_COLUMNS[name]))
    path = folder / "states.parquet"
    pq.write_table(table, path)
    spec = source.record.spec.model_copy(update={"arm": "left", "robot_qpos": home_qpos(robot)})
    return Recorded(source.record.model_copy(update={"robot": placement, "spec": spec}), path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_demonstrations(case: SceneFolder, tmp_path: Path) -> None:
    """1,000 take hardly more than 100."""
    found = recorded(case, 0)
    frames = load_frames(found.states, found.record, ARMS, ROBOT_CAMERAS)

    def write(name: str, episodes: int) -> int:
        writer = MimicWriter(tmp_path / name, dataset_spec())
        for index in range(episodes):
            writer.add(frames, Position(index, 0, 0, (0,)), {})
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    few = write("few", 100)
    assert write("many", 1000) - few < 10_000  # kB


def test_the_conventions_make_commands_of_actions(written: Path) -> None:
    """What the file says of its actions is enough to follow them."""
    with h5py.File(written / "dataset.hdf5") as file:
        scale = json.loads(file["data"].attrs["blueprint_pipeline"])["actions"]
        demo = file["data/demo_0"]
        commands = np.array(scale["offset"]) + np.array(scale["scale"]) * demo["actions"][()]
        np.testing.assert_allclose(commands, demo["processed_actions"], atol=1e-6)
    assert load_json(written / "croissant.json")["name"]
