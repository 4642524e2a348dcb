"""Arms that move together: one configuration space, so that a motion of all of them has one path and one time law.

A configuration (n,) holds the joints of one arm after the other. One arm alone is a set of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.ik import ArmKinematics
from blueprint_pipeline.robot.arm import Joint
from blueprint_pipeline.twin.binding import ArmBinding


@dataclass(frozen=True, kw_only=True)
class ArmSet:
    """One arm or more, in the order in which their joints stand in configurations."""

    bindings: tuple[ArmBinding, ...]
    kinematics: tuple[ArmKinematics, ...]

    def __len__(self) -> int:
        return len(self.bindings)

    @cached_property
    def joints(self) -> tuple[Joint, ...]:
        """Of all arms: whose limits a motion keeps."""
        return tuple(joint for binding in self.bindings for joint in binding.arm.joints)

    @cached_property
    def qpos(self) -> NDArray[np.int64]:
        """(n,): addresses of all joints in the model's ``qpos``."""
        return np.concatenate([binding.qpos for binding in self.bindings])

    @cached_property
    def actuators(self) -> NDArray[np.int64]:
        """(n,): their actuators."""
        return np.concatenate([binding.actuators for binding in self.bindings])

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper limits (n,) each, with the margins that plans keep."""
        lower, upper = ([getattr(arm, end) for arm in self.kinematics] for end in ("lower", "upper"))
        return np.concatenate(lower), np.concatenate(upper)

    @cached_property
    def home(self) -> FloatArray:
        """(n,): where every arm is while it has nothing to do."""
        return np.concatenate([binding.arm.home_qpos_rad for binding in self.bindings])

    @cached_property
    def _shares(self) -> tuple[slice, ...]:
        ends = [0, *accumulate(len(binding.qpos) for binding in self.bindings)]
        return tuple(slice(start, end) for start, end in pairwise(ends))

    def split(self, qpos: FloatArray) -> tuple[FloatArray, ...]:
        """The joints of each arm out of configurations (..., n)."""
        return tuple(qpos[..., share] for share in self._shares)

    def solve(self, poses_base_tcp: Sequence[FloatArray], seeds: Sequence[FloatArray]) -> FloatArray | None:
        """Joint positions (n,) that bring every tool centre point to its pose (4, 4) in the base frame, or ``None``.

        Args:
            poses_base_tcp: One for each arm.
            seeds: Configurations (n,) to start from, in this order; of each arm the first that leads to its pose decides.
        """
        parts = [self.split(seed) for seed in seeds]
        found = []
        for index, (arm, pose) in enumerate(zip(self.kinematics, poses_base_tcp, strict=True)):
            solution = arm.solve(pose, [part[index] for part in parts])
            if solution is None:
                return None
            found.append(solution)
        return np.concatenate(found)
