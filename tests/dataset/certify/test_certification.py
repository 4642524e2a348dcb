"""Certification says what ran, what did not, and what failed; the real lerobot is asked where it is installed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation
from upath import UPath

from blueprint_pipeline.dataset.certify.camera_mounts import load_camera_mounts, offset_mounts
from blueprint_pipeline.dataset.certify.certification import CertifierBroken, expected_episodes, run_certifier
from blueprint_pipeline.dataset.certify.environment import CertifyEnvironment
from blueprint_pipeline.dataset.certify.graders import GRADERS
from blueprint_pipeline.dataset.certify.in_expected import Refuted, answer, check_columns, load_subtasks, require
from blueprint_pipeline.dataset.certify.report import CertificationReport, CheckResult, is_certified
from blueprint_pipeline.dataset.certify.request import CameraMount, CertifyRequest, ExpectedEpisode
from blueprint_pipeline.dataset.formats import FORMATS, usual_formats
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, DATASET_PATH
from blueprint_pipeline.dataset.stages import CERTIFY_DATASET, WRITE_DATASET, DatasetRefused, WriteDatasetRequest
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import MountOffset, RobotPlacement
from blueprint_pipeline.settings import DatasetSettings, Settings
from blueprint_pipeline.twin.robot_cameras import load_robot_cameras
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import stage_context, states_table, tool_poses, write_manifest, write_scene

CHECKS = tuple(check for name in usual_formats() for certifier in FORMATS[name].certifiers for check in certifier.checks)
OFFSET = MountOffset(
    shift_m=(0.008, -0.005, -0.003),
    turn_quat_wxyz=tuple(Rotation.from_rotvec([0.03, -0.02, 0.01]).as_quat(scalar_first=True).tolist()),
    widening=1.05,
)
SUBTASKS = ["approach", "lift"]
REQUEST = WriteDatasetRequest(scene_id="tabletop")
CERTIFY_PYTHON = Path(__file__).parents[3] / ".venv-certify/bin/python"
needs_environment = pytest.mark.skipif(not CERTIFY_PYTHON.exists(), reason="no .venv-certify: run `make certify-env`")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> SceneFolder:
    """A scene with ten short episodes, written as datasets. Read only."""
    root = tmp_path_factory.mktemp("certify")
    scene = SceneFolder(UPath(root / "scenes" / "tabletop"), "tabletop", root / "cache")
    write_scene(scene, [60 + index for index in range(11)])
    write_manifest(scene, bowl="CC-BY-4.0", lemon="MIT")
    context = stage_context(scene, root / "staging")
    WRITE_DATASET.run(REQUEST, context)
    context.publish(DATASET_PATH)
    return scene


@pytest.fixture
def scene(written: SceneFolder, tmp_path: Path) -> SceneFolder:
    """A copy that a test may damage."""
    shutil.copytree(written.root.path, tmp_path / "scenes" / "tabletop")
    return SceneFolder(UPath(tmp_path / "scenes" / "tabletop"), "tabletop", tmp_path / "cache")


def test_a_new_environment_certifies_anew(tmp_path: Path) -> None:
    """What certifies is part of the key: without it nothing ran, and `make certify-env` or an upgrade makes the stage run again."""
    python = tmp_path / "bin" / "python"
    settings = Settings(dataset=DatasetSettings(certify_python=python))
    found = [CERTIFY_DATASET.external_inputs(REQUEST, settings)]
    python.parent.mkdir()
    python.touch()
    for package in ("lerobot-0.4.4", "rdq-1.0"):
        (tmp_path / "lib" / "python3.11" / "site-packages" / f"{package}.dist-info").mkdir(parents=True)
        found.append(CERTIFY_DATASET.external_inputs(REQUEST, settings))
    (tmp_path / "oldest-readers" / "lerobot-0.3.3.dist-info").mkdir(parents=True)
    found.append(CERTIFY_DATASET.external_inputs(REQUEST, settings))
    assert found[0] == {}
    assert len({str(item) for item in found}) == 4
    assert all(found[1:])


def load_report(folder: Path) -> CertificationReport:
    return CertificationReport.model_validate_json((folder / CERTIFICATION_PATH).read_text())


def test_without_the_environment_nothing_is_certified(scene: SceneFolder, tmp_path: Path) -> None:
    """Every check that did not run is listed as such, with the way to make it run; what needs no environment did run."""
    result = CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    assert not result.certified
    assert set(result.not_run) == {*CHECKS, *(f"grader.{grader.package}" for grader in GRADERS), "graders.agree"}
    assert set(result.passed) == {"blueprint_pipeline.structure", "mlcroissant.valid"}
    report = load_report(tmp_path / "staging")
    assert report.environment == {}
    assert all(check.origin is Origin.ABSENT and check.reason for check in report.checks if check.status == "not_run")
    assert any("make certify-env" in check.reason for check in report.checks)


def test_a_broken_dataset_is_refused_with_a_report(scene: SceneFolder, tmp_path: Path) -> None:
    """Damage is an error that names the check, and the report is there to read."""
    path = Path(scene.root.path) / DATASET_PATH / "v3.0/meta/info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"total_frames": 3}))
    with pytest.raises(DatasetRefused, match=r"blueprint_pipeline\.structure \(v3\.0\)"):
        CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    report = load_report(Path(scene.root.path))
    assert not report.certified
    assert report.with_status("failed") == ["blueprint_pipeline.structure"]


def test_an_environment_without_lerobot_is_an_error(scene: SceneFolder, tmp_path: Path) -> None:
    """A certifying program that dies is neither passed nor left out."""
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import no_such_module'\n")
    broken.chmod(0o755)
    with pytest.raises(CertifierBroken, match="make certify-env"):
        CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging", broken))


def result_of(status: str, *, required: bool) -> CheckResult:
    return CheckResult(
        check="c", dataset="v3.0", status=status, required=required, reason="", origin=Origin.MEASURED, tool="t", tool_version=None
    )


def test_certified_means_that_every_required_check_passed() -> None:
    """One that did not run is enough to be not certified; no check at all is not certified either."""
    passed, skipped, advice = result_of("passed", required=True), result_of("not_run", required=True), result_of("failed", required=False)
    assert is_certified((passed, advice))
    assert not is_certified((passed, skipped))
    assert not is_certified((advice,))
    assert not is_certified(())


def expected_episode(tmp_path: Path) -> tuple[ExpectedEpisode, dict[str, np.ndarray]]:
    """An episode and the columns that a right dataset has of it."""
    pq.write_table(states_table(12, 5), tmp_path / "states.parquet")
    rows = pq.read_table(tmp_path / "states.parquet").slice(0, 12).to_pydict()
    columns = {
        "observation.state": np.column_stack([rows["robot_qpos"], rows["gripper_width_m"]]),
        "action": np.column_stack([rows["robot_command"], rows["gripper_command_m"]]),
        "observation.velocity": np.array(rows["robot_qvel"]),
        "observation.ee_pose": np.array(rows["ee_pose"]),
        "observation.ee_rotation_6d": np.tile([1.0, 0, 0, 0, -1, 0], (12, 1)),
        "observation.object_pose": np.array(rows["object_poses"])[:, 7:],
        "observation.object_poses": np.array(rows["object_poses"]),
        "observation.camera_pose.wrist": np.array([[x + 0.08, y, z + 0.07, 0, 1, 0, 0] for x, y, z, *_ in rows["ee_pose"]]),
    }
    found = {name: value.astype(np.float32) for name, value in columns.items()}
    number = np.arange(12)
    found |= {"frame_index": number, "index": number + 100, "episode_index": np.full(12, 2), "timestamp": (number / 30).astype(np.float32)}
    found |= {"next.done": number == 11, "next.success": number == 11}
    found |= {"task_index": np.zeros(12, int), "subtask_index": np.array([SUBTASKS.index(name) for name in rows["phase"]])}
    episode = ExpectedEpisode(
        episode_id="ep_0005",
        states=tmp_path / "states.parquet",
        frames=12,
        instruction="put it",
        success=True,
        target_index=1,
        arm_joints=(7,),
        camera_mounts={"wrist": CameraMount(arm=0, position_m=(0.08, 0.0, -0.07), quat_wxyz=(1.0, 0.0, 0.0, 0.0))},
        videos={},
    )
    return episode, found


def test_right_columns_pass(tmp_path: Path) -> None:
    """Columns that equal the recording are right."""
    episode, found = expected_episode(tmp_path)
    check_columns(found, episode, subtasks=SUBTASKS, index=2, first=100, fps=30)


@pytest.mark.parametrize(
    "column",
    [
        "observation.state",
        "action",
        "observation.object_pose",
        "observation.object_poses",
        "observation.ee_rotation_6d",
        "observation.camera_pose.wrist",
        "subtask_index",
        "next.done",
        "next.success",
        "index",
        "timestamp",
    ],
)
def test_one_wrong_value_is_refuted(tmp_path: Path, column: str) -> None:
    """A single value that differs by its last digits is found, in any frame."""
    episode, found = expected_episode(tmp_path)
    last = found[column].flat[-1]
    found[column].flat[-1] = not last if column.startswith("next.") else last + (1 if column in {"index", "subtask_index"} else 0.001)
    with pytest.raises(Refuted, match="episode 2"):
        check_columns(found, episode, subtasks=SUBTASKS, index=2, first=100, fps=30)


def test_phases_are_compared_by_name(tmp_path: Path) -> None:
    """The same numbers with other names are other phases."""
    episode, found = expected_episode(tmp_path)
    with pytest.raises(Refuted, match="subtask_index differs"):
        check_columns(found, episode, subtasks=SUBTASKS[::-1], index=2, first=100, fps=30)


def test_a_column_that_nothing_is_known_of_is_refuted(tmp_path: Path) -> None:
    """Whoever adds a column says what it is compared with."""
    episode, found = expected_episode(tmp_path)
    found["observation.camera_pose.head"] = found["observation.camera_pose.wrist"]
    with pytest.raises(Refuted, match=r"camera_pose\.head is not of the recording"):
        check_columns(found, episode, subtasks=SUBTASKS, index=2, first=100, fps=30)


def test_subtasks_are_read_as_each_format_lists_them(written: SceneFolder) -> None:
    """They are the same in both formats."""
    root = Path(written.root.path) / DATASET_PATH
    assert [load_subtasks(root / version) for version in ("v3.0", "v2.1")] == [SUBTASKS, SUBTASKS]


def test_subtasks_without_names_are_refuted(tmp_path: Path) -> None:
    """Where nothing names them, and where they are not counted from 0."""
    with pytest.raises(Refuted, match="does not name its subtasks"):
        load_subtasks(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/subtasks.jsonl").write_text('{"subtask_index": 1, "subtask": "lift"}\n')
    with pytest.raises(Refuted, match="not numbered from 0"):
        load_subtasks(tmp_path)


@pytest.mark.parametrize("robot", ["franka_panda", "ur10e_2f85"])
def test_a_camera_follows_from_its_tool_as_from_the_joints(robot: str) -> None:
    """The mount and the pose of the tool lead to where the robot's model has the camera; mounted otherwise, to where the writer has it."""
    embodiment = load_embodiment(robot)
    placement = RobotPlacement(embodiment=robot, base_pose=Pose(position_m=(0.2, -0.1, 0.5), quat_wxyz=(0.8, 0.0, 0.0, 0.6)))
    joints = np.random.default_rng(0).uniform(-1, 1, (5, len(embodiment.arms[0].joints)))
    tools = tool_poses(placement, joints)
    turned = Rotation.from_quat(tools[:, 3:], scalar_first=True)
    for offsets in ({}, {"wrist": OFFSET}):
        mount = offset_mounts(load_camera_mounts(embodiment), offsets)["wrist"]
        found = load_robot_cameras(placement).poses(joints, np.full((5, 1), 0.02), offsets)["wrist"]
        np.testing.assert_allclose(tools[:, :3] + turned.apply(mount.position_m), found[:, :3], atol=1e-12)
        expected = turned * Rotation.from_quat(mount.quat_wxyz, scalar_first=True)
        assert (expected.inv() * Rotation.from_quat(found[:, 3:], scalar_first=True)).magnitude().max() < 1e-7


def test_what_is_expected_has_the_mounts_of_each_record(scene: SceneFolder, tmp_path: Path) -> None:
    """One episode whose camera sat beside its place; the others have the robot's own mount."""
    path = next(path for path in sorted(Path(scene.root.path).rglob("episode.json")))
    record = json.loads(path.read_text())
    record["spec"]["variation"]["mounts"] = {"wrist": OFFSET.model_dump(mode="json")}
    path.write_text(json.dumps(record))
    episodes = expected_episodes(stage_context(scene, tmp_path / "staging"), "franka_panda", ())
    built = load_camera_mounts(load_embodiment("franka_panda"))
    (moved,) = [episode for episode in episodes if episode.camera_mounts != built]
    assert moved.episode_id == record["episode_id"]
    assert len(episodes) > 1
    np.testing.assert_allclose(
        np.linalg.norm(np.subtract(moved.camera_mounts["wrist"].position_m, built["wrist"].position_m)), np.linalg.norm(OFFSET.shift_m)
    )


def test_a_missing_column_is_refuted(tmp_path: Path) -> None:
    """A column that is missing is named."""
    episode, found = expected_episode(tmp_path)
    del found["action"]
    with pytest.raises(Refuted, match="column action is missing"):
        check_columns(found, episode, subtasks=SUBTASKS, index=2, first=100, fps=30)


def test_an_answer_says_what_was_found() -> None:
    """A check that raises is refuted with its words, one that returns has passed with its."""

    def refute() -> str:
        require(False, "no")
        return "yes"

    assert not answer("c", refute).passed
    assert answer("c", lambda: "looked at 3").reason == "looked at 3"


@needs_environment
@pytest.mark.slow
def test_the_real_lerobot_and_the_graders_certify(scene: SceneFolder, tmp_path: Path) -> None:
    """The real lerobot loads every frame, its converter takes the twin, at least three graders run and find no defect."""
    result = CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging", CERTIFY_PYTHON))
    assert result.certified, load_report(tmp_path / "staging")
    assert result.failed == ()
    report = load_report(tmp_path / "staging")
    for version in usual_formats():
        assert sum(check.check.startswith("grader.") and check.dataset == version for check in report.checks) >= 3
    assert report.environment["lerobot"] == "0.4.4"
    assert {check.tool_version for check in report.checks if check.check.startswith("oldest.")} == {"0.3.3"}


@needs_environment
@pytest.mark.slow
def test_the_oldest_readers_are_asked(scene: SceneFolder, tmp_path: Path) -> None:
    """A name of a feature that only newer releases of ``datasets`` know is found, where the newest read it without a word."""
    for path in (Path(scene.root.path) / DATASET_PATH / "v2.1/data").glob("*/*.parquet"):
        table = pq.read_table(path)
        features = table.schema.metadata[b"huggingface"].replace(b'"Sequence"', b'"List"')
        pq.write_table(table.replace_schema_metadata({"huggingface": features}), path)
    with pytest.raises(DatasetRefused, match=r"oldest\.datasets_reads \(v2\.1\): datasets 3\.6\.0 .*List"):
        CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging", CERTIFY_PYTHON))
    passed = load_report(Path(scene.root.path)).with_status("passed")
    assert {"twin.datasets_reads", "twin.lerobot_converts"} <= set(passed)


def test_without_the_oldest_readers_they_are_not_run(tmp_path: Path) -> None:
    """An environment that was made before they were wanted certifies nothing that they did not read."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import no_such_module'\n")
    python.chmod(0o755)
    environment = CertifyEnvironment(python, tmp_path)
    oldest = next(certifier for certifier in FORMATS["v2.1"].certifiers if certifier.oldest)
    request = CertifyRequest(dataset=tmp_path, fps=30, robot_type="franka_panda", episodes=(), work=tmp_path / "work")
    found = run_certifier(environment, oldest, request, "v2.1")
    assert {result.status for result in found} == {"not_run"}
    assert all("the oldest readers are not installed" in result.reason and "make certify-env" in result.reason for result in found)


def change_value(path: Path, column: str, change: Callable[[Any], Any]) -> None:
    """Rewrite a data file with another value of a column in frame 7 of its first episode."""
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    values = groups[0].column(column).to_pylist()
    values[7] = change(values[7])
    position, field = groups[0].column_names.index(column), groups[0].schema.field(column)
    groups[0] = groups[0].set_column(position, field, pa.array(values, field.type))
    with pq.ParquetWriter(path, file.schema_arrow) as writer:
        for group in groups:
            writer.write_table(group)


@needs_environment
@pytest.mark.slow
def test_the_real_lerobot_finds_a_changed_value(scene: SceneFolder, tmp_path: Path) -> None:
    """One value that is not the recorded one, of a frame that no check loads by itself, is refuted by both certifying programs."""
    root = Path(scene.root.path) / DATASET_PATH
    change_value(root / "v3.0/data/chunk-000/file-000.parquet", "subtask_index", lambda number: 1 - number)
    twin = root / "v2.1/data/chunk-000/episode_000000.parquet"
    change_value(twin, "observation.camera_pose.wrist", lambda pose: [pose[0] + 0.01, *pose[1:]])
    with pytest.raises(DatasetRefused) as caught:
        CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging", CERTIFY_PYTHON))
    assert "lerobot.frames_match_states (v3.0): episode 0 (ep_0000): subtask_index differs" in str(caught.value)
    assert "twin.frames_match_states (v2.1): episode 0 (ep_0000): observation.camera_pose.wrist differs" in str(caught.value)
