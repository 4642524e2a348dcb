"""The rows of the flow agree with the stages, and all that is made from them knows a new one."""

import json
import os
import string
import subprocess
import sys
import typing
from io import StringIO
from itertools import pairwise

import pytest
from rich.console import Console

from blueprint_pipeline.compute.profiles import ComputeConfig
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.cost.stages import PRICE_RUN, PriceRunRequest
from blueprint_pipeline.stage.contract import StageRequest
from blueprint_pipeline.stage.flow import STAGES, load_stage, stages_before
from blueprint_pipeline.stage.inputs import config_digests
from operators.embedded.progress import RunView, draw
from operators.scene_flow import SceneFlow, build_scene_dag
from operators.scene_params import build_params
from operators.scene_requests import DERIVED
from operators.task_order import task_ids
from tests.scene.scene_files import SCENES
from tests.stage.toy_rows import TOY_ROWS

NOT_OF_RESULTS = {"compute.yaml", "gpus.yaml", "scenes.yaml", "certify_environment/pyproject.toml", "certify_environment/oldest.in"}
"""Configuration of where and when stages run; what certifies is keyed by what is installed."""


@pytest.mark.parametrize("row", STAGES.values(), ids=STAGES)
def test_a_row_speaks_of_its_stage(row):
    """Every field that a row names is one of the stage's request or result, and its words can be made of a result."""
    stage = load_stage(row.name)
    assert stage.name == row.name
    assert set(row.params) | set(row.connected) <= set(stage.request.model_fields)
    assert set(row.params.values()) <= {*build_params(), *DERIVED}
    assert ("shard_index" in stage.request.model_fields) == row.sharded
    assert not row.gives or row.gives in stage.result.model_fields
    said = {name for _, name, _, _ in string.Formatter().parse(row.says) if name}
    assert said <= set(stage.result.model_fields)
    result = dict.fromkeys(stage.result.model_fields, 3)
    assert "{" not in row.describe(result)


NAMES_ONLY = {"shards", "tasks", "cameras", "targets", "top_reasons", "overfilled", "price_tables", "machines"}
"""Lists of results whose lengths add up to nothing."""


@pytest.mark.parametrize("row", STAGES.values(), ids=STAGES)
def test_quantities_are_what_adds_up(row):
    """No whole number and no list of judged things is forgotten; an index and a status code are none."""
    fields = load_stage(row.name).result.model_fields
    whole = {name for name, field in fields.items() if field.annotation is int} - {"shard_index"}
    lists = {name for name, field in fields.items() if typing.get_origin(field.annotation) in {tuple, list}} - NAMES_ONLY
    assert set(row.quantities) == whole | lists
    assert "status_code" not in row.quantities


def test_lists_stand_for_their_length():
    """No list and no dictionary reaches a person."""
    assert STAGES["record_approval"].describe({"approved": ["ep_1"], "rejected": []}) == "1 approved, 0 rejected by a person"


def test_every_configuration_file_is_in_some_key():
    """An edited limit, price, material or profile makes the stage that reads it run again."""
    keyed = {
        path.relative_to(CONFIG_FOLDER).as_posix()
        for row in STAGES.values()
        for pattern in row.config
        for path in CONFIG_FOLDER.glob(pattern.format(lab="*"))
    }
    files = {path.relative_to(CONFIG_FOLDER).as_posix() for path in CONFIG_FOLDER.rglob("*") if path.is_file()}
    assert keyed == files - NOT_OF_RESULTS


PRICES = "prices/"
"""The runner looks whether the machine has a price before anything starts."""
_OPENED = """
import json, sys
from blueprint_pipeline.config_folder import CONFIG_FOLDER
opened = set()
folder = str(CONFIG_FOLDER.resolve()) + "/"
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(folder):
        opened.add(arguments[0].removeprefix(folder))
sys.addaudithook(note)
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.runner import run_stage
run_stage(sys.argv[1], json.loads(sys.argv[2]), load_settings())
print(json.dumps(sorted(opened)))
"""


@pytest.mark.slow
def test_the_stages_of_a_scene_open_no_configuration_that_is_in_no_key_of_theirs(tmp_path):
    """Each in a process of its own, since what is read is kept."""
    environment = {
        **os.environ,
        "BPP__WORKSPACE__URL": str(tmp_path / "workspace"),
        "BPP__WORKSPACE__CACHE_DIR": str(tmp_path / "cache"),
        "BPP__REGISTRY__URL": f"sqlite:///{tmp_path / 'registry.db'}",
    }
    for row in (row for row in STAGES.values() if row.group == "scene"):
        request = {"scene_id": "minimal_ok", **({"source": str(SCENES / "minimal_ok")} if row.name == "ingest_scene" else {})}
        command = [sys.executable, "-c", _OPENED, row.name, json.dumps(request)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stderr
        opened = {name for name in json.loads(done.stdout.splitlines()[-1]) if not name.startswith(PRICES)}
        assert opened - NOT_OF_RESULTS <= set(row.config), row.name


@pytest.mark.parametrize("row", STAGES.values(), ids=STAGES)
def test_every_pattern_of_a_row_finds_files(row):
    """A misspelt name would key nothing."""
    for pattern in row.config:
        assert list(CONFIG_FOLDER.glob(pattern.format(lab="*"))), pattern


@pytest.mark.parametrize("linked", [False, True], ids=["folder", "link"])
def test_an_edited_file_changes_the_digests_of_its_stages(tmp_path, monkeypatch, linked):
    """Also where the folder is a symbolic link, as it is in images."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "materials.yaml").write_text("friction: 1")
    if linked:
        (tmp_path / "link").symlink_to(folder)
    monkeypatch.setattr("blueprint_pipeline.stage.inputs.CONFIG_FOLDER", tmp_path / "link" if linked else folder)
    before = config_digests("estimate_physics", StageRequest(scene_id="s"))
    (folder / "materials.yaml").write_text("friction: 2")
    after = config_digests("estimate_physics", StageRequest(scene_id="s"))
    assert list(before) == list(after) == ["config/materials.yaml"]
    assert before != after


@pytest.fixture
def grown():
    """The flow with one stage more, between two others."""
    rows = list(STAGES.values())
    at = rows.index(STAGES["assemble_scene"])
    STAGES.clear()
    STAGES.update({row.name: row for row in (*rows[:at], TOY_ROWS["toy_work"], *rows[at:])})
    yield
    STAGES.clear()
    STAGES.update({row.name: row for row in rows})


@pytest.mark.usefixtures("grown")
def test_a_new_row_is_a_new_stage_everywhere():
    """A module and a row: the DAG, its requests, the view, pricing and the configuration of jobs follow."""
    dag = build_scene_dag(SceneFlow(dag_id="grown", doc_md="x"))
    for before, after in pairwise(STAGES):
        assert after in dag.get_task(before).get_flat_relative_ids(upstream=False)
    assert dag.get_task("toy_work").request == {"scene_id": "{{ params.scene_id }}"}
    assert "toy_work" in task_ids()["scene"]
    console = Console(width=120, record=True, file=StringIO())
    console.print(draw(RunView(), 0.0))
    assert "toy_work" in console.export_text()
    assert "toy_work" in {row.name for row in stages_before("price_run")}
    assert "commits/toy_work.json" in PRICE_RUN.reads(PriceRunRequest(scene_id="s"))
    assert ComputeConfig.model_validate({"schema_version": "1.0", "profiles": {}, "stages": {"toy_work": "local"}}).profile_of("toy_work")
    assert load_stage("toy_work").name == "toy_work"
