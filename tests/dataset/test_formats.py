"""A dataset format is one module and one row: everything else derives from the rows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner
from upath import UPath

from architecture.rooms import FOLDER, modules
from blueprint_pipeline.cli.app import app
from blueprint_pipeline.dataset.contract import DatasetFinding
from blueprint_pipeline.dataset.croissant_check import check_croissant
from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.formats import FORMATS, STORE, usual_formats
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, DATASET_PATH, SIDECAR
from blueprint_pipeline.dataset.read import check_dataset, describe_dataset, load_reader
from blueprint_pipeline.dataset.stages import CERTIFY_DATASET, WRITE_DATASET, WriteDatasetRequest
from blueprint_pipeline.rows import load_code
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import load_json, stage_context
from tests.dataset.states_only import ROW
from tests.temporary_rows import with_row

REQUEST = WriteDatasetRequest(scene_id="tabletop")


@pytest.fixture(scope="module")
def written(scene_with_episodes: SceneFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene's dataset in three formats, and their certification, below the staging folder."""
    staging = tmp_path_factory.mktemp("formats")
    with with_row(FORMATS, ROW):
        context = stage_context(scene_with_episodes, staging)
        WRITE_DATASET.run(REQUEST, context)
    return staging


def test_only_its_module_and_its_row_name_a_format() -> None:
    """What a new format touches is what these have: the certifying programs are v2.1's and v3.0's own."""
    names = {path.relative_to(FOLDER).as_posix() for path in modules() if any(f'"{name}"' in path.read_text() for name in FORMATS)}
    own = {
        "dataset/lerobot_v21.py",
        "dataset/lerobot_v30.py",
        "dataset/mimic_reader.py",
        "dataset/pixels_reader.py",
        "dataset/certify/in_twin.py",
        "dataset/certify/in_lerobot.py",
    }
    assert names - own == {"dataset/formats.py"}


def test_no_row_imports_its_module() -> None:
    """Labs' profiles name formats where nothing is written."""
    code = "import sys, blueprint_pipeline.delivery.lab; print([name for name in sys.modules if name in ('pyarrow', 'av', 'numpy')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", FORMATS)
def test_every_row_leads_to_a_writer_and_a_reader(name: str) -> None:
    """And the store is one of them."""
    assert callable(load_code(FORMATS[name].writer))
    assert load_reader(name).mismatch(Path("nowhere")) in {
        "meta/info.json is missing",
        "dataset.hdf5 is missing",
        "pixels.json is missing",
    }
    assert STORE in usual_formats()


def test_a_third_format_is_written_beside_the_others(written: Path) -> None:
    """The same frames, the sidecar, a card and Croissant that say what it is."""
    root = written / DATASET_PATH / "states_only"
    with with_row(FORMATS, ROW):
        found = describe_dataset(root)
        assert check_dataset(root) == []
    store = describe_dataset(written / DATASET_PATH / STORE)
    assert (found.version, found.episodes, found.frames, found.tasks) == ("states_only", store.episodes, store.frames, store.tasks)
    assert (root / SIDECAR).read_bytes() == (written / DATASET_PATH / STORE / SIDECAR).read_bytes()
    statistics = load_json(root / "index.json")["episodes"][0]["mean"]
    assert len(statistics) == 8
    card = (root / "README.md").read_text()
    assert "(States Only 1)" in card
    assert "The same frames are written as LeRobot v3.0 and LeRobot v2.1." in card
    assert "## Load it\n\nFor any reader of JSON Lines." in card
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["tags"][0] == "JSON Lines"
    assert "configs" not in metadata
    assert check_croissant(root / "croissant.json") == []


def test_a_third_format_is_certified(scene_with_episodes: SceneFolder, written: Path, tmp_path: Path) -> None:
    """Its own reader and Croissant's look at it; the report names it, and what else did not run."""
    shutil.copytree(scene_with_episodes.root.path, tmp_path / "scene")
    shutil.copytree(written / DATASET_PATH, tmp_path / "scene" / DATASET_PATH)
    scene = SceneFolder(UPath(tmp_path / "scene"), "tabletop", tmp_path / "cache")
    with with_row(FORMATS, ROW):
        result = CERTIFY_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    report = load_json(tmp_path / "staging" / CERTIFICATION_PATH)
    looked = {check["check"]: check["status"] for check in report["checks"] if check["dataset"] == "states_only"}
    assert looked == {"blueprint_pipeline.structure": "passed", "mlcroissant.valid": "passed"}
    assert "lerobot.loads" in result.not_run


def test_damage_of_a_third_format_is_found(written: Path, tmp_path: Path) -> None:
    """By its own reader, through the command too."""
    root = tmp_path / "damaged"
    shutil.copytree(written / DATASET_PATH / "states_only", root)
    lines = (root / "2.jsonl").read_text().splitlines(keepends=True)
    (root / "2.jsonl").write_text("".join(lines[:-1]))
    with with_row(FORMATS, ROW):
        expected = DatasetFinding("dataset.rows_wrong", "2.jsonl", f"{len(lines) - 1} rows, expected {len(lines)}")
        assert check_dataset(root) == [expected]
        answer = CliRunner().invoke(app, ["dataset", "check", str(root), "--json"])
    assert answer.exit_code == 65
    assert expected.message in answer.stdout


def test_a_folder_of_no_format_lists_those_that_exist(written: Path) -> None:
    """Without its row the third one is unknown."""
    missing = r"meta/info\.json is missing; dataset\.hdf5 is missing; pixels\.json is missing\."
    with pytest.raises(NotADataset, match=rf"{missing} Known formats: v3\.0, v2\.1, mimic, depth_segmentation\."):
        check_dataset(written / DATASET_PATH / "states_only")
