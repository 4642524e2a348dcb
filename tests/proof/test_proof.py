"""``bpp simulator prove``: what it runs, what it files, and that it can fail."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.episode.reader import load_audited_plan
from blueprint_pipeline.episode.record import KOfN
from blueprint_pipeline.job.stages import PLAN_TASKS
from blueprint_pipeline.proof.evidence import evidence_path, file_proof
from blueprint_pipeline.proof.proof import AttemptRecord, ProofRecord, judge, prove_simulator
from blueprint_pipeline.rollout.errors import NothingPlanned
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.isaac_sim.api import start_isaac_sim
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.session import RecordingApi, ReplayedApi
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.open_simulator import TwinDiffers
from blueprint_pipeline.simulators import SIMULATORS
from tests.compute.fake_driver import FakeDriver
from tests.scene.scene_files import make_context
from tests.simulation.isaac_sim.fake_kit import FakeKit
from tests.simulation.isaac_sim.record_session import SESSION
from tests.simulation.isaac_sim.stand_in import MujocoStandIn
from tests.simulation.small_job import SCENE_ID, small_folder, write_job
from tests.temporary_rows import with_row

runner = CliRunner()


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The small scene with a planned job; its folder and plan."""
    folder = tmp_path_factory.mktemp("job")
    return folder, write_job(folder, episodes=2)


@pytest.fixture
def workspace(job, monkeypatch):
    """The process's settings point at the job's workspace."""
    monkeypatch.setenv("BPP__WORKSPACE__URL", str(job[0] / "workspace"))
    monkeypatch.setenv("BPP__WORKSPACE__CACHE_DIR", str(job[0] / "cache"))
    load_settings.cache_clear()
    yield small_folder(job[0])
    load_settings.cache_clear()


def attempt(x, *, success=True):
    end = None if x is None else (x, 0.0, 0.0)
    return AttemptRecord(success=success, failure=None if success else "predicate:not_arrived", target_end_m=end, frames=1, wall_s=0.1)


@pytest.mark.parametrize(
    ("attempts", "within", "spread"),
    [
        ([attempt(0.5)] * 5, 5, 0.0),
        ([attempt(0.5), attempt(0.504), attempt(0.496)], 3, 0.004),
        ([attempt(0.5), attempt(0.5), attempt(0.53)], 2, 0.03),
        ([attempt(0.5), attempt(0.5), attempt(0.5, success=False)], 2, 0.0),
        ([attempt(None, success=False)] * 3, 0, None),
    ],
)
def test_k_of_n_counts_successes_that_end_together(attempts, within, spread):
    """A failure does not count, nor a success that ends elsewhere."""
    counted, largest, median = judge(attempts, KOfN(needed=4, attempts=5, spread_m=0.01))
    assert (counted, largest) == (within, None if spread is None else pytest.approx(spread))
    assert (median is None) == (spread is None)


def test_prove_files_the_evidence_with_the_scene(workspace):
    """On MuJoCo: the suite, five attempts that are the same to the bit, a picture a camera, versions, one record."""
    answer = runner.invoke(app, ["simulator", "prove", SCENE_ID, "--attempts", "2", "--needed", "2", "--json"])
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    where = said.pop("evidence").split(f"{SCENE_ID}/", 1)[1]
    record = ProofRecord.model_validate_json(workspace.read_bytes(f"{where}/proof.json"))
    assert record.model_dump(mode="json") == said
    assert (record.simulator, record.answered_by, record.passed, record.preflight, record.session) == (
        "mujoco",
        "simulator",
        True,
        None,
        None,
    )
    assert len(record.checks) == len(CHECKS)
    assert record.machine.packages["mujoco"] == record.simulator_version
    episode = record.episode
    assert (episode.within, episode.spread_m, episode.distance_to_twin_m) == (2, 0.0, 0.0)
    assert [frame.camera for frame in episode.frames] == ["scene", "wrist"]
    for frame in episode.frames:
        with Image.open(workspace.local(f"{where}/{frame.file}")) as image:
            assert (image.size, np.array(image).std()) == ((160, 120), pytest.approx(frame.std_levels))


def test_prove_of_an_unfit_machine_files_why_and_ends_with_69(workspace, tmp_path, monkeypatch):
    """Before Isaac Sim is started: an H200 has no RT cores."""
    driver = FakeDriver(tmp_path, monkeypatch)
    driver.gpus("NVIDIA H200")
    answer = runner.invoke(app, ["simulator", "prove", SCENE_ID, "--simulator", "isaac_sim", "--json"])
    assert answer.exception.code == "compute.gpu_without_rt_cores"
    (name,) = workspace.files_under("evidence/isaac_sim")
    assert name.endswith("/preflight_error.json")
    assert json.loads(workspace.read_bytes(name))["code"] == "compute.gpu_without_rt_cores"


def test_prove_without_a_plan_says_what_to_run(workspace):
    answer = runner.invoke(app, ["simulator", "prove", "nowhere"])
    assert isinstance(answer.exception, NothingPlanned)
    assert "plan_tasks" in str(answer.exception)


class Slippery(MujocoSimulator):
    """Lets go of what it holds, once the suite is over."""

    loads = 0

    def load(self, scene, robot, fps):
        loaded = super().load(scene, robot, fps)
        self.loads += 1
        if self.loads > 1:
            self.model.geom_friction[:] = 1e-4
        return loaded


def prove(job, simulator, **options):
    folder, plan = job
    local = small_folder(folder).local("mjcf").parent
    kept = {}
    defaults = {"rule": KOfN(needed=1, attempts=1, spread_m=0.01), "cache_dir": folder / "cache", "keep": kept.__setitem__}
    return prove_simulator(simulator, local, plan, **{**defaults, **options}), kept


def test_an_episode_that_fails_is_a_proof_that_failed(job):
    """And says how each attempt ended."""
    record, kept = prove(job, Slippery())
    assert not record.passed
    assert record.episode.within == 0
    assert record.episode.twin.success, "in the twin the same episode succeeds"
    assert all(item.failure for item in record.episode.attempts)
    assert len(kept) == 2


class Blind(MujocoSimulator):
    """Draws black."""

    def render(self, camera, width, height):
        return np.zeros((height, width, 3), dtype=np.uint8)


def test_a_suite_that_fails_ends_the_proof(job):
    record, kept = prove(job, Blind())
    assert (record.passed, record.episode, kept) == (False, None, {})
    assert [check.name for check in record.checks if not check.passed] == ["cameras"]


class Renamed(MujocoSimulator):
    """Knows the objects by other names."""

    def load(self, scene, robot, fps):
        from dataclasses import replace

        loaded = super().load(scene, robot, fps)
        return loaded if loaded.object_ids == ("block",) else replace(loaded, object_ids=loaded.object_ids[::-1])


def test_objects_in_another_order_than_the_twins_are_an_error(job):
    """A plan for one would move the other."""
    record, _ = prove(job, Renamed())
    assert (record.passed, record.error["code"]) == (False, TwinDiffers.code)


def test_an_unknown_episode_is_an_error(job):
    record, _ = prove(job, MujocoSimulator(), episode_id="ghost")
    assert (record.passed, record.error["code"]) == (False, UnknownName.code)


@pytest.fixture(scope="module")
def planned(finished, tmp_path_factory, mesh_cache):
    """A copy of the assembled scene, for evidence is filed there, with a planned job of one episode; its context."""
    root = tmp_path_factory.mktemp("planned") / "minimal_ok"
    shutil.copytree(finished[0].scene.local("mjcf").parent, root)
    context = make_context(root, "minimal_ok", mesh_cache)
    PLAN_TASKS.run(PLAN_TASKS.request(scene_id="minimal_ok", episodes=1, width=160, height=120, variation="mild"), context)
    context.publish("geniesim")
    return context


@pytest.mark.slow
def test_a_stand_in_says_so_in_the_proof(planned):
    """A planned episode on our own stage of an assembled scene succeeds there as in the twin; the session can be checked again."""

    @contextmanager
    def stand_in(session):
        with RecordingApi(MujocoStandIn(), session, "test") as api:
            yield IsaacSimSimulator(api)

    where = evidence_path("isaac_sim")
    plan = load_audited_plan(planned.scene, "test")
    record = file_proof(
        planned.scene, plan, stand_in, where, preflight=None, rule=KOfN(needed=2, attempts=2, spread_m=0.01), answered_by="stand_in"
    )
    assert (record.passed, record.answered_by, record.session) == (True, "stand_in", "session.jsonl.gz")
    assert record.episode.distance_to_twin_m < 0.01
    again = check_simulator(IsaacSimSimulator(ReplayedApi(planned.scene.local(f"{where}/session.jsonl.gz"))))
    assert [(check.name, check.passed) for check in again] == [(check.name, check.passed) for check in record.checks]


@pytest.mark.slow
def test_prove_with_isaac_sim_files_preflight_and_session(planned, tmp_path, monkeypatch):
    """The command itself, on modules of the documented shape and a driver that reports an L4."""
    FakeKit("6.1.0").install(monkeypatch)
    start_isaac_sim.cache_clear()
    driver = FakeDriver(tmp_path, monkeypatch)
    driver.gpus("NVIDIA L4")
    driver.vulkan("NVIDIA L4")
    (tmp_path / "workspace/scenes").mkdir(parents=True)
    (tmp_path / "workspace/scenes/minimal_ok").symlink_to(planned.scene.local("mjcf").parent)
    monkeypatch.setenv("BPP__WORKSPACE__URL", str(tmp_path / "workspace"))
    load_settings.cache_clear()
    with with_row(SIMULATORS, replace(SIMULATORS["isaac_sim"], minimum_disk_bytes=1)):
        answer = runner.invoke(
            app, ["simulator", "prove", "minimal_ok", "--simulator", "isaac_sim", "--attempts", "1", "--needed", "1", "--json"]
        )
    start_isaac_sim.cache_clear()
    load_settings.cache_clear()
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    folder = Path(said["evidence"])
    assert {path.name for path in folder.iterdir()} == {"proof.json", "frame_scene.png", "frame_wrist.png", "session.jsonl.gz"}
    assert (said["simulator_version"], said["passed"]) == ("6.1.0", True)
    assert [gpu["name"] for gpu in said["preflight"]["gpus"]] == ["NVIDIA L4"]
    assert ReplayedApi(folder / "session.jsonl.gz").header.content == "bpp simulator prove"


def test_check_plays_a_session_back_and_says_what_answered():
    answer = runner.invoke(app, ["simulator", "check", "--session", str(SESSION), "--json"])
    assert answer.exit_code == 0
    said = json.loads(answer.stdout)
    assert "origin stand_in" in said["simulator"]
    assert "not Isaac Sim" in said["simulator"]
    assert len(said["checks"]) == len(CHECKS)


def test_check_with_preflight_refuses_before_anything_starts(tmp_path, monkeypatch):
    driver = FakeDriver(tmp_path, monkeypatch)
    driver.gpus("NVIDIA H200")
    answer = runner.invoke(app, ["simulator", "check", "--simulator", "isaac_sim", "--preflight", "--json"])
    assert answer.exception.code == "compute.gpu_without_rt_cores"
    assert answer.exception.exit_code == 69


def test_check_with_preflight_reports_the_machine():
    """MuJoCo needs no GPU, and says which there is."""
    answer = runner.invoke(app, ["simulator", "check", "--preflight", "--json"])
    assert answer.exit_code == 0
    parts = {finding["part"] for finding in json.loads(answer.stdout)["preflight"]["findings"]}
    assert parts == {"gpu", "disk", "image", "planner"}


def test_only_one_option_says_what_acts():
    answer = runner.invoke(app, ["simulator", "check", "--simulator", "isaac_sim", "--address", "127.0.0.1:1"])
    assert answer.exit_code == 2
