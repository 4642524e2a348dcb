"""robomimic's own reader is asked where it is installed; where it is not, nothing claims that it was."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from blueprint_pipeline.dataset.certify.certification import run_certifier
from blueprint_pipeline.dataset.certify.environment import CertifyEnvironment
from blueprint_pipeline.dataset.certify.report import CertificationReport
from blueprint_pipeline.dataset.certify.request import CertifyRequest
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, DATASET_PATH
from blueprint_pipeline.dataset.stages import CERTIFY_DATASET, DatasetRefused
from blueprint_pipeline.episode.record import STATE_COLUMNS, recording_path
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.certify.test_certification import CERTIFY_PYTHON
from tests.dataset.conftest import stage_context
from tests.dataset.mimic_case import REQUEST, copy_with_phases, write_mimic

needs_robomimic = pytest.mark.skipif(
    not list(CERTIFY_PYTHON.parents[1].glob("lib/python*/site-packages/robomimic")), reason="no robomimic: run `make certify-env`"
)


@pytest.fixture
def scene(scene_with_episodes: SceneFolder, tmp_path: Path) -> SceneFolder:
    """Six episodes, written in Mimic's format too."""
    pytest.importorskip("h5py", reason="h5py is in requirements.txt: make install")
    found = copy_with_phases(scene_with_episodes, tmp_path)
    shutil.copytree(write_mimic(found, tmp_path / "staging").parent, Path(found.root.path) / DATASET_PATH)
    return found


def ask(scene: SceneFolder, tmp_path: Path) -> dict[str, tuple[bool, str]]:
    """What robomimic answers of the scene's file."""
    (tmp_path / "home").mkdir()
    environment = CertifyEnvironment(CERTIFY_PYTHON, tmp_path / "home")
    request = certify_request(scene, tmp_path)
    found = run_certifier(environment, FORMATS["mimic"].certifiers[0], request, "mimic")
    assert {check.tool_version for check in found} == {"0.3.0"}
    return {check.check: (check.status == "passed", check.reason) for check in found}


def certify_request(scene: SceneFolder, tmp_path: Path) -> CertifyRequest:
    from blueprint_pipeline.dataset.certify.certification import expected_episodes

    episodes = expected_episodes(stage_context(scene, tmp_path / "asked"), "franka_panda", ())
    return CertifyRequest(
        dataset=Path(scene.root.path) / DATASET_PATH / "mimic", fps=30, robot_type="franka_panda", episodes=episodes, work=tmp_path / "work"
    )


@needs_robomimic
@pytest.mark.slow
def test_robomimic_reads_every_frame(scene: SceneFolder, tmp_path: Path) -> None:
    """As many as there are, each with the one after it."""
    answers = ask(scene, tmp_path)
    assert answers["robomimic.loads"] == (True, "loaded 6 demonstrations, 285 frames")
    assert answers["robomimic.frames_match_states"][0]


@needs_robomimic
@pytest.mark.slow
def test_robomimic_sees_that_a_frame_is_another(scene: SceneFolder, tmp_path: Path) -> None:
    """A recording that differs in one number of one frame is not what the file holds."""
    path = Path(scene.root.path) / recording_path(0, "ep_0002") / "states.parquet"
    table = pq.read_table(path)
    joints = table["robot_qpos"].to_pylist()
    joints[7][3] += 0.01
    name = table.column_names.index("robot_qpos")
    pq.write_table(table.set_column(name, "robot_qpos", pa.array(joints, STATE_COLUMNS["robot_qpos"])), path)
    passed, reason = ask(scene, tmp_path)["robomimic.frames_match_states"]
    assert not passed
    assert "demonstration 2, frame 6: joint_pos" in reason


def test_where_robomimic_is_missing_it_is_not_run(scene: SceneFolder, tmp_path: Path) -> None:
    """The dataset is then not certified, and the report says why; our own check and Croissant's have looked."""
    result = CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "certified"))
    assert "robomimic.loads" in result.not_run
    report = CertificationReport.model_validate_json((tmp_path / "certified" / CERTIFICATION_PATH).read_bytes())
    looked = {check.check: check.status for check in report.checks if check.dataset == "mimic"}
    assert looked == {
        "blueprint_pipeline.structure": "passed",
        "mlcroissant.valid": "passed",
        "robomimic.loads": "not_run",
        "robomimic.frames_match_states": "not_run",
    }


def test_an_older_environment_lacks_robomimic(tmp_path: Path) -> None:
    """One that was made before it was wanted says so, and is asked for nothing more."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho '{json.dumps({'lerobot': '0.4.4'})}'\n")
    python.chmod(0o755)
    request = CertifyRequest(dataset=tmp_path, fps=30, robot_type="franka_panda", episodes=(), work=tmp_path / "work")
    found = run_certifier(CertifyEnvironment(python, tmp_path), FORMATS["mimic"].certifiers[0], request, "mimic")
    assert {(check.status, check.tool) for check in found} == {("not_run", "robomimic")}
    assert "robomimic is not installed where this was made" in found[0].reason


def test_a_broken_file_refuses_the_dataset(scene: SceneFolder, tmp_path: Path) -> None:
    """Our own check is required, in this format as in the others."""
    h5py = pytest.importorskip("h5py", reason="h5py is in requirements.txt: make install")
    with h5py.File(scene.root / DATASET_PATH / "mimic/dataset.hdf5", "r+") as file:
        file["data"].attrs["total"] = 3
    with pytest.raises(DatasetRefused, match=r"blueprint_pipeline\.structure \(mimic\)"):
        CERTIFY_DATASET.run(REQUEST, stage_context(SceneFolder(UPath(scene.root), "tabletop", tmp_path / "cache"), tmp_path / "certified"))
