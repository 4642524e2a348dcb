"""Failed episodes as a LeRobot dataset of their own: labelled, loadable by the same readers, and no part of the main one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.dataset.failures_index import load_failures_index
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATHS, DATASET_PATHS, SIDECAR
from blueprint_pipeline.dataset.read import check_dataset, describe_dataset
from blueprint_pipeline.dataset.stages import (
    CERTIFY_DATASET,
    WRITE_DATASET,
    CertifyDatasetRequest,
    WriteDatasetRequest,
)
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from tests.dataset.conftest import load_json, stage_context
from tests.dataset.failures_case import COLLIDED, MISSED, load_lines, write_failures

FAILURES = WriteDatasetRequest(scene_id="tabletop", selection="failures", more_formats=("mimic",))
CERTIFY_PYTHON = Path(__file__).parents[2] / ".venv-certify/bin/python"
needs_environment = pytest.mark.skipif(not CERTIFY_PYTHON.exists(), reason="no .venv-certify: run `make certify-env`")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The main dataset first, then the failures; its context has the scene. Read only."""
    root = tmp_path_factory.mktemp("failures")
    context = stage_context(write_failures(root), root / "staging", certify_python=CERTIFY_PYTHON)
    WRITE_DATASET.run(WriteDatasetRequest(scene_id="tabletop"), context)
    context.publish(DATASET_PATHS["kept"])
    before = digest_files(context.staging, list_files(context.staging))
    result = WRITE_DATASET.run(FAILURES, context)
    context.publish(DATASET_PATHS["failures"])
    return context, result, before


def root_of(context, selection="failures"):
    return Path(context.scene.root.path) / DATASET_PATHS[selection] / "v3.0"


def test_they_are_a_dataset_of_the_same_columns(written):
    """In the store's format alone, with the features, cameras and statistics that the main one has, and nothing wrong with it."""
    context, result, _ = written
    assert (result.selection, result.episodes) == ("failures", 2)
    found, main = describe_dataset(root_of(context)), describe_dataset(root_of(context, "kept"))
    assert found.features == main.features
    assert check_dataset(root_of(context)) == []
    assert sorted(path.name for path in root_of(context).parent.iterdir()) == ["failures.json", "v3.0"]
    assert set(load_json(root_of(context) / "meta/stats.json")) == set(load_json(root_of(context, "kept") / "meta/stats.json"))


def test_each_is_labelled_with_what_went_wrong(written):
    """Kind, reason, phase and frame, conditions and gates with value and limit; none is a success, though one did its task."""
    context, _, _ = written
    lines = {line["episode_id"]: line for line in load_lines(root_of(context) / SIDECAR)}
    assert list(lines) == [COLLIDED, MISSED]
    assert [line["success"] for line in lines.values()] == [False, False]
    assert [line["outcome"]["success"] for line in lines.values()] == [True, False]
    hit, away = lines[COLLIDED]["failure"], lines[MISSED]["failure"]
    assert (hit["kind"], hit["frame"], hit["conditions"]) == ("gate.unexplained_contacts", 20, [])
    phases = lines[COLLIDED]["phases"]
    assert hit["phase"] == next(phase["name"] for phase in phases if phase["start_frame"] <= 20 < phase["end_frame"])
    assert (hit["gates"][0]["value"], hit["gates"][0]["limit"]) == (3.0, 0.0)
    assert (away["kind"], away["reason"], away["frame"]) == ("predicate.not_in_region", "2 cm beside its goal", None)
    assert away["conditions"] == [{"name": "in_region", "held": False, "value": -0.02, "limit": 0.0, "direction": "at_least", "unit": "m"}]
    assert [gate["gate"] for gate in lines[MISSED]["gates_after_simulation"]] == ["outcome"]
    assert [gate["gate"] for gate in lines[MISSED]["gates"]] == ["certificate"]
    for file in (root_of(context) / "data").rglob("*.parquet"):
        assert not any(pq.read_table(file, columns=["next.success"]).column(0).to_pylist())


def test_the_main_dataset_knows_nothing_of_them(written):
    """Not a byte of it differs for there being failures, and no line of it is one."""
    context, _, before = written
    folder = f"{DATASET_PATHS['kept']}/"
    kept = {name: digest for name, digest in before.items() if name.startswith(folder)}
    assert kept == {name: digest for name, digest in digest_files(context.staging, list_files(context.staging)).items() if name in kept}
    assert {line["episode_id"] for line in load_lines(root_of(context, "kept") / SIDECAR)} == {f"ep_{index:04d}" for index in range(10)}
    assert all("failure" not in line and line["success"] for line in load_lines(root_of(context, "kept") / SIDECAR))


def test_the_card_says_that_these_are_failures(written):
    """How many of which kind, where the labels stand; nothing in it calls them successes."""
    context, _, _ = written
    card = (root_of(context) / "README.md").read_text()
    assert "failures of simulated" in card
    assert "**Every episode is a failure**" in card
    assert "| `gate.unexplained_contacts` | 1 |" in card
    assert "| `predicate.not_in_region` | 1 |" in card
    assert "is a success" not in card
    assert "were kept" not in card
    assert "- failures\n" in card
    index = load_failures_index(context.scene)
    assert (index.attempted, index.rejected, index.honest, index.written) == (12, 2, 2, 2)
    assert index.episodes == {COLLIDED: "gate.unexplained_contacts", MISSED: "predicate.not_in_region"}


def test_where_nothing_failed_a_file_says_so(tmp_path):
    """What failed and does not replay is not sold: there is no dataset, and nothing to certify."""
    context = stage_context(write_failures(tmp_path, sold=False), tmp_path / "staging")
    assert WRITE_DATASET.run(FAILURES, context).episodes == 0
    context.publish(DATASET_PATHS["failures"])
    index = load_failures_index(context.scene)
    assert (index.honest, index.written, index.episodes) == (2, 0, {})
    assert context.scene.files_under(DATASET_PATHS["failures"]) == [f"{DATASET_PATHS['failures']}/failures.json"]
    result = CERTIFY_DATASET.run(CertifyDatasetRequest(scene_id="tabletop", selection="failures"), context)
    assert (result.certified, result.passed, result.failed, result.not_run) == (False, (), (), ())


def test_each_selection_has_files_of_its_own():
    """Neither takes away what the other wrote, and both can be done."""
    for stage, request in ((WRITE_DATASET, FAILURES), (CERTIFY_DATASET, CertifyDatasetRequest(scene_id="s", selection="failures"))):
        kept = request.model_copy(update={"selection": "kept"})
        assert not {*stage.writes(request)} & {*stage.writes(kept)}
        assert (stage.unit(kept), stage.unit(request)) == ("", "failures")


@needs_environment
def test_the_real_lerobot_loads_failures(written):
    """Every frame equals the recording, none is a success; graders of demonstrations are not asked."""
    context, _, _ = written
    result = CERTIFY_DATASET.run(CertifyDatasetRequest(scene_id="tabletop", selection="failures"), context)
    assert result.certified, load_json(context.staging / CERTIFICATION_PATHS["failures"])
    assert {"lerobot.loads", "lerobot.frames_match_states"} <= set(result.passed)
    assert not [check for check in (*result.passed, *result.not_run) if check.startswith("grader")]
    assert (context.staging / CERTIFICATION_PATHS["failures"]).is_file()
    assert not (context.staging / CERTIFICATION_PATHS["kept"]).exists()
