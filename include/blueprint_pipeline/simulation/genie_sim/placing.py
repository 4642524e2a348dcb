"""Puts robot and objects into a state, and makes sure that they are there: the server's answers do not tell."""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.simulation.genie_sim.errors import NotPlaced
from blueprint_pipeline.simulation.genie_sim.hands import Hands
from blueprint_pipeline.simulation.genie_sim.reading import Reading
from blueprint_pipeline.simulation.genie_sim.session import Session, start_positions

_TRIES = 40
_SETTLE_STEPS = 8
"""Between putting and looking. What was moving keeps its speed where it is put, and loses it by friction, try by try; what hangs in the
air falls 1.4 mm in so many steps at 480 Hz."""
_NEAR_M = 0.002
_NEAR_RAD = 0.005


def place(session: Session, hands: Hands, values: FloatArray, object_poses: FloatArray, ctrl: FloatArray) -> Reading:
    """Put everything where it starts.

    Args:
        session: With the scene loaded.
        hands: Opened first, closed last.
        values: The robot's start configuration.
        object_poses: (n, 7).
        ctrl: What the drives hold then, (nu,).

    Raises:
        NotPlaced: Something does not stay where it was put.
    """
    positions, widths_m = start_positions(session, values)
    closed = hands.wanted(widths_m)
    for index, wanted in enumerate(closed):
        if not wanted:
            hands.tell(index, closed=False)
    positions |= {
        name: position for name, position in session.view.finger_positions(widths_m).items() if _belongs_to_closed(session, closed, name)
    }
    poses = {path: Pose.of(row.tolist()) for path, row in zip(session.stage.object_paths.values(), object_poses, strict=True)}
    worst, off = "", np.inf
    for _ in range(_TRIES):
        session.client.teleport(positions)
        session.drive(ctrl)
        if poses:
            session.client.set_object_poses(poses)
            session.seen = None
        for index, wanted in enumerate(closed):
            if wanted:
                hands.tell(index, closed=True)
        session.wait(_SETTLE_STEPS)
        reading = session.read()
        worst, off = _farthest(session, reading, positions, object_poses)
        if off <= 1.0:
            return reading
    raise NotPlaced(_TRIES, worst, off)


def _belongs_to_closed(session: Session, closed: list[bool], joint: str) -> bool:
    arms = session.view.twin.robot.arms
    return any(is_closed and joint in _names(session, arm.arm.name) for arm, is_closed in zip(arms, closed, strict=True))


def _names(session: Session, arm: str) -> tuple[str, str]:
    fingers = session.robot.fingers[arm]
    return fingers.outer, fingers.inner


def _farthest(session: Session, reading: Reading, positions: dict[str, float], object_poses: FloatArray) -> tuple[str, float]:
    """What is farthest from where it was put, and how many times farther than it may be."""
    off = {
        f"joint {name} [rad]": abs(float(found) - positions[name]) / _NEAR_RAD
        for name, found in zip(session.view.joint_names, reading.joints_rad, strict=True)
    }
    distances = np.linalg.norm(reading.object_poses[:, :3] - object_poses[:, :3], axis=1) / _NEAR_M
    off |= {f"object {name} [m]": float(value) for name, value in zip(session.stage.object_paths, distances, strict=True)}
    worst = max(off, key=lambda name: off[name])
    return worst, off[worst]
