"""The proof that a simulator works on a machine: what ran, on what, and what came out, as one record with its pictures.

It asks more than the conformance suite: a planned episode of a real scene is attempted several times, for where a backend promises no
bit-identical replay, episodes are trusted by the **k-of-n rule**: of n attempts of the same specification, k must succeed and end with the
target in the same place. And it asks less: one episode is no statistics of a dataset.
"""

import hashlib
import io
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from blueprint_pipeline import __version__
from blueprint_pipeline.compute.preflight import PreflightReport
from blueprint_pipeline.episode.record import KOfN
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.rollout.controller import SkillController
from blueprint_pipeline.simulation.conformance import ConformanceCheck, check_simulator
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.open_simulator import load_beside_twin
from blueprint_pipeline.simulation.protocol import Capabilities, Simulator
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.outcome import Outcome
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import PLAIN
from blueprint_pipeline.twin.model import SceneModel, build_scene_model, planning_copy

_PACKAGES = ("numpy", "mujoco", "mink", "ompl", "toppra", "usd-core")
_BLANK_LEVELS = 5.0
Keep = Callable[[str, bytes], None]
"""Files one file of the evidence by its name."""


class AttemptRecord(FrozenModel):
    """One attempt of the episode."""

    success: bool
    failure: str | None
    target_end_m: tuple[float, float, float] | None
    """Where the target came to rest; ``None`` where nothing moved."""
    frames: int
    wall_s: float


class FrameRecord(FrozenModel):
    """One picture."""

    camera: str
    file: str
    sha256: str
    width: int
    height: int
    std_levels: float
    """Near 0 is a black or blank picture."""


class EpisodeProof(FrozenModel):
    """The attempts of one episode of the scene, and what the rule says of them."""

    scene_id: str
    job_id: str
    episode_id: str
    model_sha256: str
    rule: KOfN
    attempts: tuple[AttemptRecord, ...]
    within: int
    """Attempts that succeeded and ended within ``spread_m`` of the median of those that succeeded."""
    spread_m: float | None
    """Largest distance of an attempt that succeeded from that median; ``None`` where none did."""
    twin: AttemptRecord
    """The same episode in the embedded MuJoCo."""
    distance_to_twin_m: float | None
    """Between the median end here and the end in the twin."""
    frames: tuple[FrameRecord, ...]
    held: bool


class Machine(FrozenModel):
    """Where it ran."""

    platform: str
    python: str
    blueprint_pipeline: str
    packages: dict[str, str]
    image_digest: str | None


class ProofRecord(FrozenModel):
    """``proof.json``."""

    schema_version: Literal["1.0"] = "1.0"
    simulator: str
    simulator_version: str
    answered_by: Literal["simulator", "stand_in"]
    """``stand_in``: another engine answered in its place, and nothing is proved of the simulator."""
    capabilities: Capabilities
    started_at: datetime
    wall_s: float
    machine: Machine
    preflight: PreflightReport | None
    """``None`` where no GPU is needed."""
    checks: tuple[ConformanceCheck, ...]
    episode: EpisodeProof | None
    """``None`` where the suite failed: an episode would show nothing."""
    session: str | None = None
    """File of the recorded session, where the backend keeps one."""
    error: dict[str, object] | None = None
    """What ended the proof before its time."""
    passed: bool


def prove_simulator(
    simulator: Simulator,
    scene: Path,
    plan: JobPlan,
    *,
    rule: KOfN,
    episode_id: str | None = None,
    preflight: PreflightReport | None = None,
    image_digest: str | None = None,
    answered_by: Literal["simulator", "stand_in"] = "simulator",
    cache_dir: Path,
    keep: Keep,
) -> ProofRecord:
    """Run the suite, then attempt an episode of the plan n times, and draw its start from every camera.

    Args:
        simulator: Not loaded, or loaded with something that may be replaced.
        scene: Local folder of the scene.
        plan: The scene's job.
        rule: How many attempts, and how many must agree.
        episode_id: Which episode; the plan's first if not given.
        preflight: What was found before the simulator was started.
        image_digest: Of the container that this runs in.
        answered_by: ``stand_in`` where another engine answers in the simulator's place.
        cache_dir: For planners.
        keep: Files each picture.

    Returns:
        What was found. A BlueprintError in the episode's part is in ``error``: a proof that failed is evidence, too.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    checks = tuple(check_simulator(simulator, plan.robot.embodiment))
    episode: EpisodeProof | None = None
    error: BlueprintError | None = None
    suite_passed = bool(checks) and all(check.passed for check in checks)
    if suite_passed:
        try:
            episode = prove_episode(simulator, scene, plan, episode_id=episode_id, rule=rule, cache_dir=cache_dir, keep=keep)
        except BlueprintError as raised:
            error = raised
        simulator.close()
    return ProofRecord(
        simulator=simulator.name,
        simulator_version=simulator.version,
        answered_by=answered_by,
        capabilities=simulator.capabilities(),
        started_at=started,
        wall_s=round(time.monotonic() - clock, 3),
        machine=_machine(image_digest),
        preflight=preflight,
        checks=checks,
        episode=episode,
        error=None if error is None else error.as_dict(),
        passed=suite_passed and episode is not None and episode.held,
    )


def prove_episode(
    simulator: Simulator, scene: Path, plan: JobPlan, *, episode_id: str | None, rule: KOfN, cache_dir: Path, keep: Keep
) -> EpisodeProof:
    """Attempt one episode n times, as a shard would, and once in the twin.

    Raises:
        UnknownName: The plan has no such episode.
        TwinDiffers: The simulator addresses objects or actuators otherwise than the twin that plans.
    """
    spec = _choose(plan, episode_id)
    if not simulator.capabilities().varies:
        spec = spec.model_copy(update={"variation": PLAIN})
    twin = build_scene_model(scene / TWIN_PATH, plan.robot, plan.fps)
    embedded = MujocoSimulator()
    embedded.use(twin)
    in_twin = _attempt(embedded, twin, spec, plan, cache_dir)
    embedded.close()
    loaded = load_beside_twin(simulator, scene, plan.robot, twin)
    simulator.vary(spec.variation)
    simulator.reset(spec.object_poses, spec.robot_qpos)
    frames = tuple(_draw(simulator, camera, plan, keep) for camera in plan.cameras)
    attempts = tuple(_attempt(simulator, twin, spec, plan, cache_dir) for _ in range(rule.attempts))
    within, spread, median = judge(attempts, rule)
    distance = None if median is None or in_twin.target_end_m is None else float(np.linalg.norm(median - np.array(in_twin.target_end_m)))
    return EpisodeProof(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        episode_id=spec.episode_id,
        model_sha256=loaded.model_sha256,
        rule=rule,
        attempts=attempts,
        within=within,
        spread_m=spread,
        twin=in_twin,
        distance_to_twin_m=distance,
        frames=frames,
        held=within >= rule.needed and all(frame.std_levels >= _BLANK_LEVELS for frame in frames),
    )


def _choose(plan: JobPlan, episode_id: str | None) -> EpisodeSpec:
    if episode_id is None:
        return plan.episodes[0]
    found = next((spec for spec in plan.episodes if spec.episode_id == episode_id), None)
    if found is None:
        raise UnknownName("episode", episode_id, [spec.episode_id for spec in plan.episodes])
    return found


def judge(attempts: Sequence[AttemptRecord], rule: KOfN) -> tuple[int, float | None, FloatArray | None]:
    """The k-of-n rule.

    Returns:
        How many attempts count, the largest distance of a success from the median end, and that median (3,).
    """
    ends = np.array([attempt.target_end_m for attempt in attempts if attempt.success and attempt.target_end_m is not None])
    if not len(ends):
        return 0, None, None
    median = np.median(ends, axis=0)
    distances = np.linalg.norm(ends - median, axis=1)
    return int((distances <= rule.spread_m).sum()), float(distances.max()), median


def _attempt(simulator: Simulator, twin: SceneModel, spec: EpisodeSpec, plan: JobPlan, cache_dir: Path) -> AttemptRecord:
    started = time.monotonic()
    embodiment = load_embodiment(plan.robot.embodiment)
    planner = build_motion_scene(planning_copy(twin.model), embodiment, spec.arm, fps=plan.fps, cache_dir=cache_dir)
    attempt, outcome = SkillController(simulator=simulator, twin=twin, planner=planner).attempt(spec)
    end = attempt.last.object_poses[twin.object_ids.index(spec.task.target_object), :3] if attempt.rows else None
    return AttemptRecord(
        success=outcome.success,
        failure=_failure(outcome),
        target_end_m=None if end is None else (float(end[0]), float(end[1]), float(end[2])),
        frames=len(attempt.rows),
        wall_s=round(time.monotonic() - started, 3),
    )


def _failure(outcome: Outcome) -> str | None:
    return None if outcome.success else f"{outcome.failure_stage}:{outcome.failure_code}: {outcome.failure_reason}"


def _draw(simulator: Simulator, camera: str, plan: JobPlan, keep: Keep) -> FrameRecord:
    image = simulator.render(camera, plan.width, plan.height)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    name = f"frame_{camera.replace('/', '_')}.png"
    keep(name, buffer.getvalue())
    return FrameRecord(
        camera=camera,
        file=name,
        sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
        width=image.shape[1],
        height=image.shape[0],
        std_levels=float(image.std()),
    )


def _machine(image_digest: str | None) -> Machine:
    installed = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.name}
    return Machine(
        platform=platform.platform(),
        python=platform.python_version(),
        blueprint_pipeline=__version__,
        packages={name: installed[name] for name in _PACKAGES if name in installed},
        image_digest=image_digest,
    )
