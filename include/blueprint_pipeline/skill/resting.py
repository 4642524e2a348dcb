"""Where an object comes to rest on or in another one, found by the twin's own geometry and physics before a robot is asked to do it."""

from collections.abc import Mapping

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.twin.footprint import bodies_of, geom_boxes
from blueprint_pipeline.twin.model import SceneModel

SETTLE_S = 0.6
"""How long the twin runs after an object was let go."""
_TOUCH_M = 0.0005
_STEPS = 80
_FAR_M = 1.0
_REST_SPEED_M_S = 0.01


def lower_onto(scene: SceneModel, qpos: FloatArray, target: str, receiver: str) -> float | None:
    """How far an object (at its pose in ``qpos``, above the other one) can be let down until the two touch [m].

    ``None`` where it would pass by.

    Source: conservative advancement (Mirtich, "Impulse-based dynamic simulation of rigid body systems", 1996): the distance of two bodies
    is a way that neither can be hit on.
    """
    model, data = scene.model, mujoco.MjData(scene.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    lows, highs = geom_boxes(model, data)
    solid = (model.geom_contype | model.geom_conaffinity) > 0
    own, other = (np.flatnonzero(solid & np.isin(model.geom_bodyid, bodies_of(model, name))) for name in (target, receiver))
    pairs = [(int(a), int(b)) for a in own for b in other if (lows[a, :2] <= highs[b, :2]).all() and (lows[b, :2] <= highs[a, :2]).all()]
    height = scene.object_qpos[scene.object_ids.index(target)] + 2
    for _ in range(_STEPS):
        gap = min((mujoco.mj_geomDistance(model, data, a, b, _FAR_M, None) for a, b in pairs), default=_FAR_M)
        if gap >= _FAR_M:
            return None
        if gap <= _TOUCH_M:
            break
        data.qpos[height] -= gap
        mujoco.mj_kinematics(model, data)
    return float(qpos[height] - data.qpos[height])


def let_go(
    scene: SceneModel, qpos: FloatArray, ctrl: FloatArray, names: tuple[str, ...], *, push: tuple[float, float] = (0.0, 0.0)
) -> Mapping[str, FloatArray] | None:
    """Run the twin from a configuration (nq,) at rest, under constant controls (nu,).

    Args:
        scene: Compiled.
        qpos: Where everything is.
        ctrl: Of the robot.
        names: Who must come to rest.
        push: Sideways force along x and y on the first of them, as a share of its weight: what would roll away does, what stands stays.

    Returns:
        Where the objects of these names lie after :data:`SETTLE_S`: xyz and quat wxyz, (7,) each. ``None`` where it did not come to rest.
    """
    model, data = scene.model, mujoco.MjData(scene.model)
    data.qpos[:], data.ctrl[:] = qpos, ctrl
    pushed = model.body(names[0]).id
    data.xfrc_applied[pushed, :2] = np.array(push) * model.body_subtreemass[pushed] * np.linalg.norm(model.opt.gravity)
    mujoco.mj_step(model, data, round(SETTLE_S / model.opt.timestep))
    indices = [scene.object_ids.index(name) for name in names]
    fastest = np.max([np.linalg.norm(data.qvel[scene.object_dofs[index] :][:3]) for index in indices])
    if not fastest <= _REST_SPEED_M_S:  # also where it is no number
        return None
    return {name: data.qpos[scene.object_qpos[index] :][:7].copy() for name, index in zip(names, indices, strict=True)}
