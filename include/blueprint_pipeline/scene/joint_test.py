"""A full-range motion test of every joint in the twin: driven open and shut again, then let go halfway; a spring is let go open.

A part passes that reaches both ends of its range, touches nothing but lightly on its way, and stays where it is left, or comes back by its
spring; a button must go in under a fingertip's push. The others are parts that no robot should be asked to move. ``layout/joints.json``
holds what was measured.
"""

from dataclasses import dataclass, field
from typing import Literal

import mujoco
import numpy as np

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.part_use import MAX_PRESS_M, PUSH_N
from blueprint_pipeline.twin.articulation import PartJoint, find_joints
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.storage import Id, SceneFolder

JOINTS_PATH = "layout/joints.json"
REACH_SHARE = 0.02
"""Of its range: how far from an end of it a part may stop."""
DRIFT_SHARE = 0.01
"""Of its range: how far a part may move in :data:`WATCHED_S` after it is let go."""
MAX_PENETRATION_M = 0.002
"""Of a part into what it touches on its way."""
WATCHED_S = 0.5
_SWEEP_S, _STOP_S = 1.0, 0.5
_STIFFNESS_RAD_S = 20.0
"""Natural frequency of the drive: it follows its goal within some hundredths of the range."""
_SPARE = {"m": PUSH_N, "rad": 4.0}
"""What a hand has beyond what resists the joint [N] or [N m]: what is in the way stops it."""


class JointTest(FrozenModel):
    """How one joint moved; positions [m] or [rad]."""

    joint: BodyName
    part: BodyName
    limits: tuple[float, float]
    opened_to: float
    closed_to: float
    """Driven, or brought back by its spring."""
    force: float
    """What it took to move it open [N] or [N m], at most."""
    drift: float
    """How far the part moved after it was let go halfway; of one that springs back, how far from closed it stayed."""
    max_penetration_m: float
    """Deepest contact of the part with anything, on the way."""
    touched: tuple[str, ...]
    """What it touched so: names of bodies."""
    problem: str | None
    """Why no robot should move it, in words; ``None``: it passed."""


class JointTests(FrozenModel):
    """``layout/joints.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    simulator: str
    origin: Origin = Origin.SIMULATED
    joints: tuple[JointTest, ...]

    def problems(self) -> dict[str, str]:
        """Why a part should not be moved, by its name, of those that did not pass."""
        return {item.part: item.problem for item in self.joints if item.problem is not None}


def load_joint_tests(scene: SceneFolder) -> JointTests:
    """Read how the joints of a scene moved."""
    return JointTests.model_validate_json(scene.read_bytes(JOINTS_PATH))


def check_joints(model: mujoco.MjModel, qpos: FloatArray, scene_id: str) -> JointTests:
    """Move every joint of a twin over its range, one after the other, the rest closed.

    Args:
        model: The twin, without a robot.
        qpos: Where everything stands (nq,): the settled scene.
        scene_id: For the record.
    """
    found = tuple(_Run(model, qpos, joint).result() for joint in find_joints(model).values())
    return JointTests(scene_id=scene_id, simulator=f"mujoco {mujoco.__version__}", joints=found)


@dataclass
class _Run:
    """One joint, driven."""

    model: mujoco.MjModel
    qpos: FloatArray
    joint: PartJoint
    data: mujoco.MjData = field(init=False)
    depth_m: float = 0.0
    touched: set[str] = field(default_factory=set)
    force: float = 0.0

    def __post_init__(self) -> None:
        model = self.model
        self.data = mujoco.MjData(model)
        self.data.qpos[:] = self.qpos
        mujoco.mj_forward(model, self.data)
        self.dof, self.body = self.joint.dof, int(model.jnt_bodyid[self.joint.index])
        self.low, self.high = self.joint.line.limits

    def result(self) -> JointTest:
        span = self.high - self.low
        opened = self._drive(self.position, self.high)
        force = self.force
        if self.springs:
            closed = self._let_go()
            drift = abs(closed - self.low)
        else:
            closed = self._drive(opened, self.low)
            halfway = self._drive(closed, self.low + span / 2)
            drift = abs(self._let_go() - halfway)
        return JointTest(
            joint=self.joint.name,
            part=self.joint.part,
            limits=(rounded(self.low), rounded(self.high)),
            opened_to=rounded(opened),
            closed_to=rounded(closed),
            force=rounded(force, 6),
            drift=rounded(drift),
            max_penetration_m=rounded(self.depth_m),
            touched=tuple(sorted(self.touched)),
            problem=self._problem(opened, closed, drift, force),
        )

    @property
    def springs(self) -> bool:
        """Whether the part comes back by itself."""
        return bool(self.model.jnt_stiffness[self.joint.index] > 0)

    @property
    def position(self) -> float:
        return float(self.data.qpos[self.joint.qpos])

    def _problem(self, opened: float, closed: float, drift: float, force: float) -> str | None:
        span, unit = self.high - self.low, self.joint.line.unit
        against = f", against {' and '.join(sorted(self.touched))}" if self.touched else ""
        if opened < self.high - REACH_SHARE * span:
            return f"moved over its range it stops at {opened:.3g} of {self.high:.3g} {unit}{against}"
        if self.joint.line.slides and span <= MAX_PRESS_M and force > PUSH_N:
            return f"it takes {force:.3g} N to push it in, and a fingertip gives {PUSH_N:g} N"
        if self.depth_m > MAX_PENETRATION_M:
            return f"on its way it goes {self.depth_m * 1000:.1f} mm deep into {' and '.join(sorted(self.touched))}"
        return self._problem_of_return(closed, drift)

    def _problem_of_return(self, closed: float, drift: float) -> str | None:
        """Why it does not come back, or not stay."""
        span, unit = self.high - self.low, self.joint.line.unit
        against = f", against {' and '.join(sorted(self.touched))}" if self.touched else ""
        if self.springs:
            return f"let go it springs back to {closed:.3g} {unit} only{against}" if drift > REACH_SHARE * span else None
        if closed > self.low + REACH_SHARE * span:
            return f"moved back it stops at {closed:.3g} {unit}, and does not close{against}"
        if drift > DRIFT_SHARE * span:
            return f"let go halfway it moves on by {drift:.3g} {unit}"
        return None

    def _drive(self, start: float, goal: float) -> float:
        """Follow a goal that goes from one position to another; where the part is at the end, at rest."""
        model, data = self.model, self.data
        mass, resists = float(model.dof_M0[self.dof]), float(model.dof_frictionloss[self.dof] * np.sign(goal - start))
        spare = _SPARE[self.joint.line.unit]
        stiffness, relaxed_at = model.jnt_stiffness[self.joint.index].item(), float(model.qpos_spring[self.joint.qpos])
        self.force = 0.0
        steps = round(_SWEEP_S / model.opt.timestep)
        for share in np.minimum(1.0, np.arange(1, steps + round(_STOP_S / model.opt.timestep) + 1) / steps):
            target, pace = start + share * (goal - start), (goal - start) / _SWEEP_S if share < 1 else 0.0
            pull = mass * _STIFFNESS_RAD_S * (_STIFFNESS_RAD_S * (target - self.position) + 2 * (pace - float(data.qvel[self.dof])))
            pull = np.clip(pull, -spare, spare) + stiffness * (self.position - relaxed_at)
            data.qfrc_applied[self.dof] = resists + model.dof_damping[self.dof].item() * pace + pull
            self.force = max(self.force, abs(float(data.qfrc_applied[self.dof])))
            self._step()
        return self.position

    def _let_go(self) -> float:
        """Push and pull no more; where the part is a moment later."""
        self.data.qfrc_applied[self.dof] = 0.0
        self._advance(WATCHED_S)
        return self.position

    def _advance(self, duration_s: float) -> None:
        for _ in range(round(duration_s / self.model.opt.timestep)):
            self._step()

    def _step(self) -> None:
        mujoco.mj_step(self.model, self.data)
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        own = (pairs == self.body).any(axis=1) & (self.data.contact.dist < 0)
        for first, second in pairs[own]:
            self.touched.add(self.model.body(int(second if first == self.body else first)).name)
        self.depth_m = max(self.depth_m, -float(self.data.contact.dist[own].min(initial=0.0)))
