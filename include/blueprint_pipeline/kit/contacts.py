"""Contacts of a frame, gathered at every physics step without a Python loop over contacts."""

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray


class TouchingPair(NamedTuple):
    """Two bodies that touched during a frame."""

    bodies: str
    """``"bodyA|bodyB"``, A before B by name."""
    depth_m: float
    """Largest penetration of any physics step of the frame, >= 0."""
    force_n: float
    """Largest sum of the normal forces between the two in any physics step of the frame."""


class ContactSampler:
    """Collects contacts step by step and reduces them to one entry a pair of bodies and frame.

    MuJoCo computes no contacts between bodies that sleep; they touch as they did when they fell asleep, so their last
    entry is carried on until one of them wakes.

    Args:
        model: Compiled model.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        names = [model.body(index).name for index in range(model.nbody)]
        ordered = sorted(set(names))
        rank_of_body = np.array([ordered.index(name) for name in names])
        self._rank_of_geom: NDArray[np.int64] = rank_of_body[model.geom_bodyid]
        self._names = ordered
        self._bodies_of_name = {name: [index for index, found in enumerate(names) if found == name] for name in ordered}
        self._last: dict[str, TouchingPair] = {}
        self._pyramidal = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
        self._steps: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]] = []

    def sample(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Take the contacts of the step just made.

        Source: MuJoCo documentation, "Constraint model": with elliptic cones the first row of a contact's constraint
        is the normal force; with pyramidal ones it is the sum over the edges.
        """
        if not data.ncon:
            return
        contact = data.contact
        address = contact.efc_address
        if self._pyramidal:
            force = np.array([_normal_force(model, data, index) for index in range(data.ncon)])
        else:
            force = np.where(address >= 0, data.efc_force[address], 0.0) if data.nefc else np.zeros(data.ncon)
        self._steps.append((contact.geom.copy(), contact.dist.copy(), force))

    def forget(self) -> None:
        """Start over: the state was set, not stepped to."""
        self._steps.clear()
        self._last.clear()

    def take(self, data: mujoco.MjData) -> tuple[TouchingPair, ...]:
        """The contacts since the last call, by pair of bodies: the largest depth and summed normal force of any step."""
        found = {contact.bodies: contact for contact in self._reduce()}
        for bodies, contact in self._last.items():
            if bodies not in found and all(self._is_still(data, name) for name in bodies.split("|")):
                found[bodies] = contact
        self._last = found
        return tuple(found[bodies] for bodies in sorted(found))

    def _is_still(self, data: mujoco.MjData, name: str) -> bool:
        """Whether no body of that name is awake (fixed bodies never are)."""
        return all(data.body_awake[body] != mujoco.mjtSleepState.mjS_AWAKE for body in self._bodies_of_name[name])

    def _reduce(self) -> list[TouchingPair]:
        if not self._steps:
            return []
        counts = [len(dist) for _, dist, _ in self._steps]
        geom = np.concatenate([step[0] for step in self._steps])
        dist = np.concatenate([step[1] for step in self._steps])
        force = np.concatenate([step[2] for step in self._steps])
        step_index = np.repeat(np.arange(len(counts)), counts)
        self._steps.clear()
        touching = (dist <= 0.0) | (force > 0.0)
        ranks = self._rank_of_geom[geom[touching]]
        keys = ranks.min(axis=1) * len(self._names) + ranks.max(axis=1)
        pairs, where = np.unique(keys, return_inverse=True)
        depth = np.zeros(len(pairs))
        np.maximum.at(depth, where, -dist[touching])
        total = np.zeros((len(pairs), len(counts)))
        np.add.at(total, (where, step_index[touching]), force[touching])
        return [
            TouchingPair(bodies=self._pair_name(int(pair)), depth_m=float(depth[index]), force_n=float(total[index].max()))
            for index, pair in enumerate(pairs)
        ]

    def _pair_name(self, key: int) -> str:
        first, second = divmod(key, len(self._names))
        return f"{self._names[first]}|{self._names[second]}"


def _normal_force(model: mujoco.MjModel, data: mujoco.MjData, index: int) -> float:
    wrench = np.zeros(6)
    mujoco.mj_contactForce(model, data, index, wrench)
    return float(wrench[0])
