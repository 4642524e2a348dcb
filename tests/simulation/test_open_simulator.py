"""What the settings name acts: shards go the whole way, simulate to gates, in each simulator, through the runner.

``isaac_sim`` is NVIDIA's API as documented with MuJoCo behind it (``fake_kit.py``): a stand-in, which proves nothing of Isaac Sim.
``served`` is MuJoCo behind ``blueprint.simulation.v1``, on a real socket.
"""

import atexit
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.run_job import run_job
from blueprint_pipeline.episode.record import EPISODE_NAME, EpisodeRecord, ReplayCertificate, recording_path
from blueprint_pipeline.errors import PreemptedError
from blueprint_pipeline.licence.policy import ComponentRule, load_policy
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.report import load_render_report, load_verdicts
from blueprint_pipeline.render.errors import NoDepthOrLabels, ProfileNotDrawn
from blueprint_pipeline.render.replay import replay_episode
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.settings import ComputeSettings, RegistrySettings, Settings, SimulationSettings, WorkspaceSettings, load_settings
from blueprint_pipeline.simulation import open_simulator as acting
from blueprint_pipeline.simulation.errors import NotVaried
from blueprint_pipeline.simulation.isaac_sim.api import start_isaac_sim
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.open_simulator import SimulatorDiffers, open_simulator
from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
from blueprint_pipeline.simulation.service.server import ServerOptions, SimulatorServer
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.plan import load_plan
from blueprint_pipeline.workspace.commits import load_commit
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from tests.simulation.isaac_sim.another_engine import ROW as ANOTHER
from tests.simulation.isaac_sim.fake_kit import FakeKit
from tests.temporary_rows import with_row

pytestmark = pytest.mark.slow

SCENE_ID = "minimal_ok"
SHARDS = (0, 1)
EPISODES = 2


@dataclass
class Bench:
    """A workspace with a planned scene, and the settings to run stages in it."""

    settings: Settings

    @property
    def scene(self) -> SceneFolder:
        return Workspace(self.settings.workspace).scene(SCENE_ID)

    def run(self, stage, **request):
        return run_stage(stage, {"scene_id": SCENE_ID, **request}, self.settings)

    def with_simulation(self, **fields) -> "Bench":
        return Bench(self.settings.model_copy(update={"simulation": SimulationSettings(**fields)}))

    def records(self) -> list[EpisodeRecord]:
        names = [name for name in self.scene.files_under("geniesim/recordings") if name.endswith("/episode.json")]
        return [EpisodeRecord.model_validate_json(self.scene.read_bytes(name)) for name in names]

    def certificates(self) -> list[ReplayCertificate]:
        names = [name for name in self.scene.files_under("geniesim/renders") if name.endswith("/certificate.json")]
        return [ReplayCertificate.model_validate_json(self.scene.read_bytes(name)) for name in names]

    def judge(self):
        """Import, gate, and ask nobody."""
        self.run("import_episodes")
        self.run("gate_episodes")
        self.run("record_approval")


@pytest.fixture(scope="module")
def planned(finished, tmp_path_factory):
    """An assembled scene with a planned job of two shards; copied, not used."""
    root = tmp_path_factory.mktemp("planned")
    shutil.copytree(finished[0].scene.local("mjcf").parent, root / "workspace/scenes" / SCENE_ID)
    bench = make_bench(root)
    bench.run("plan_tasks", episodes=EPISODES, shard_size=1, width=160, height=120, variation="none")
    return root


def make_bench(root: Path) -> Bench:
    return Bench(
        Settings(
            workspace=WorkspaceSettings(url=str(root / "workspace"), cache_dir=root / "cache"),
            registry=RegistrySettings(url=f"sqlite:///{root}/registry.db"),
            compute=ComputeSettings(workers=1),
        )
    )


@pytest.fixture
def bench(planned, tmp_path, monkeypatch):
    """The planned scene in a workspace of the test's own; the policy is that of people who read NVIDIA's terms."""
    shutil.copytree(planned / "workspace", tmp_path / "workspace")
    shutil.copytree(planned / "cache", tmp_path / "cache", dirs_exist_ok=True)
    row = ComponentRule(component="isaac_sim", versions="*", licence="LicenseRef-test", commercial_ok=True, evidence="read for this test")
    policy = load_policy()
    policy = policy.model_copy(update={"components": (*policy.components, row)})
    monkeypatch.setattr("blueprint_pipeline.quality.scene_assets.load_policy", lambda: policy)
    return make_bench(tmp_path)


@pytest.fixture(autouse=True)
def fresh_process():
    """As a process of its own: no simulator is open yet."""
    caches = (acting._open_here, acting._open_served, start_isaac_sim, load_settings)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


class Kit(FakeKit):
    """A stand-in for Isaac Sim that counts, and whose executions are never quite the same."""

    def __init__(self):
        super().__init__("6.1.0")
        self.opened = 0
        self.executions = 0
        self.slips = ()
        """Of every five executions, those in which nothing can be held."""

    def open_stage(self, path):
        self.opened += 1
        return super().open_stage(path)

    def begin_execution(self):
        slips = self.executions % 5 in self.slips
        self.executions += 1
        model, data = self.stand_in.model, self.stand_in.data
        self.friction = model.geom_friction.copy()
        if slips:
            model.geom_friction[:] = 1e-4
        data.qvel[:] += np.random.default_rng(self.executions).normal(0.0, 1e-5, model.nv)


@pytest.fixture
def kit(monkeypatch):
    """Isaac Sim's modules as documented, installed."""
    found = Kit()
    found.install(monkeypatch)
    restore, track = IsaacSimSimulator.restore_state, IsaacSimSimulator.track

    def restore_state(self, state):
        answer = restore(self, state)
        found.begin_execution()
        return answer

    def track_and_mend(self, setpoints):
        answer = track(self, setpoints)
        if found.executions:
            found.stand_in.model.geom_friction[:] = found.friction
        return answer

    monkeypatch.setattr(IsaacSimSimulator, "restore_state", restore_state)
    monkeypatch.setattr(IsaacSimSimulator, "track", track_and_mend)
    return found


def run_both(bench: Bench, stage: str):
    """Both shards by one job, as a pod works them off."""
    requests = tuple({"scene_id": SCENE_ID, "shard_index": index} for index in SHARDS)
    return run_job(JobSpec(stage=stage, requests=requests, run_id="r"), bench.settings, keep=lambda _: None, progress=lambda _d, _t: None)


def test_isaac_sim_acts_the_whole_way(bench, kit, tmp_path) -> None:
    """One start for all shards of a job; episodes, certificates, gates and the card say who acted, and by which rule they are trusted."""
    isaac = bench.with_simulation(simulator="isaac_sim")
    run_both(isaac, "simulate_shard")
    assert (len(kit.started), kit.opened) == (1, len(SHARDS))
    for record in isaac.records():
        assert (record.simulator.name, record.simulator.version) == ("isaac_sim", "6.1.0")
        assert record.capabilities.model_dump() == {
            "deterministic": False,
            "restores_state": False,
            "renders": True,
            "contacts": True,
            "varies": False,
            "efforts": True,
        }
        assert record.outcome.success, record.outcome.failure_reason
    assert load_commit(isaac.scene, "simulate_shard", "shard_0000").request["simulator"] == "isaac_sim"
    isaac.judge()
    run_both(isaac, "render_shard")
    assert (len(kit.started), kit.executions) == (1, 5 * EPISODES)
    for certificate in isaac.certificates():
        assert (certificate.rule, certificate.replayed, certificate.renderer) == ("k_of_n", True, "isaac_sim 6.1.0")
        assert (certificate.k_of_n.held, len(certificate.k_of_n.executions)) == (5, 5)
        assert 0 < certificate.k_of_n.spread_m < 0.01
        assert certificate.first_difference_frame is not None
        assert set(certificate.videos) == {"scene", "wrist"}
    assert load_commit(isaac.scene, "render_shard", "shard_0001").request["replay_rule"] == {"needed": 4, "attempts": 5, "spread_m": 0.01}
    assert isaac.run("gate_renders").kept == EPISODES
    for verdict in load_verdicts(isaac.scene, load_render_report(isaac.scene)):
        gates = {gate.gate: gate for gate in verdict.gates}
        assert gates["replay_agreement"].value == 1.0
        assert gates["target_visible"].origin == "estimated"
        assert "k-of-n, 5 of 5 executions" in gates["certificate"].message
    isaac.run("write_dataset")
    card = isaac.scene.read_bytes("geniesim/lerobot/v3.0/README.md").decode()
    assert "certified by the k-of-n rule, not bit by bit" in card
    assert "Simulated with isaac_sim 6.1.0" in card
    assert "bit-identical" not in card


def test_isaac_sim_varies_nothing(bench, kit) -> None:
    """A job of its own is planned plain; a variation that is asked for is refused before the plan that lies there goes."""
    isaac = bench.with_simulation(simulator="isaac_sim")
    before = bench.scene.read_bytes("geniesim/plan.json")
    with pytest.raises(NotVaried, match="Isaac Sim cannot vary a scene"):
        isaac.run("plan_tasks", episodes=1, variation="mild")
    assert bench.scene.read_bytes("geniesim/plan.json") == before
    isaac.run("plan_tasks", episodes=1, shard_size=1, width=160, height=120)
    assert load_plan(isaac.scene).variation == "none"
    bench.run("plan_tasks", episodes=1, shard_size=1, width=160, height=120)
    assert load_plan(bench.scene).variation == "mild"
    with pytest.raises(NotVaried, match="isaac_sim cannot vary a scene"):
        isaac.run("simulate_shard", shard_index=0)


def test_a_new_simulator_is_its_folder_and_a_row(bench, monkeypatch) -> None:
    """The stand-in under a name of its own goes the whole way; its licence is a row of the policy, which is data."""
    row = ComponentRule(component="another", versions="*", licence="LicenseRef-test", commercial_ok=True, evidence="made for this test")
    policy = load_policy()
    policy = policy.model_copy(update={"components": (*policy.components, row)})
    monkeypatch.setattr("blueprint_pipeline.quality.scene_assets.load_policy", lambda: policy)
    bench.run("plan_tasks", episodes=1, shard_size=1, width=160, height=120, variation="none")
    with with_row(SIMULATORS, ANOTHER):
        another = bench.with_simulation(simulator="another")
        another.run("simulate_shard", shard_index=0)
        another.judge()
        another.run("render_shard", shard_index=0)
        assert another.run("gate_renders").kept == 1
        another.run("write_dataset")
    (certificate,) = another.certificates()
    assert (certificate.rule, certificate.simulator.name) == ("k_of_n", "another")
    assert "Simulated with another" in another.scene.read_bytes("geniesim/lerobot/v3.0/README.md").decode()


def test_an_episode_that_fails_two_of_five_is_rejected(bench, kit) -> None:
    """Nothing is drawn, the gate says how often it held, and nothing is kept."""
    bench.run("plan_tasks", episodes=1, shard_size=1, width=160, height=120, variation="none")
    isaac = bench.with_simulation(simulator="isaac_sim")
    isaac.run("simulate_shard", shard_index=0)
    isaac.judge()
    kit.slips = (1, 4)
    rendered = isaac.run("render_shard", shard_index=0)
    assert (rendered.rendered, len(rendered.refused)) == (0, 1)
    assert not [name for name in isaac.scene.files_under("geniesim/renders") if name.endswith(".mp4")]
    with pytest.raises(NothingKept, match="3 of 5 executions did the task, 4 must"):
        isaac.run("gate_renders")
    (verdict, *_) = load_verdicts(isaac.scene, load_render_report(isaac.scene))
    gates = {gate.gate: gate for gate in verdict.gates}
    assert (gates["replay_agreement"].value, gates["replay_agreement"].passed) == (0.6, False)


def without_platform(bench, name):
    """A file's bytes; of a record all but the class of machine, which a client cannot know of its server."""
    data = bench.scene.read_bytes(name)
    return {**json.loads(data), "platform": None} if name.endswith(EPISODE_NAME) else data


def test_a_served_mujoco_makes_the_same_episodes(bench, tmp_path) -> None:
    """Byte by byte those of the embedded one, however their scenes vary, certified bit-identical over the wire; then it is free at once."""
    bench.run("plan_tasks", episodes=EPISODES, shard_size=1, width=160, height=120, variation="wide")
    embedded = make_bench(tmp_path / "embedded")
    shutil.copytree(tmp_path / "workspace", tmp_path / "embedded/workspace")
    run_both(embedded, "simulate_shard")
    with SimulatorServer(MujocoSimulator(), ServerOptions()) as server:
        served = bench.with_simulation(address=server.address)
        run_both(served, "simulate_shard")
        names = [name for name in served.scene.files_under("geniesim/recordings") if not name.endswith(("shard.json", "commit.json"))]
        assert len(names) == 2 * EPISODES
        for name in names:
            assert without_platform(served, name) == without_platform(embedded, name), name
        served.judge()
        run_both(served, "render_shard")
        acting._close_quietly(open_simulator("mujoco", served.settings))
        atexit.unregister(acting._close_quietly)
        RemoteSimulator(ClientOptions(address=server.address)).load(served.scene.local("mjcf").parent, served.records()[0].robot, 30)
    assert {item.rule for item in served.certificates()} == {"bit_identical"}
    assert all(item.replayed and item.renderer.startswith("mujoco ") for item in served.certificates())
    assert served.run("gate_renders").kept == EPISODES


def test_another_simulator_is_another_result(bench, kit, monkeypatch) -> None:
    """What MuJoCo made is not taken for what Isaac Sim should make, and what Isaac Sim made is not replayed by MuJoCo."""
    monkeypatch.setenv("BPP__WORKSPACE__URL", bench.settings.workspace.url)
    monkeypatch.setenv("BPP__WORKSPACE__CACHE_DIR", str(bench.settings.workspace.cache_dir))
    bench.run("simulate_shard", shard_index=0)
    isaac = bench.with_simulation(simulator="isaac_sim")
    isaac.run("simulate_shard", shard_index=0)
    assert {record.simulator.name for record in isaac.records()} == {"isaac_sim"}
    record = isaac.records()[0]
    simulator = MujocoSimulator()
    loaded = simulator.load(isaac.scene.local("mjcf").parent, record.robot, record.fps)
    states = isaac.scene.local(recording_path(0, record.episode_id)) / "states.parquet"
    verdict = replay_episode(simulator, loaded, record, states)
    assert not verdict.replayed
    assert "made with isaac_sim, and mujoco acts here" in verdict.refusal.message
    replay = ["episode", "replay", SCENE_ID, record.episode_id, "--json"]
    refused = CliRunner().invoke(app, replay)
    assert (refused.exception.code, refused.exception.exit_code) == ("episode.not_replayed", 66)
    monkeypatch.setenv("BPP__SIMULATION__SIMULATOR", "isaac_sim")
    load_settings.cache_clear()
    answer = CliRunner().invoke(app, replay)
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    assert (said["rule"], said["simulator"], said["k_of_n"]["held"]) == ("k_of_n", "isaac_sim", 5)


def test_another_image_of_isaac_sim_is_another_result(bench, kit) -> None:
    """Its release is no package's version: what one image made is made anew in the next, and found again in the same."""

    def simulate(digest):
        compute = bench.settings.compute.model_copy(update={"image_digest": f"sha256:{digest * 32}"})
        isaac = Bench(bench.settings.model_copy(update={"compute": compute})).with_simulation(simulator="isaac_sim")
        isaac.run("simulate_shard", shard_index=0)
        return kit.opened

    assert [simulate(digest) for digest in ("5a", "5a", "5b")] == [1, 1, 2]
    embedded = [
        bench.settings.model_copy(update={"compute": ComputeSettings(image_digest=f"sha256:{digest * 32}")}) for digest in ("5a", "5b")
    ]
    assert [acting.simulator_release("mujoco", settings) for settings in embedded] == [{}, {}]


def test_a_simulator_other_than_the_settings_name_is_refused(bench) -> None:
    with SimulatorServer(MujocoSimulator(), ServerOptions()) as server:
        other = bench.with_simulation(simulator="isaac_sim", address=server.address)
        with pytest.raises(SimulatorDiffers, match=f"At {server.address} mujoco is served, but the settings name isaac_sim"):
            other.run("simulate_shard", shard_index=0)


def test_depth_is_not_asked_of_who_draws_colour_alone(bench, kit) -> None:
    """Before anything is started."""
    bench.run("simulate_shard", shard_index=0)
    bench.run("simulate_shard", shard_index=1)
    bench.judge()
    with pytest.raises(NoDepthOrLabels, match="isaac_sim draws only colour"):
        bench.with_simulation(simulator="isaac_sim").run("render_shard", shard_index=0, depth=True)
    with pytest.raises(ProfileNotDrawn, match="isaac_sim draws in its own way only, but the render profile 'realistic' was requested"):
        bench.with_simulation(simulator="isaac_sim").run("render_shard", shard_index=0, render_profile="realistic")
    assert kit.started == []


def test_sigterm_stops_isaac_sim_between_episodes(bench, kit, tmp_path) -> None:
    """What is finished is published; the run after it makes the rest, and starts nothing again."""
    bench.run("plan_tasks", episodes=2, shard_size=2, width=160, height=120, variation="none")
    isaac = bench.with_simulation(simulator="isaac_sim")
    asked = []

    def stop_after_first():
        asked.append(True)
        return len(asked) > 1

    def context(is_stopping):
        scene = isaac.scene
        return StageContext(
            scene,
            staging=scene.staging("test"),
            cache_dir=tmp_path / "cache",
            settings=isaac.settings,
            progress=lambda _done, _total: None,
            is_stopping=is_stopping,
        )

    with pytest.raises(PreemptedError):
        simulate_shard(0, context(stop_after_first))
    (first,) = isaac.records()
    assert [summary.success for summary in simulate_shard(0, context(lambda: False))] == [True, True]
    assert first in isaac.records()
    assert len(kit.started) == 1


def test_nothing_that_isaac_sim_brings_is_imported_before_it_starts() -> None:
    """``pxr`` must be Kit's own: the stages import none when they are looked up."""
    modules = "blueprint_pipeline.rollout.stages, blueprint_pipeline.render.stages, blueprint_pipeline.compute.run_job"
    script = f"import sys, {modules}; sys.exit('pxr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
