"""Let a scene come to rest under gravity, and refuse one that does not rest where it was reconstructed.

``layout/settled.json`` holds the settled poses: episodes start from them. World frame: z up, metres, quaternions wxyz.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import mujoco
import numpy as np
from pydantic import Field

from blueprint_pipeline.errors import GateError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import RigidPose
from blueprint_pipeline.kit.divergence import find_diverged_body, find_divergence
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.build_manifest import pose_of
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.mjcf import ROLLING_CONDIM
from blueprint_pipeline.workspace.storage import Id, SceneFolder

SETTLED_PATH = "layout/settled.json"

_SAMPLE_STEPS = 8
_FREE_DOFS = 6
_PATIENCE = 5


class SceneNotStable(GateError):
    """The scene does not come to rest where it was reconstructed."""

    code = "scene.not_stable"
    template = (
        "The scene is not stable: object {object_id} {failures:; }. Correct its pose or its mesh: it does not rest where the scene says."
    )

    object_id: str
    failures: Sequence[str]


class SettleLimits(FrozenModel):
    """How far a sound reconstruction may move before it rests."""

    drift_m: float = 0.008
    """Of the centre of mass, at any time: what a round fruit rolls to its next facet; things that stand move by less than 1 mm."""
    tilt_rad: float = 0.175
    """Of the object's z axis, at the end (10 degrees: a round fruit may roll a little)."""
    turn_rad: float = 0.35
    """Of the whole rotation, at the end."""
    penetration_m: float = 0.001
    """At the end."""
    speed_m_s: float = 0.002
    """Of the centre of mass, at the end."""
    spin_rad_s: float = 0.05
    """At the end."""


class SettledObject(FrozenModel):
    """How one movable object came to rest."""

    object_id: Id
    pose: Pose
    """Settled pose of its frame in the world."""
    max_drift_m: float
    end_drift_m: float
    tilt_rad: float
    turn_rad: float
    max_penetration_m: float
    """Deepest contact at the end; 0 without one."""
    speed_m_s: float
    spin_rad_s: float
    touches: tuple[str, ...]
    """What it touches at the end: object ids, ``background``, ``floor``."""
    resists_rolling: bool = False
    """Whether its contacts resist rolling: it did not come to rest without."""


class SettledScene(FrozenModel):
    """``layout/settled.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    simulator: str
    duration_s: float = Field(gt=0)
    limits: SettleLimits
    origin: Origin = Origin.SIMULATED
    stable: bool
    max_drift_m: float
    max_tilt_rad: float
    max_penetration_m: float
    max_speed_m_s: float
    poses: dict[str, Pose]
    """Settled pose of every movable object, by id."""
    objects: tuple[SettledObject, ...]


def load_settled(scene: SceneFolder) -> SettledScene:
    """Read how a scene came to rest."""
    return SettledScene.model_validate_json(scene.read_bytes(SETTLED_PATH))


def settle(model: mujoco.MjModel, scene_id: str, *, duration_s: float, limits: SettleLimits | None = None) -> SettledScene:
    """Simulate a twin from its reconstructed poses and measure what moves.

    Args:
        model: The twin, without a robot.
        scene_id: For the record.
        duration_s: Simulated time in [s], > 0.
        limits: What a sound scene stays within.

    Returns:
        The record; ``validate_settled`` judges it.

    Raises:
        SceneNotStable: The simulation diverged: a position, speed or acceleration is not finite, or huge.
    """
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    names = [model.body(int(body)).name for body in model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]]
    bodies = np.array([model.body(name).id for name in names], dtype=int)
    start, turned = data.xipos[bodies].copy(), data.xmat[bodies].reshape(-1, 3, 3).copy()
    drift = np.zeros(len(bodies))
    for step in range(max(1, round(duration_s / model.opt.timestep))):
        mujoco.mj_step(model, data)
        if step % _SAMPLE_STEPS == 0:
            drift = np.fmax(drift, np.linalg.norm(data.xipos[bodies] - start, axis=1))
    mujoco.mj_forward(model, data)
    worst = find_divergence(data)
    if worst is not None:
        name = find_diverged_body(model, data) or (names[0] if names else scene_id)
        raise SceneNotStable(name, [f"makes the simulation diverge: {worst} is not finite, or huge"])
    found = tuple(_measure(model, data, body, (start[i], turned[i], float(drift[i]))) for i, body in enumerate(bodies.tolist()))
    bounds = limits or SettleLimits()
    return SettledScene(
        scene_id=scene_id,
        simulator=f"mujoco {mujoco.__version__}",
        duration_s=duration_s,
        limits=bounds,
        stable=not any(check_settled(item, bounds) for item in found),
        max_drift_m=max((item.max_drift_m for item in found), default=0.0),
        max_tilt_rad=max((item.tilt_rad for item in found), default=0.0),
        max_penetration_m=max((item.max_penetration_m for item in found), default=0.0),
        max_speed_m_s=max((item.speed_m_s for item in found), default=0.0),
        poses={item.object_id: item.pose for item in found},
        objects=found,
    )


def settle_patiently(model: mujoco.MjModel, scene_id: str, *, duration_s: float) -> SettledScene:
    """As :func:`settle`; where all that is wrong is that something still moves, for longer.

    Raises:
        SceneNotStable: The simulation diverged.
    """
    record = settle(model, scene_id, duration_s=duration_s)
    return settle(model, scene_id, duration_s=duration_s * _PATIENCE) if _is_slow(record) else record


def settled_qpos(model: mujoco.MjModel, poses: Mapping[str, Pose]) -> FloatArray:
    """The configuration (nq,) of a twin without a robot, with every movable object at its pose, and all that opens closed."""
    qpos: FloatArray = model.qpos0.copy()
    for name, pose in poses.items():
        address = int(model.jnt_qposadr[model.body(name).jntadr[0]])
        qpos[address : address + 7] = (*pose.position_m, *pose.quat_wxyz)
    return qpos


def find_restless(model: mujoco.MjModel, scene_id: str, *, duration_s: float) -> set[str]:
    """Objects that do not rest where they were reconstructed; where the simulation diverges, the one that does."""
    try:
        record = settle(model, scene_id, duration_s=duration_s)
    except SceneNotStable as error:
        return {error.object_id}
    return {item.object_id for item in record.objects if check_settled(item, record.limits)}


def find_worst(model: mujoco.MjModel, scene_id: str, *, duration_s: float) -> SceneNotStable | None:
    """What a patient trial refuses the scene for; ``None``: it rests."""
    try:
        validate_settled(settle_patiently(model, scene_id, duration_s=duration_s))
    except SceneNotStable as error:
        return error
    return None


def _is_slow(record: SettledScene) -> bool:
    limits = record.limits.model_copy(update={"speed_m_s": np.inf, "spin_rad_s": np.inf})
    return not record.stable and not any(check_settled(item, limits) for item in record.objects)


def _measure(model: mujoco.MjModel, data: mujoco.MjData, body: int, before: tuple[FloatArray, FloatArray, float]) -> SettledObject:
    start, turned, drift = before
    now = data.xmat[body].reshape(3, 3)
    dof = int(model.body_dofadr[body])
    velocity = np.zeros(_FREE_DOFS)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
    joint = int(model.jnt_qposadr[model.body_jntadr[body]])
    turn = float(np.arccos(np.clip((np.trace(now @ turned.T) - 1) / 2, -1.0, 1.0)))
    end = float(np.linalg.norm(data.xipos[body] - start))
    touches, depth = _contacts(model, data, body)
    return SettledObject(
        object_id=model.body(body).name,
        pose=pose_of(RigidPose(data.qpos[joint : joint + 3].copy(), data.qpos[joint + 3 : joint + 7].copy())),
        max_drift_m=rounded(max(drift, end)),
        end_drift_m=rounded(end),
        tilt_rad=rounded(float(np.arccos(np.clip(now[:, 2] @ turned[:, 2], -1.0, 1.0)))),
        turn_rad=rounded(turn),
        max_penetration_m=rounded(depth),
        speed_m_s=rounded(float(np.linalg.norm(velocity[3:]))),
        spin_rad_s=rounded(float(np.linalg.norm(data.qvel[dof + 3 : dof + 6]))),
        touches=touches,
        resists_rolling=bool((model.geom_condim[model.geom_bodyid == body] == ROLLING_CONDIM).any()),
    )


def _contacts(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> tuple[tuple[str, ...], float]:
    """What a body touches, and the deepest of these contacts [m]."""
    touched: set[str] = set()
    depth = 0.0
    for contact in data.contact[: data.ncon]:
        pair = [int(model.geom_bodyid[geom]) for geom in contact.geom]
        if body in pair:
            other = pair[1 - pair.index(body)]
            touched.add("floor" if other == 0 else model.body(other).name)
            depth = max(depth, -float(contact.dist))
    return tuple(sorted(touched)), depth


def check_settled(item: SettledObject, limits: SettleLimits) -> list[str]:
    """What is wrong with how an object came to rest, with figures; empty for a sound one."""
    figures = (
        (item.max_drift_m, limits.drift_m, 1000, "mm", "moved"),
        (item.tilt_rad, limits.tilt_rad, 180 / np.pi, "degrees", "tilted"),
        (item.turn_rad, limits.turn_rad, 180 / np.pi, "degrees", "turned"),
        (item.max_penetration_m, limits.penetration_m, 1000, "mm", "penetrates what it touches by"),
        (item.speed_m_s, limits.speed_m_s, 1000, "mm/s", "still moves at"),
        (item.spin_rad_s, limits.spin_rad_s, 1, "rad/s", "still spins at"),
    )
    wrong = [
        f"{words} {value * factor:.3g} {unit} (limit {limit * factor:.3g})"
        for value, limit, factor, unit, words in figures
        if value > limit
    ]
    return wrong if item.touches else [*wrong, "touches nothing at the end"]


def validate_settled(record: SettledScene) -> None:
    """Refuse a scene that does not rest where it was reconstructed; the worst object is named.

    Raises:
        SceneNotStable: A figure is above its limit.
    """
    worst = max(record.objects, key=lambda item: (len(check_settled(item, record.limits)), item.max_drift_m), default=None)
    if worst is not None and (failures := check_settled(worst, record.limits)):
        raise SceneNotStable(worst.object_id, failures)
