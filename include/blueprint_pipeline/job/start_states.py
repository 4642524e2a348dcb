"""Start states of episodes: objects anywhere on their surface, turned any way, apart from each other, and at rest.

World frame: z up, metres; quaternions wxyz.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.skill.contract import StartState
from blueprint_pipeline.skill.goals import MARGIN_M, Reaching
from blueprint_pipeline.skill.grasping import PALM_GAP_M
from blueprint_pipeline.skill.support_surface import CELL_M, BoolArray, SupportSurface
from blueprint_pipeline.twin.articulation import find_joints
from blueprint_pipeline.twin.footprint import Footprint, find_supports, measure_footprint, movable_objects

VERSION = "spread-2"
"""Of the way in which start states are drawn; part of a job's identity."""
APART_M = 0.02
"""No two objects start nearer to each other than this, so that fingers find a way between them."""
SETTLE_S = 0.25
DRIFT_M = 0.006
"""How far an object may move while it comes to rest where it was put: surfaces are level within some millimetres."""
Within = Callable[[FloatArray], BoolArray]
"""Which of some spots (n, 2) are meant, boolean (n,)."""
_TRIES = 25
_AWAY_M = 100.0
"""So far up nothing is touched."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where start states are drawn: one surface with the robot beside it."""

    surface: SupportSurface
    reach: Reaching
    names: Sequence[str]
    """Movable objects on the surface."""


class StartStates:
    """Varies the poses of a scene's movable objects.

    Args:
        model: The twin without a robot.
        poses: Settled pose of every movable object.
    """

    def __init__(self, model: mujoco.MjModel, poses: Mapping[str, Pose]) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._names = movable_objects(model)
        self._parts = find_joints(model)
        self._address = {name: int(model.jnt_qposadr[model.body(name).jntadr[0]]) for name in self._names}
        for name, pose in poses.items():
            self._data.qpos[self._address[name] : self._address[name] + 7] = (*pose.position_m, *pose.quat_wxyz)
        mujoco.mj_forward(model, self._data)
        self.settled_qpos: FloatArray = self._data.qpos.copy()
        touching = self._touching()
        self.supports = find_supports(model, self._data)
        """What each object stands on in the settled scene, or leans on, if it falls without that."""
        self.supports |= self._leaning(touching)
        self._settled = self._prints(self.settled_qpos)
        bearing = set(self.supports.values())
        self._free = [
            name for name in self._names if name in self.supports and name not in bearing and self.supports[name] not in self._names
        ]

    def _touching(self) -> list[tuple[str, str]]:
        """Pairs of movable objects that touch, each in both orders; the data hold the settled scene."""
        bodies = [[self._model.body(int(self._model.geom_bodyid[geom])).name for geom in pair] for pair in self._data.contact.geom]
        pairs = {tuple(pair[::step]) for pair in bodies for step in (1, -1) if set(pair) <= set(self._names)}
        return sorted((first, second) for first, second in pairs if first != second)

    def _leaning(self, touching: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Objects that fall without another one beside them, and that one; those that stand on it are known already."""
        found: dict[str, str] = {}
        for name, other in touching:
            if name not in found and self.supports.get(name, name) not in self._names and self._falls_without(name, other):
                found[name] = other
        return found

    def _falls_without(self, name: str, other: str) -> bool:
        qpos = self.settled_qpos.copy()
        qpos[self._address[other] + 2] += _AWAY_M
        self._stays(qpos)
        return self._drift(name, qpos) > DRIFT_M

    def sample(
        self, spread: Spread, target: str, hand_m: float, rng: np.random.Generator, within: Within | None = None
    ) -> StartState | None:
        """A start state: the target anywhere within reach, with room for the fingers, every other free object anywhere on the surface.

        Every free cell has the same chance, and so has every heading. Objects that bear others, and those that stand on others, stay
        where the settled scene has them. The larger an object, the earlier it gets its place, after the target.

        Args:
            spread: Where.
            target: What will be taken.
            hand_m: Of the circle about a hand that goes down to the target: what is taller leaves it so much room.
            rng: Decides.
            within: On which spots (n, 2) with room for it the target may start; ``None``: on all.

        Returns:
            ``None`` where no try found room for all, at rest.
        """
        for _ in range(_TRIES):
            moved = self._draw(spread, target, hand_m, rng, within=within)
            if moved is not None and self._stays(moved):
                return StartState(poses=self._poses(self._data.qpos), footprints=self._footprints(spread.names))
        return None

    def sample_beside(
        self, spread: Spread, parts: Mapping[str, Pose], keep_out: Sequence[Footprint], rng: np.random.Generator
    ) -> StartState | None:
        """A start state with parts of fixed objects at these poses, and every free object anywhere on the surface but where they move.

        Args:
            spread: Where.
            parts: Pose of each part that is not closed.
            keep_out: Outlines that nothing may stand in.
            rng: Decides.

        Returns:
            ``None`` where no try found room for all, at rest.
        """
        for _ in range(_TRIES):
            moved = self._draw(spread, None, 0.0, rng, keep_out)
            if moved is not None:
                for name, pose in parts.items():
                    moved[self._parts[name].qpos] = self._parts[name].line.positions_of(np.array([pose.as_tuple()]))[0]
                if self._stays(moved):
                    return StartState(poses={**self._poses(self._data.qpos), **parts}, footprints=self._footprints(spread.names))
        return None

    def settled_state(self, names: Sequence[str]) -> StartState:
        """The settled scene."""
        self._set(self.settled_qpos)
        return StartState(poses=self._poses(self.settled_qpos), footprints=self._footprints(names))

    def rest_on_floor(self, name: str, spot_m: FloatArray, stands_m: float) -> Pose | None:
        """How an object rests on the floor about a spot (2,), as it stands in the settled scene; ``None``: it does not stay, or meets more.

        Args:
            name: A free object.
            spot_m: In the world; the floor is at 0.
            stands_m: How high what it stands on in the settled scene is.
        """
        address, qpos = self._address[name], self.settled_qpos.copy()
        qpos[address : address + 2] = spot_m
        qpos[address + 2] -= stands_m
        stays = self._stays(qpos)
        return self._poses(self._data.qpos)[name] if stays and self._touches_floor_alone(name) else None

    def _touches_floor_alone(self, name: str) -> bool:
        model, body = self._model, self._model.body(name).id
        met = [pair[1 - side] for pair in self._data.contact.geom for side in (0, 1) if model.geom_bodyid[pair[side]] == body]
        return bool(met) and all(model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE for geom in met)

    def radius_m(self, name: str) -> float:
        """Of the circle about an object as it stands in the settled scene."""
        return self._settled[name].radius_m

    def is_free(self, name: str) -> bool:
        """Whether an object may start elsewhere than in the settled scene: it stands on something fixed, and bears nothing."""
        return name in self._free

    def spots_m(self, spread: Spread, target: str, hand_m: float) -> FloatArray:
        """Where a target may start beside what stays in place, (n, 2): within reach, with room for it, the fingers and the hand."""
        settled, staying, cells = self._settled[target], self._staying(spread), spread.surface.cells_m()
        free = spread.surface.clearance_m(staying) >= settled.radius_m + MARGIN_M
        free &= spread.reach.reaches(cells).astype(bool)
        free &= spread.surface.from_taller_m(staying, settled.top_m + PALM_GAP_M) >= max(settled.radius_m, hand_m)
        spots: FloatArray = cells[free]
        return spots

    def _staying(self, spread: Spread) -> list[Footprint]:
        """What is not moved and reaches above the surface."""
        moving = {name for name in spread.names if name in self._free}
        return [item for name, item in self._settled.items() if name not in moving and item.top_m > spread.surface.height_m]

    def _draw(
        self,
        spread: Spread,
        target: str | None,
        hand_m: float,
        rng: np.random.Generator,
        keep_out: Sequence[Footprint] = (),
        *,
        within: Within | None = None,
    ) -> FloatArray | None:
        """Where everything is put, (nq,); ``None``: an object found no room. Without a target, no hand needs room beside it."""
        settled, cells = self._settled, spread.surface.cells_m()
        moving = sorted((name for name in spread.names if name in self._free), key=lambda name: (name != target, -settled[name].radius_m))
        placed = [*self._staying(spread), *keep_out]
        qpos = self.settled_qpos.copy()
        taken = None if target is None else settled[target]
        target_at_m = np.zeros(2) if taken is None else taken.center_m
        passed_m, wide_m = (np.inf, 0.0) if taken is None else (taken.top_m + PALM_GAP_M, max(taken.radius_m, hand_m))
        for name in moving:
            if target is not None and name == target:
                spots = self.spots_m(spread, target, hand_m)
                spots = spots if within is None else spots[within(spots)]
            else:
                free = spread.surface.clearance_m(placed) >= settled[name].radius_m + APART_M
                if settled[name].top_m > passed_m:
                    free &= np.linalg.norm(cells - target_at_m, axis=-1) >= wide_m + settled[name].radius_m
                spots = cells[free]
            if len(spots) == 0:
                return None
            spot, turn_rad = spots[rng.integers(len(spots))] + rng.uniform(-0.5, 0.5, 2) * CELL_M, rng.uniform(-np.pi, np.pi)
            placed.append(settled[name].moved(spot, turn_rad))
            target_at_m = placed[-1].center_m if name == target else target_at_m
            address = self._address[name]
            qpos[address : address + 2] = spot
            mujoco.mju_mulQuat(
                qpos[address + 3 : address + 7],
                np.array([np.cos(turn_rad / 2), 0.0, 0.0, np.sin(turn_rad / 2)]),
                self.settled_qpos[address + 3 : address + 7],
            )
        return qpos

    def _prints(self, qpos: FloatArray) -> dict[str, Footprint]:
        self._set(qpos)
        return self._footprints(self._names)

    def _footprints(self, names: Sequence[str]) -> dict[str, Footprint]:
        return {name: measure_footprint(self._model, self._data, name) for name in names}

    def qpos_of(self, poses: Mapping[str, Pose]) -> FloatArray:
        """Configuration of the twin with objects at ``poses``, (nq,)."""
        qpos = self.settled_qpos.copy()
        for name, pose in poses.items():
            qpos[self._address[name] : self._address[name] + 7] = (*pose.position_m, *pose.quat_wxyz)
        return qpos

    def _stays(self, qpos: FloatArray) -> bool:
        """Let go of the scene for a moment; whether nothing moves. Afterwards the data hold where things came to rest."""
        self._set(qpos)
        for _ in range(round(SETTLE_S / self._model.opt.timestep)):
            mujoco.mj_step(self._model, self._data)
        drift = max((self._drift(name, qpos) for name in self._names), default=0.0)
        mujoco.mj_kinematics(self._model, self._data)
        return drift <= DRIFT_M

    def _drift(self, name: str, qpos: FloatArray) -> float:
        address = self._address[name]
        return float(np.linalg.norm(self._data.qpos[address : address + 3] - qpos[address : address + 3]))

    def _set(self, qpos: FloatArray) -> None:
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def _poses(self, qpos: FloatArray) -> dict[str, Pose]:
        return {name: Pose.of(qpos[self._address[name] : self._address[name] + 7]) for name in self._names}
