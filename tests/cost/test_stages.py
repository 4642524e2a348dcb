"""The stage price_run, on a workspace."""

import json
import threading

import pytest

from blueprint_pipeline.cost.pricing import NothingToPrice, load_run
from blueprint_pipeline.cost.report import load_cost_report
from blueprint_pipeline.cost.stages import PRICE_RUN, PriceRunRequest
from blueprint_pipeline.episode.record import recording_path, usage_path
from blueprint_pipeline.price.table import PRICES_DIR
from blueprint_pipeline.quality.report import RENDER_GATES_PATH, GateReport
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.stage.contract import StageContext, StageRequest
from blueprint_pipeline.stage.flow import load_stage
from blueprint_pipeline.stage.inputs import config_digests
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.plan import PLAN_PATH
from blueprint_pipeline.workspace.commits import load_commit, write_commit
from blueprint_pipeline.workspace.errors import InputMissing
from blueprint_pipeline.workspace.storage import Workspace
from tests.cost.conftest import make_commit
from tests.quality.gate_reports import kept_shard


@pytest.fixture
def scene(settings, run):
    """The small run, on disk."""
    scene = Workspace(settings.workspace).scene("kitchen")
    scene.write_bytes(PLAN_PATH, run.plan.model_dump_json().encode())
    for commit in run.commits:
        write_commit(scene, commit)
    for episode in run.episodes:
        scene.write_bytes(f"{recording_path(episode.shard_index, episode.episode_id)}/episode.json", episode.model_dump_json().encode())
        scene.write_bytes(f"{recording_path(episode.shard_index, episode.episode_id)}/states.parquet", b"PAR1")
        usage = run.usages[episode.episode_id]
        scene.write_bytes(usage_path(episode.shard_index, episode.episode_id), usage.model_dump_json().encode())
    shards = tuple(kept_shard(index // 2, [f"ep_{index}"]) for index in (0, 3))
    report = GateReport(scene_id="kitchen", job_id="job-1", tier="core", tiers_version="1", evidence="render_verdicts", shards=shards)
    scene.write_bytes(RENDER_GATES_PATH, report.model_dump_json().encode())
    return scene


def test_the_stage_prices_the_run(scene, settings):
    """Through the runner: the report is written, the result is its short form, the ledger has what the runner books."""
    result = run_stage("price_run", {"scene_id": "kitchen"}, settings)
    report = load_cost_report(scene)
    assert (result.kept, result.attempted, result.unknown_entries) == (2, 4, 0)
    assert result.usd_per_kept_episode == report.usd_per_kept_episode > 0
    with open_registry(settings.registry) as registry:
        assert registry.ledger.record(report.entries) == len(report.entries)
        assert registry.ledger.record(report.entries) == 0
        (total,) = registry.ledger.totals("job_id", job_id="job-1")
    assert total.estimated_usd == report.total.estimated_usd


def test_pricing_twice_does_the_work_once(scene, settings):
    """The key does not depend on the stage's own commit, so a second run finds the first; a stage done again changes it."""
    run_stage("price_run", {"scene_id": "kitchen"}, settings)
    first = load_commit(scene, "price_run")
    run_stage("price_run", {"scene_id": "kitchen"}, settings)
    assert load_commit(scene, "price_run") == first
    write_commit(scene, make_commit("write_dataset", minute=5, cpu_s=720.0))
    run_stage("price_run", {"scene_id": "kitchen"}, settings)
    again = load_commit(scene, "price_run")
    assert again.key != first.key
    assert again.result["estimated_usd"] > first.result["estimated_usd"]


def test_shards_of_an_older_plan_are_not_priced(scene):
    """Commits of shards that the plan does not have belong to another job."""
    write_commit(scene, make_commit("simulate_shard", 7))
    write_commit(scene, make_commit("package_bundle"))
    assert {(commit.stage, commit.unit) for commit in load_run(scene).commits} & {
        ("simulate_shard", "0007"),
        ("package_bundle", ""),
    } == set()


def test_a_run_that_is_not_there_is_an_error(scene, settings, tmp_path):
    """Without commits, without episodes, or before the stages before it, nothing is priced at zero."""
    for name in scene.files_under("geniesim/recordings"):
        scene.remove(name)
    with pytest.raises(NothingToPrice, match="recorded episode"):
        load_run(scene)
    scene.remove("commits")
    with pytest.raises(NothingToPrice, match="commit of a stage"):
        load_run(scene)
    with pytest.raises(InputMissing):
        run_stage("price_run", {"scene_id": "kitchen"}, settings)


def test_what_the_stage_declares():
    """It is the flow's price_run; it reads the commits of stages before it; its key knows the price tables."""
    assert load_stage("price_run") is PRICE_RUN
    read = [name for name in PRICE_RUN.reads(PriceRunRequest(scene_id="s")) if name.startswith("commits/")]
    assert {"commits/ingest_scene.json", "commits/certify_dataset.json"} < set(read)
    assert not {"commits/package_bundle.json", "commits/simulate_shard.json", "commits/record_approval.json"} & set(read)
    assert list(config_digests("price_run", StageRequest(scene_id="s"))) == [
        f"config/prices/{path.name}" for path in sorted(PRICES_DIR.glob("*.yaml"))
    ]


def test_the_report_is_json_with_numbers(scene, settings, tmp_path):
    """Money stands as numbers, and the same inputs give the same bytes."""
    written = []
    for name in ("a", "b"):
        context = StageContext(
            scene,
            staging=tmp_path / name,
            cache_dir=tmp_path,
            settings=settings,
            progress=lambda _done, _total: None,
            is_stopping=threading.Event().is_set,
        )
        PRICE_RUN.run(PriceRunRequest(scene_id="kitchen"), context)
        written.append((tmp_path / name / "geniesim/cost/report.json").read_bytes())
    assert written[0] == written[1]
    assert isinstance(json.loads(written[0])["usd_per_kept_episode"], float)
