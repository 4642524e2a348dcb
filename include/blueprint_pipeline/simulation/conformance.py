"""What any simulator must show before it may act: the suite behind ``bpp simulator check``, and a pod's preflight.

Every check runs on :mod:`blueprint_pipeline.simulation.conformance_scene`, says what it measured, and can fail.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import Embodiment, load_embodiment
from blueprint_pipeline.robot.layout import ArmLayout, home_joints, home_qpos, layout_of
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.simulation.conformance_scene import BLOCK, BLOCK_MASS_KG, ConformanceScene, write_conformance_scene
from blueprint_pipeline.simulation.protocol import LoadedScene, SimulationState, Simulator, Track
from blueprint_pipeline.task.variation import PLAIN, Variation

FPS = 30
GRAVITY_M_S2 = 9.81
SETTLE_S = 1.0
_WIDTH, _HEIGHT = 160, 120
_DRIFT_M = 0.002
_TRACKING_RAD = 0.02
_CLOSED_M = 0.002
_LIFTED_M = 0.03
_WEIGHT_SHARE = 0.1
_DARKER = 0.8
"""How bright a picture in half the light may be, at most."""
_LUMA_STD = 5.0
_CLOCK_S = 1e-6
_LIFT_RAD = 0.25
_RESTS = "|".join(sorted((BLOCK, "plinth")))


class ConformanceCheck(BaseModel):
    """One check of the suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    value: float | None
    """What was measured; ``None`` where the check could not be made."""
    limit: float
    unit: str
    message: str


@dataclass(frozen=True, kw_only=True)
class _Bench:
    simulator: Simulator
    scene: ConformanceScene
    loaded: LoadedScene
    embodiment: Embodiment

    @property
    def arm(self) -> ArmLayout:
        """The arm around whose tool the scene is built."""
        return layout_of(self.embodiment)[self.embodiment.arm_index(self.scene.arm)]

    def reset(self) -> SimulationState:
        """Robot in its default pose around the block, fingers open."""
        return self.simulator.reset({BLOCK: self.scene.block_pose}, home_qpos(self.embodiment))

    def hold(self, duration_s: float) -> Track:
        return self.simulator.track(np.tile(self.simulator.observe().ctrl, (round(duration_s * FPS), 1)))

    def close_and_lift(self) -> Track:
        """Close the fingers within half a second, wait, and lift."""
        start, arm = self.simulator.observe().ctrl, self.arm.arm
        close = np.tile(start, (FPS, 1))
        gripper = self.loaded.actuators.index(f"robot/{arm.gripper.actuator}")
        shoulder = self.loaded.actuators.index(f"robot/{arm.joints[self.scene.lift_joint].actuator}")
        closed = arm.gripper.ctrl_at(arm.gripper.openings_m[0])
        close[:, gripper] = np.interp(np.arange(FPS), [0, FPS // 2], [start[gripper], closed])
        lift = np.tile(close[-1], (FPS, 1))
        lift[:, shoulder] += np.linspace(0.0, self.scene.lift_sense * _LIFT_RAD, FPS)
        return self.simulator.track(np.concatenate([close, lift, np.tile(lift[-1], (FPS // 2, 1))]))


Check = Callable[[_Bench], ConformanceCheck]


def check_simulator(simulator: Simulator, robot: str = DEFAULT_ROBOT, names: Collection[str] | None = None) -> list[ConformanceCheck]:
    """Run the suite; a check that raises has failed, and the others still run.

    Args:
        simulator: Not loaded, or loaded with something that may be replaced; it is closed at the end.
        robot: Name of the robot to check with.
        names: Checks to run, by their names in :data:`CHECKS`; all if not given.
    """
    embodiment = load_embodiment(robot)
    with TemporaryDirectory(prefix="blueprint-pipeline-check-") as folder:
        scene = write_conformance_scene(Path(folder), embodiment)
        try:
            loaded = simulator.load(scene.folder, scene.placement, FPS)
        except BlueprintError as error:
            return [_unmeasured("load", error)]
        bench = _Bench(simulator=simulator, scene=scene, loaded=loaded, embodiment=embodiment)
        results = [_run(name, check, bench) for name, check in CHECKS.items() if names is None or name in names]
        simulator.close()
    return results


def _run(name: str, check: Check, bench: _Bench) -> ConformanceCheck:
    try:
        return check(bench)
    except BlueprintError as error:
        return _unmeasured(name, error)


def _unmeasured(name: str, error: BlueprintError) -> ConformanceCheck:
    return ConformanceCheck(name=name, passed=False, value=None, limit=0.0, unit="", message=str(error))


def _load(bench: _Bench) -> ConformanceCheck:
    """The block is addressable, all cameras are there, and there is an actuator for every joint and every gripper."""
    wanted_cameras = ["scene", *(f"robot/{camera.name}" for camera in bench.embodiment.wrist_cameras)]
    missing = [name for name in wanted_cameras if name not in bench.loaded.cameras]
    missing += [name for name in (BLOCK,) if name not in bench.loaded.object_ids]
    wanted = [name for arm in bench.embodiment.arms for name in (*(joint.actuator for joint in arm.joints), arm.gripper.actuator)]
    missing += [name for name in wanted if f"robot/{name}" not in bench.loaded.actuators]
    told = f"missing: {', '.join(missing)}" if missing else "objects, cameras and actuators are addressable"
    return ConformanceCheck(name="load", passed=not missing, value=float(len(missing)), limit=0.0, unit="names", message=told)


def _settle(bench: _Bench) -> ConformanceCheck:
    """The block stays where it stands."""
    start = bench.reset().object_poses[0, :3]
    drift = float(np.linalg.norm(bench.hold(SETTLE_S).states[-1].object_poses[0, :3] - start))
    return _at_most("settle", drift, _DRIFT_M, "m", "drift of a block at rest within a second")


def _clock(bench: _Bench) -> ConformanceCheck:
    """A frame lasts 1 / fps."""
    bench.reset()
    error = abs(bench.hold(SETTLE_S).states[-1].time_s - SETTLE_S)
    return _at_most("clock", error, _CLOCK_S, "s", "error of the simulated time after one second")


def _holds_pose(bench: _Bench) -> ConformanceCheck:
    """The arms carry themselves."""
    bench.reset()
    sag = bench.hold(SETTLE_S).states[-1].robot_qpos - home_joints(bench.embodiment)
    return _at_most("holds_pose", float(np.abs(sag).max()), _TRACKING_RAD, "rad", "deviation of a joint from a constant setpoint")


def _contacts(bench: _Bench) -> ConformanceCheck:
    """The plinth's contact with the block carries its weight; where forces are not promised, the two touch."""
    if bench.simulator.capabilities().contacts:
        return _weigh(bench, "contacts", 1.0)
    bench.reset()
    touching = [frame for frame in bench.hold(SETTLE_S).contacts if any(contact.bodies == _RESTS for contact in frame)]
    told = "forces are not promised by this backend: share of a second in which block and plinth touch"
    return _at_least("contacts", len(touching) / (SETTLE_S * FPS), 1.0, "of the time", told)


def _varies(bench: _Bench) -> ConformanceCheck:
    """A block of twice the mass weighs twice as much, and half the light is darker, where the backend promises it; then all is plain."""
    if not bench.simulator.capabilities().varies:
        told = "not promised by this backend: jobs are planned with variation none"
        return ConformanceCheck(name="varies", passed=True, value=None, limit=0.0, unit="of the weight", message=told)
    bench.simulator.vary(Variation(masses={BLOCK: 2.0}, light_level=0.5))
    heavy, dark = _weigh(bench, "varies", 2.0), _brightness(bench)
    bench.simulator.vary(PLAIN)
    light, bright = _weigh(bench, "varies", 1.0), _brightness(bench)
    if dark > _DARKER * bright:
        return _at_most("varies", dark / bright, _DARKER, "of the brightness", "a picture in half the light")
    return heavy if light.passed else light


def _brightness(bench: _Bench) -> float:
    return float(bench.simulator.render("scene", _WIDTH, _HEIGHT).mean())


def _weigh(bench: _Bench, name: str, masses: float) -> ConformanceCheck:
    """The plinth's contact with the block carries so many times its weight."""
    bench.reset()
    weight = masses * BLOCK_MASS_KG * GRAVITY_M_S2
    forces = [contact.force_n for contact in bench.hold(SETTLE_S).contacts[-1] if contact.bodies == _RESTS]
    return _at_most(name, abs(sum(forces) - weight) / weight, _WEIGHT_SHARE, "of the weight", f"error of the force between {_RESTS}")


def _gripper_closes(bench: _Bench) -> ConformanceCheck:
    """With nothing between them, the fingers meet."""
    bench.reset()
    away = bench.scene.block_pose.model_copy(update={"position_m": (1.5, 1.5, 0.05)})
    bench.simulator.reset({BLOCK: away}, home_qpos(bench.embodiment))
    width = float(bench.close_and_lift().states[-1].gripper_width_m[bench.arm.index])
    return _at_most("gripper_closes", width, _CLOSED_M, "m", "opening after closing on nothing")


def _object_lifts(bench: _Bench) -> ConformanceCheck:
    """Closing on the block and raising the arm takes the block along."""
    start = bench.reset().object_poses[0, 2]
    lift = float(bench.close_and_lift().states[-1].object_poses[0, 2] - start)
    return _at_least("object_lifts", lift, _LIFTED_M, "m", "height gained by the grasped block")


def _replays(bench: _Bench) -> ConformanceCheck:
    """From a saved state, the same setpoints give the same states, bit by bit, where the backend promises it."""
    promised = bench.simulator.capabilities()
    if not (promised.deterministic and promised.restores_state):
        return ConformanceCheck(
            name="replays",
            passed=True,
            value=None,
            limit=0.0,
            unit="m",
            message="not promised by this backend: episodes need the k-of-n rule",
        )
    bench.reset()
    saved = bench.simulator.save_state()
    first = bench.close_and_lift().states[-1]
    bench.simulator.restore_state(saved)
    again = bench.close_and_lift().states[-1]
    same = _bits(first) == _bits(again)
    difference = float(np.abs(first.qpos - again.qpos).max())
    told = "the same setpoints gave the same bits" if same else f"the same setpoints gave states that differ by up to {difference:.3g}"
    return ConformanceCheck(name="replays", passed=same, value=difference, limit=0.0, unit="rad or m", message=told)


def _resets(bench: _Bench) -> ConformanceCheck:
    """A reset forgets all that happened before."""
    bench.reset()
    first = bench.hold(SETTLE_S / 2).states[-1]
    bench.close_and_lift()
    bench.reset()
    difference = float(np.abs(bench.hold(SETTLE_S / 2).states[-1].qpos - first.qpos).max())
    limit = 0.0 if bench.simulator.capabilities().deterministic else _DRIFT_M
    return _at_most("resets", difference, limit, "rad or m", "difference of the same half second after a reset")


def _cameras(bench: _Bench) -> ConformanceCheck:
    """No camera is black or blank, where the backend promises pictures."""
    if not bench.simulator.capabilities().renders:
        told = "not promised by this backend: pictures are drawn in the twin, in the states that it tells"
        return ConformanceCheck(name="cameras", passed=True, value=None, limit=_LUMA_STD, unit="levels", message=told)
    bench.reset()
    spread = {name: float(bench.simulator.render(name, _WIDTH, _HEIGHT).std()) for name in bench.loaded.cameras}
    worst = min(spread, key=lambda name: spread[name])
    return _at_least("cameras", spread[worst], _LUMA_STD, "levels", f"contrast of camera '{worst}'")


CHECKS: dict[str, Check] = {
    "load": _load,
    "settle": _settle,
    "clock": _clock,
    "holds_pose": _holds_pose,
    "contacts": _contacts,
    "varies": _varies,
    "gripper_closes": _gripper_closes,
    "object_lifts": _object_lifts,
    "replays": _replays,
    "resets": _resets,
    "cameras": _cameras,
}
"""Every check by name, in the order in which they run."""


def _bits(state: SimulationState) -> bytes:
    vectors: list[FloatArray] = [state.qpos, state.qvel]
    return b"".join(vector.tobytes() for vector in vectors)


def _at_most(name: str, value: float, limit: float, unit: str, what: str) -> ConformanceCheck:
    passed = bool(np.isfinite(value) and value <= limit)
    return ConformanceCheck(
        name=name, passed=passed, value=value, limit=limit, unit=unit, message=f"{what}: {value:.4g} {unit} (at most {limit:.4g})"
    )


def _at_least(name: str, value: float, limit: float, unit: str, what: str) -> ConformanceCheck:
    passed = bool(np.isfinite(value) and value >= limit)
    return ConformanceCheck(
        name=name, passed=passed, value=value, limit=limit, unit=unit, message=f"{what}: {value:.4g} {unit} (at least {limit:.4g})"
    )
