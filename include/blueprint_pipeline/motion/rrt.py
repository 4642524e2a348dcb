"""Paths from one configuration to another without contact: straight if possible, else RRT-Connect, then shortened.

Limited by iterations and seeded, never by time: a busy machine finds the same path.

Source: Kuffner and LaValle, "RRT-Connect" (2000); implementation and path simplification by OMPL.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from blueprint_pipeline.geometry.arrays import FloatArray

RESOLUTION_RAD = 0.03
"""Largest joint step between two checks of a motion."""
MAX_CHECKS = 4000
MAX_ITERATIONS = 20000
_RANGE_RAD = 0.8
_SHORTCUT_STEPS = 40
_SHORTCUT_IDLE = 20
_SEEDS = 2**31 - 1
"""OMPL takes 32 bits, and 0 means that it chooses."""

ou.noOutputHandler()


def plan_path(
    start: FloatArray, goal: FloatArray, *, bounds: tuple[FloatArray, FloatArray], is_free: Callable[[FloatArray], bool], seed: int
) -> FloatArray | None:
    """Waypoints (k, n) from ``start`` to ``goal``, or ``None`` where the search ended without one.

    Args:
        start: Joint positions (n,), free.
        goal: Joint positions (n,), free.
        bounds: Lower and upper limits (n,) each.
        is_free: Says whether a configuration is free of contacts.
        seed: Any number >= 0; the same gives the same path.
    """
    if not all(_is_inside(qpos, bounds) and is_free(qpos) for qpos in (start, goal)):
        return None  # OMPL would wait for another goal, forever
    if segment_is_free(start, goal, is_free):
        return np.stack([start, goal])
    ou.RNG.setSeed(1 + seed % _SEEDS)
    checks = 0

    def counted(state: ob.State) -> bool:
        nonlocal checks
        checks += 1
        return bool(is_free(np.array([state[index] for index in range(len(start))])))

    setup = _setup(start, goal, bounds, counted)
    asked = count()
    limit = ob.PlannerTerminationCondition(lambda: checks > MAX_CHECKS or next(asked) > MAX_ITERATIONS)
    if not setup.solve(limit) or not setup.haveExactSolutionPath():
        return None
    path = setup.getSolutionPath()
    simplifier = og.PathSimplifier(setup.getSpaceInformation())
    simplifier.reduceVertices(path, _SHORTCUT_STEPS, _SHORTCUT_IDLE)
    simplifier.partialShortcutPath(path, _SHORTCUT_STEPS, _SHORTCUT_IDLE)
    simplifier.reduceVertices(path, _SHORTCUT_STEPS, _SHORTCUT_IDLE)
    return np.array([[path.getState(k)[index] for index in range(len(start))] for k in range(path.getStateCount())])


def segment_is_free(start: FloatArray, goal: FloatArray, is_free: Callable[[FloatArray], bool]) -> bool:
    """Whether a straight motion in joint space is free, middle first: most collisions show early."""
    steps = max(2, int(np.ceil(np.abs(goal - start).max() / RESOLUTION_RAD)) + 1)
    shares = np.linspace(0, 1, steps)
    order = np.argsort(np.abs(shares - 0.5), kind="stable")
    return all(is_free(start + share * (goal - start)) for share in shares[order])


def _is_inside(qpos: FloatArray, bounds: tuple[FloatArray, FloatArray]) -> bool:
    return bool((qpos >= bounds[0]).all() and (qpos <= bounds[1]).all())


def _setup(
    start: FloatArray, goal: FloatArray, bounds: tuple[FloatArray, FloatArray], is_free: Callable[[ob.State], bool]
) -> og.SimpleSetup:
    space = ob.RealVectorStateSpace(len(start))
    limits = ob.RealVectorBounds(len(start))
    for index, (lower, upper) in enumerate(zip(*bounds, strict=True)):
        limits.setLow(index, float(lower))
        limits.setHigh(index, float(upper))
    space.setBounds(limits)
    setup = og.SimpleSetup(space)
    setup.setStateValidityChecker(is_free)
    information = setup.getSpaceInformation()
    information.setStateValidityCheckingResolution(RESOLUTION_RAD / space.getMaximumExtent())
    first, last = space.allocState(), space.allocState()
    for index in range(len(start)):
        first[index], last[index] = float(start[index]), float(goal[index])
    setup.setStartAndGoalStates(first, last)
    planner = og.RRTConnect(information)
    planner.setRange(_RANGE_RAD)
    setup.setPlanner(planner)
    return setup
