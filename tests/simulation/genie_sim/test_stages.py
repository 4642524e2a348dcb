"""One pick and place, planned in the twin, acted out through Genie Sim's protocol, recorded by the server, and taken the whole way.

The server is the tests' own, MuJoCo behind it: a stand-in. Genie Sim itself was not run.
"""

import numpy as np
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.episode.record import EpisodeRecord, ReplayCertificate
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.report import GATES_PATH, GateReport, load_verdicts
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.settings import (
    ComputeSettings,
    GenieSimSettings,
    RegistrySettings,
    Settings,
    SimulationSettings,
    WorkspaceSettings,
    load_settings,
)
from blueprint_pipeline.simulation import open_simulator as acting
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.storage import Workspace
from tests.scene.finished_scene import run_all
from tests.simulation.genie_sim.server import GenieSimServer
from tests.simulation.genie_sim.table_scene import SCENE_ID, write_table_scene

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

EPISODE = "pick_place_ep000000"


@pytest.fixture
def server(tmp_path):
    with GenieSimServer(tmp_path / "recording_data") as started:
        yield started


@pytest.fixture
def settings(tmp_path, server, mesh_cache, monkeypatch):
    """Of a process that acts through the server, on a finished scene."""
    run_all(tmp_path / "workspace/scenes" / SCENE_ID, write_table_scene(tmp_path / "source"), mesh_cache, SCENE_ID)
    genie = {"address": server.address, "version": "3.2.0", "stages": tmp_path / "stages", "recordings": server.recordings}
    for name, value in genie.items():
        monkeypatch.setenv(f"BPP__GENIE_SIM__{name.upper()}", str(value))
    for cached in (load_settings, acting._open_here):
        cached.cache_clear()
    yield Settings(
        workspace=WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{tmp_path}/registry.db"),
        compute=ComputeSettings(workers=1),
        simulation=SimulationSettings(simulator="genie_sim"),
        genie_sim=GenieSimSettings(**genie),
    )
    for cached in (load_settings, acting._open_here):
        cached.cache_clear()


@pytest.fixture
def research(monkeypatch):
    """Tiers of an installation that sells nothing."""
    config = load_tiers()
    tiers = {name: tier.model_copy(update={"commercial": False}) for name, tier in config.tiers.items()}
    config = config.model_copy(update={"tiers": tiers})

    def use():
        for module in ("episode_gating", "render_gating"):
            monkeypatch.setattr(f"blueprint_pipeline.quality.{module}.load_tiers", lambda: config)

    return use


def test_an_episode_goes_the_whole_way(settings, server, research):
    """Refused by name where data is sold; for research kept, certified by k of n, and drawn in the twin."""
    scene = Workspace(settings.workspace).scene(SCENE_ID)

    def run(stage, **request):
        return run_stage(stage, {"scene_id": SCENE_ID, **request}, settings)

    run("plan_tasks", episodes=1, robot="agibot_g2", skills=["pick_place"], width=160, height=120, variation="none")
    assert run("simulate_shard", shard_index=0).succeeded == 1
    folder = f"geniesim/recordings/shard_0000/{EPISODE}"
    record = EpisodeRecord.model_validate_json(scene.read_bytes(f"{folder}/episode.json"))
    assert (record.simulator.name, record.simulator.version, record.capabilities.contacts) == ("genie_sim", "3.2.0", False)
    table = pq.read_table(scene.local(f"{folder}/states.parquet"))
    assert np.isfinite(np.array(table["robot_torque"].to_pylist())).all(), "torque is that of the server's recording"
    assert np.isnan([force for row in table["contact_force_n"].to_pylist() for force in row]).all(), "no force was measured"
    np.testing.assert_allclose(np.diff(table["time_s"].to_numpy()), 1 / record.fps, atol=1e-9)
    (recorded,) = server.recordings.iterdir()
    assert recorded.name.startswith(f"[{EPISODE}_")
    run("import_episodes")
    with pytest.raises(NothingKept, match=r"licences: 1 blockers.*genie_sim 3\.2\.0: non_commercial"):
        run("gate_episodes")
    (verdict,) = load_verdicts(scene, GateReport.model_validate_json(scene.read_bytes(GATES_PATH)))
    assert [gate.gate for gate in verdict.gates if not gate.passed] == ["licences"]
    research()
    assert run("gate_episodes", tier="plus").kept == 1
    run("record_approval")
    run("render_shard", shard_index=0)
    certificate = ReplayCertificate.model_validate_json(scene.read_bytes(f"geniesim/renders/shard_0000/{EPISODE}/certificate.json"))
    assert (certificate.rule, certificate.replayed, certificate.k_of_n.held) == ("k_of_n", True, 5)
    assert certificate.k_of_n.spread_m < 0.005
    assert certificate.renderer.startswith("mujoco ")
    assert sorted(certificate.videos) == ["scene", "wrist"]
    assert run("gate_renders", tier="plus").kept == 1
