"""What a lab does with the replay kit of a bundle: execute the episodes again, and draw them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from blueprint_pipeline.delivery.replay_kit import KitDiffers
from blueprint_pipeline.kit.replay import compare
from blueprint_pipeline.kit.variation import VariedLooks
from blueprint_pipeline.kit.world import load_scene
from blueprint_pipeline.render.bounded_replay import BOUND
from blueprint_pipeline.simulation.mujoco.drawing import apply_lights
from blueprint_pipeline.simulation.mujoco.renderer import Renderer, camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.simulation.platform_class import platform_class
from blueprint_pipeline.simulation.render_profiles import RENDER_PROFILES
from tests.delivery.scene_workspace import KEPT


@pytest.fixture(scope="session")
def bare_packages(tmp_path_factory):
    """A folder of packages that has mujoco, numpy and pyarrow, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    for package in (mujoco, np, pa):
        found = Path(package.__file__).parent
        for path in (found, found.with_name(f"{found.name}.libs")):
            if path.is_dir():
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def replay(bare_packages):
    """Run a kit's script where nothing but what it needs can be imported."""

    def run(folder, *episodes, **environment):
        command = [sys.executable, "-S", str(folder / "replay.py"), *episodes]
        known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(bare_packages)} | environment
        return subprocess.run(command, env=known, capture_output=True, text=True, check=False)

    return run


def test_the_replay_kit_replays_bit_by_bit(packed_once, tmp_path, replay):
    """The script, alone in another folder and with three packages, executes every kept episode again and judges it; it leaves no trace."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    ran = replay(tmp_path / "elsewhere")
    assert ran.returncode == 0, ran.stderr
    told = [line.partition("; ") for line in ran.stdout.splitlines()]
    assert [line[0] for line in told] == [f"ep_{index:04d}: bit-identical" for index in range(KEPT)]
    assert all(line[2].startswith("task not done (lifted: ") for line in told)
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before, "what is added to a bundle makes it one that was altered"


def test_an_outcome_that_is_not_the_recorded_one_is_told(packed_once, tmp_path, replay):
    """A record that says that the task was done, where the arm only wiggled: the states replay, and the script fails."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    path = tmp_path / "elsewhere/episodes/ep_0001/episode.json"
    record = json.loads(path.read_text())
    record["outcome"]["success"] = True
    path.write_text(json.dumps(record))
    ran = replay(tmp_path / "elsewhere", "ep_0001")
    assert ran.returncode == 1
    assert ran.stdout.startswith("ep_0001: bit-identical; task not done (")
    assert ran.stdout.endswith("NOT AS RECORDED\n")


def test_the_replay_kit_tells_a_difference(packed_once, tmp_path, replay):
    """One light change of the scene, and the script says that the episode differs."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    xml = tmp_path / "elsewhere/scene/scene.xml"
    xml.write_text(xml.read_text().replace('mass="0.2"', 'mass="0.2001"'))
    ran = replay(tmp_path / "elsewhere", "ep_0001")
    assert ran.returncode == 1
    assert ran.stdout.startswith("ep_0001: DIFFERS by up to")


def test_a_kit_that_would_not_replay_is_not_packed(scene, package):
    """The scene changed since the simulation: no bundle."""
    xml = scene / "mjcf/scene.xml"
    xml.write_text(xml.read_text().replace('mass="0.2"', 'mass="0.3"'))
    with pytest.raises(KitDiffers):
        package()
    assert not (scene / "deliveries").exists()


@pytest.mark.parametrize("profile", RENDER_PROFILES.values(), ids=RENDER_PROFILES)
def test_a_lab_draws_the_same_pictures(packed_once, tmp_path, profile):
    """The kit's own script, its settings from ``kit.json``: pixel by pixel what our renderer draws, however the scene was varied."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "kit")
    looks = {"light_level": 0.8, "light_tint": [1.1, 1.0, 0.9], "light_turn_rad": 0.6, "tints": {"table": [0.6, 0.9, 0.8]}}
    starts = json.loads((tmp_path / "kit/starts.json").read_text())
    varied = next(row["variation"] for row in starts if row["start_id"] == "ep_0000")
    varied |= looks | {"view": {"position_m": [1.3, 0.1, 1.4], "quat_wxyz": [0.56, 0.43, 0.43, 0.56], "fovy_deg": 55.0}}
    (tmp_path / "kit/starts.json").write_text(json.dumps(starts))
    kit = json.loads((tmp_path / "kit/kit.json").read_text())
    assert kit["render_profile"] == RENDER_PROFILES["fast"].model_dump(mode="json")
    (tmp_path / "kit/kit.json").write_text(json.dumps(kit | {"render_profile": profile.model_dump(mode="json")}))
    backend = choose_backend("auto")
    command = [sys.executable, tmp_path / "kit/draw.py", "ep_0000", "scene", "3"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"MUJOCO_GL": backend, "LP_NUM_THREADS": "1"}
    before = sorted((tmp_path / "kit").rglob("*"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "kit").rglob("*")) == before, "what is added to a bundle makes it one that was altered"
    theirs = np.array(Image.open(tmp_path / "ep_0000_scene_3.png"))
    model = load_scene(tmp_path / "kit").compile()
    width, height = kit["frame_px"]
    apply_lights(model, profile)
    VariedLooks(model).apply(varied)
    with Renderer(model, width, height, backend, profile) as renderer:
        data = mujoco.MjData(model)
        data.qpos[:] = pq.read_table(tmp_path / "kit/episodes/ep_0000/states.parquet").column("qpos")[3].as_py()
        mujoco.mj_forward(model, data)
        renderer.look(data, camera_id(model, "scene"))
        ours = renderer.draw().copy()
    different = np.abs(theirs.astype(int) - ours)
    assert different.max() == 0, f"{(different.max(axis=2) > 0).sum()} pixels differ, by {different.max()} levels at most"


def test_a_lab_without_fma_is_told_what_was_checked(packed_once, tmp_path, replay):
    """On another class of machine the script checks a bound, says so, and succeeds."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    for record in (tmp_path / "elsewhere/episodes").glob("*/episode.json"):
        made = json.loads(record.read_text()) | {"platform": platform_class().model_dump()}
        record.write_text(json.dumps(made))
    for tunables in ("", "glibc.cpu.hwcaps=-FMA,-FMA4"):
        ran = replay(tmp_path / "elsewhere", GLIBC_TUNABLES=tunables)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        told = [line.partition(": ")[2].partition("; ")[0] for line in ran.stdout.splitlines()]
        assert len(told) == KEPT
        assert all(line == "bit-identical" or (tunables and line.startswith(f"within {BOUND:g} of the recording")) for line in told)


OWN, OTHER = {"machine": "x86_64", "libm_sha256": "a"}, {"machine": "x86_64", "libm_sha256": "b"}


@pytest.mark.parametrize(
    ("made_on", "difference", "holds", "said"),
    [
        (OWN, 0.0, True, "bit-identical"),
        (OTHER, 0.0, True, "bit-identical"),
        (OWN, 1e-9, False, "DIFFERS by up to 1e-09"),
        (None, 1e-9, False, "DIFFERS by up to 1e-09"),
        (OTHER, 1e-4, True, "within 0.005 of the recording (up to 0.0001), not bit-identical: another class of machine"),
        (OTHER, 1e-2, False, "DIFFERS by up to 0.01, more than 0.005, on another class"),
    ],
)
def test_the_script_judges_by_the_class(made_on, difference, holds, said):
    """Bits on the class of the recording, a bound elsewhere; never a bound where bits must be equal."""
    held, told = compare({"platform": made_on}, difference, OWN, BOUND)
    assert held == holds
    assert told.startswith(said)
