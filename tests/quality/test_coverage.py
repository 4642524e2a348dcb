"""What became of a batch, counted in the registry: once, whatever runs twice, and rejected episodes with it."""

from pathlib import Path

import pytest

from blueprint_pipeline.errors import GateError
from blueprint_pipeline.job.count_batch import count_planned
from blueprint_pipeline.quality.coverage import count_rendered
from blueprint_pipeline.quality.fates import fate_of
from blueprint_pipeline.quality.report import load_gate_report, load_verdicts
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.coverage import BatchCoverage
from blueprint_pipeline.workspace.storage import Workspace
from tests.quality import synthetic, synthetic_scene
from tests.quality.gate_reports import write_report
from tests.task.coverage_cases import cell, plan_of

SOUND_M, NEAR_M, DEEP_M = 0.0005, 0.0031, 0.02
"""Deepest contacts: well within the limit, for a person, and beyond it."""
STARTS = ("left", "middle", "right")
REQUEST = {"scene_id": "kitchen"}


def build_scene(settings, *depths_m):
    """A recorded job in a workspace, with cells; each episode starts elsewhere, and its deepest contact is so deep."""
    scene = Workspace(settings.workspace).scene("kitchen")
    root = Path(scene.root.path)
    episodes = [synthetic.build_episode(index, shard_index=index // 2) for index in range(len(depths_m))]
    for episode, depth_m in zip(episodes, depths_m, strict=True):
        episode.columns["contact_depth_m"][30] = [SOUND_M, depth_m]
        synthetic_scene.write_episode(root, episode)
    covered = plan_of([cell(start=start) for start in STARTS[: len(depths_m)]])
    plan = synthetic.build_plan([episode.spec for episode in episodes]).model_copy(update={"coverage": covered})
    synthetic_scene.write_plan(root, plan)
    synthetic_scene.write_manifest(root, synthetic_scene.build_manifest(licence="CC0-1.0"))
    for name in (TWIN_PATH, "layout/settled.json"):
        scene.write_bytes(name, b"{}")
    return scene


def counts(settings):
    """By start: asked, attempted, kept, failed; of the one batch of the scene."""
    with open_registry(settings.registry) as registry:
        (record,) = registry.coverage.of_scene("kitchen")
    batch = BatchCoverage.model_validate(record.document)
    return {count.cell.start: (count.asked, count.attempted, count.kept, count.failed) for count in batch.cells}


def test_every_episode_is_counted_once_with_what_became_of_it(settings):
    """Planned; judged, however often; then drawn. What nobody approved failed; a plan that is found done takes nothing back."""
    scene = build_scene(settings, SOUND_M, NEAR_M, DEEP_M)
    with open_registry(settings.registry) as registry:
        count_planned(scene, registry)
        assert counts(settings) == dict.fromkeys(STARTS, (1, 0, 0, {}))
        run_stage("import_episodes", REQUEST, settings)
        gated = {"left": (1, 1, 1, {}), "middle": (1, 1, 0, {}), "right": (1, 1, 0, {"gate.penetration": 1})}
        for _ in range(2):
            run_stage("gate_episodes", REQUEST, settings)
            count_planned(scene, registry)
            assert counts(settings) == gated
        count_rendered(scene, registry)
        assert counts(settings) == gated
        sound = next(iter(load_verdicts(scene, load_gate_report(scene))))
        write_report(scene.write_bytes, "render_verdicts", [sound], scene_id="kitchen", job_id="job-0123456789ab")
        for again in (count_rendered, count_planned):
            again(scene, registry)
            assert counts(settings) == {**gated, "middle": (1, 1, 0, {"person.rejected": 1})}
        run_stage("gate_episodes", REQUEST, settings)
        assert counts(settings)["middle"] == (1, 1, 0, {"person.rejected": 1})


def test_a_job_of_which_nothing_is_kept_is_counted_all_the_same(settings):
    """The stage fails, and every episode stands in the registry as failed."""
    build_scene(settings, DEEP_M, DEEP_M)
    run_stage("import_episodes", REQUEST, settings)
    with pytest.raises(GateError):
        run_stage("gate_episodes", REQUEST, settings)
    assert counts(settings) == dict.fromkeys(STARTS[:2], (1, 1, 0, {"gate.penetration": 1}))


def test_another_plan_of_the_batch_replaces_it(settings):
    """A longer job: what was said of the shorter one is not said of it."""
    build_scene(settings, SOUND_M, DEEP_M)
    run_stage("import_episodes", REQUEST, settings)
    run_stage("gate_episodes", REQUEST, settings)
    with open_registry(settings.registry) as registry:
        count_planned(build_scene(settings, SOUND_M, DEEP_M, SOUND_M), registry)
    assert counts(settings) == dict.fromkeys(STARTS, (1, 0, 0, {}))


def test_reasons_have_stable_codes(settings):
    """An attempt's own failure by its stage and code, pictures apart from what was simulated, papers apart from what was done."""
    scene = build_scene(settings, DEEP_M)
    run_stage("import_episodes", REQUEST, settings)
    with pytest.raises(GateError):
        run_stage("gate_episodes", REQUEST, settings)
    (verdict,) = load_verdicts(scene, load_gate_report(scene))
    first = verdict.gates[0].model_copy(update={"passed": False, "message": "plan_pick: no_path: the bowl is in the way"})
    failed = verdict.model_copy(update={"gates": (first, *verdict.gates[1:])})
    schema = verdict.gates[0].model_copy(update={"passed": False, "gate": "schema"})
    assert fate_of(failed, drawn=False) == "plan_pick.no_path"
    assert fate_of(verdict, drawn=False) == "gate.penetration"
    assert fate_of(verdict, drawn=True) == "render.penetration"
    assert fate_of(verdict.model_copy(update={"gates": (schema,)}), drawn=False) == "record.schema"
    assert fate_of(verdict.model_copy(update={"gates": ()}), drawn=False) == "record.no_gates"
