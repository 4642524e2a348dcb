"""A kit judges as the skills do, on what was kept and on motions that were made to fail."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline import kit
from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.kit.predicates import find_missed, judge
from blueprint_pipeline.kit.starts import Recorder, load_starts
from blueprint_pipeline.kit.world import World
from blueprint_pipeline.rollout.controller import observe_motion
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.registry import load_skill

pytestmark = pytest.mark.slow


def unchanged(setpoints):
    return setpoints


def stopped_half_way(setpoints):
    return setpoints[: len(setpoints) // 2]


def with_open_hand(setpoints):
    """The gripper never closes."""
    changed = setpoints.copy()
    changed[:, 7] = setpoints[0, 7]
    return changed


def turned_aside(setpoints):
    """The arm's first joint is a little off, so that the hand misses, or hits."""
    changed = setpoints.copy()
    changed[:, 0] += np.linspace(0.0, 0.25, len(setpoints))
    return changed


def by_the_skill(small_kit, record, setpoints):
    """What the skill makes of the motion in the simulator that our stages use."""
    simulator = MujocoSimulator()
    loaded = simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    simulator.vary(record.spec.variation)
    start = simulator.restore_state(load_motion(small_kit.states(record.episode_id)).integration_state)
    track = simulator.track(setpoints)
    motion = observe_motion(record.spec.task, loaded.object_ids, [start, *track.states], [*track.contacts, ()], arm=0, fps=record.fps)
    return load_skill(record.spec.task.task_type).check(record.spec.task, motion)


def by_the_kit(small_kit, record, setpoints):
    """What the kit makes of it, from its own files alone."""
    start, world = load_starts(small_kit.folder)[record.episode_id], World(small_kit.folder)
    world.restore(start.integration_state, start.variation)
    recorder = Recorder(world, start)
    for setpoint in setpoints:
        recorder.add(world.advance(setpoint))
    return start, recorder.motion()


@pytest.mark.parametrize("change", [unchanged, stopped_half_way, with_open_hand, turned_aside])
def test_the_kit_judges_as_the_skill_does(small_kit, change):
    """The same conditions, values, limits and verdicts, to the last bit; what fails names the same condition first."""
    done = []
    for record in small_kit.records.values():
        setpoints = change(load_motion(small_kit.states(record.episode_id)).ctrl[:-1])
        expected = by_the_skill(small_kit, record, setpoints)
        start, motion = by_the_kit(small_kit, record, setpoints)
        found = judge(start.conditions, motion)
        assert [(item.condition.name, item.value, item.condition.limit, item.held) for item in found] == [
            (check.name, check.value, check.limit, check.held) for check in expected
        ]
        done.append(all(check.held for check in expected))
        missed = find_missed(start.conditions, motion)
        assert (missed and missed.condition.name) == next((check.name for check in expected if not check.held), None)
    assert all(done) is (change is unchanged)


def test_the_kit_imports_nothing_of_ours_and_two_packages():
    """NumPy and mujoco; pyarrow where states are read from their file, gymnasium where there is an environment."""
    allowed = {"numpy", "mujoco"}
    extra = {"replay.py": {"pyarrow"}, "env.py": {"gymnasium"}}
    for path in Path(kit.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
        assert {name.split(".")[0] for name in names} - sys.stdlib_module_names <= allowed | extra.get(path.name, set()), path.name
