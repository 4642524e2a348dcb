"""The stages under the real runner: done work is found, approvals are only ever added, a changed report asks again."""

from pathlib import Path

import pytest

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.quality.approval_log import load_approvals
from blueprint_pipeline.quality.report import load_gate_report, load_rendered_selection
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.commits import load_commit
from blueprint_pipeline.workspace.errors import InputMissing
from blueprint_pipeline.workspace.storage import Workspace
from tests.quality import synthetic, synthetic_scene


@pytest.fixture
def scene(settings):
    """A recorded job in a workspace: one sound episode and one near a limit."""
    scene = Workspace(settings.workspace).scene("kitchen")
    root = Path(scene.root.path)
    near = synthetic.build_episode(1)
    near.columns["contact_depth_m"][30] = [0.0005, 0.0031]
    episodes = [synthetic.build_episode(0), near]
    synthetic_scene.write_plan(root, synthetic.build_plan([episode.spec for episode in episodes]))
    for episode in episodes:
        synthetic_scene.write_episode(root, episode)
    synthetic_scene.write_manifest(root, synthetic_scene.build_manifest(licence="CC0-1.0"))
    return scene


def decision(minute, *, approved):
    return {
        "episode_id": "ep_000001",
        "approved": approved,
        "decided_by": "ops",
        "reason": "",
        "decided_at": f"2026-12-01T12:{minute:02}:00Z",
    }


def test_gates_wait_for_an_import_without_losses(scene, settings):
    with pytest.raises(InputMissing, match=r"checksums\.json"):
        run_stage("gate_episodes", {"scene_id": "kitchen"}, settings)


def test_from_import_to_approval(scene, settings):

    def run(name, **request):
        return run_stage(name, {"scene_id": "kitchen", **request}, settings)

    run("import_episodes")
    assert run("gate_episodes").borderline == 1
    first = load_commit(scene, "gate_episodes")
    assert run("gate_episodes").borderline == 1
    assert load_commit(scene, "gate_episodes") == first
    run("record_approval")
    run("record_approval", decisions=[decision(1, approved=True)])
    assert len(load_rendered_selection(scene, load_gate_report(scene))) == 2
    run("record_approval")
    assert len(load_rendered_selection(scene, load_gate_report(scene))) == 2
    run("record_approval", decisions=[decision(2, approved=False)])
    assert len(load_rendered_selection(scene, load_gate_report(scene))) == 1
    assert [entry.status for entry in load_approvals(scene)] == ["approved", "rejected"]
    assert run("gate_episodes", tier="full").rejected == 1
    with pytest.raises(BlueprintError, match=r"quality\.unknown_decision"):
        run("record_approval", decisions=[decision(3, approved=True)])
