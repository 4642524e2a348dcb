"""One try at a task of a kit, frame by frame, in the columns of the dataset: what a policy sees, does, and how it ended.

Columns, units and order are those of the delivered dataset; quaternions have no jumps of sign within a try.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .predicates import find_missed
from .starts import Recorder, Start
from .world import Vector, World

STATE, OBJECT_POSES, EE_POSE, TASK = "observation.state", "observation.object_poses", "observation.ee_pose", "task"
IMAGES = "observation.images."
"""Before the name of a camera."""
DIVERGED = "physics_diverged"
"""What a try missed in which physics blew up."""
Draw = Callable[[Vector, str, Mapping[str, Any]], NDArray[np.uint8]]


class Trial:
    """A try from a start.

    Args:
        world: The kit's scene; it is set to the start.
        start: The start state, and the task.
        cameras: Cameras that are seen.
        draw: Draws a configuration (nq,) by a camera, in a varied scene; needed where there are cameras.
    """

    def __init__(self, world: World, start: Start, cameras: Sequence[str] = (), draw: Draw | None = None) -> None:
        if cameras and draw is None:
            raise ValueError(f"nothing draws what {', '.join(cameras)} see")
        world.restore(start.integration_state, start.variation)
        self.world, self.start, self.frames = world, start, 0
        self._recorder, self._cameras, self._draw = Recorder(world, start), cameras, draw
        self._turns: dict[str, Vector] = {}

    def observe(self) -> dict[str, Any]:
        """The present frame: float32 vectors, pictures (height, width, 3), and the sentence under ``task``."""
        seen: dict[str, Any] = {
            STATE: self.world.robot_state().astype(np.float32),
            OBJECT_POSES: self._continuous(OBJECT_POSES, self.world.object_poses()),
            EE_POSE: self._continuous(EE_POSE, self.world.tool_poses()),
            TASK: self.start.instruction,
        }
        if self._draw is not None:
            qpos = self.world.data.qpos.copy()
            seen |= {f"{IMAGES}{camera}": self._draw(qpos, camera, self.start.variation) for camera in self._cameras}
        return seen

    def act(self, action: NDArray[np.floating[Any]]) -> None:
        """Execute one frame: the robot goes linearly to ``action`` (n,), which it is commanded at the frame's end."""
        self._recorder.add(self.world.advance(self.world.setpoint(np.asarray(action, dtype=np.float64))))
        self.frames += 1

    def is_done(self) -> bool:
        """Whether every condition of the task holds now, and physics held all the way."""
        return self.missed() is None

    def missed(self) -> str | None:
        """The first condition that does not hold now, or :data:`DIVERGED`; ``None`` where the task is done."""
        if self.world.has_diverged:
            return DIVERGED
        first = find_missed(self.start.conditions, self._recorder.motion())
        return None if first is None else first.condition.name

    def _continuous(self, column: str, poses: Vector) -> NDArray[np.float32]:
        """Poses (n, 7) in a row, each quaternion with the sign nearer to the frame before; at first its largest part is positive."""
        quats = poses[:, 3:]
        before = self._turns.get(column)
        if before is None:
            signs = np.take_along_axis(quats, np.abs(quats).argmax(axis=1)[:, None], axis=1)[:, 0]
        else:
            signs = np.einsum("ij,ij->i", quats, before)
        turned = np.where(signs < 0, -1.0, 1.0)[:, None] * quats
        self._turns[column] = turned
        return np.concatenate([poses[:, :3], turned], axis=1).ravel().astype(np.float32)


def action_bounds(world: World) -> tuple[Vector, Vector]:
    """The least and the largest action: the actuators' ranges, and the gripper's openings."""
    bounds: list[Mapping[str, Any] | tuple[float, float]] = []
    for arm in world.arms:
        bounds += [tuple(world.model.actuator_ctrlrange[actuator]) for actuator in arm.actuators]
        bounds.append((arm.openings_m[0], arm.openings_m[-1]))
    low, high = np.array(bounds, dtype=np.float64).T
    return low, high
