"""How often a planned pick-and-place succeeds, and what it costs: ``python benchmarks/motion_success.py SCENE_FOLDER``.

Every movable object in turn is taken to random free goals, with the other objects where the scene has them (shifted a
little and turned). Judged by the task's own predicate. CPU seconds of one process, never wall time.
"""

import argparse
import copy
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.transforms import quat_of, turn_about_z
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.pick_place import plan_pick, plan_place
from blueprint_pipeline.skill.predicate import ObservedMotion, check_pick_place
from blueprint_pipeline.task.spec import PickPlaceTask
from blueprint_pipeline.twin.footprint import find_supports, measure_footprint

FPS = 30
REACH_M = (0.36, 0.7)
MARGIN_M = 0.05
SETTLE_STEPS = 240


@dataclass
class Tally:
    """What happened to one object."""

    tried: int = 0
    succeeded: int = 0
    missed_m: list[float] = field(default_factory=list)
    plan_s: list[float] = field(default_factory=list)
    physics_s: list[float] = field(default_factory=list)
    motion_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Run and print one row an object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--episodes", type=int, default=8, help="an object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--objects", nargs="*")
    parser.add_argument("--base", type=float, nargs=4, default=[0.0, -0.57, 0.75, 1.5708], help="x y z yaw")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    bench = Bench(options.scene, options.base)
    tallies: dict[str, Tally] = {}
    for object_id in options.objects or bench.pickable():
        tallies[object_id] = Tally()
        for index in range(options.episodes):
            bench.run(object_id, np.random.default_rng([options.seed, index, len(tallies)]), index, tallies[object_id], options.verbose)
    report(tallies)


class Bench:
    """One scene, one robot."""

    def __init__(self, folder: Path, base: list[float]) -> None:
        self.embodiment = load_embodiment("franka_panda")
        x, y, z, yaw = base
        pose = Pose(position_m=(x, y, z), quat_wxyz=(float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))))
        self.simulator = MujocoSimulator()
        self.objects = self.simulator.load(folder, RobotPlacement(embodiment="franka_panda", base_pose=pose), FPS).object_ids
        self.base = np.array([x, y])
        self.model = self.simulator.model
        self.scene: MotionScene = build_motion_scene(
            self.model, self.embodiment, "arm", fps=FPS, cache_dir=Path(tempfile.gettempdir()) / "blueprint-pipeline-motion-benchmark"
        )
        self.start = home_qpos(self.embodiment)
        state = self.simulator.reset({}, self.start)
        self.rest = {name: state.object_poses[index] for index, name in enumerate(self.objects)}
        awake = copy.copy(self.model)
        awake.opt.enableflags &= ~mujoco.mjtEnableBit.mjENBL_SLEEP.value
        data = mujoco.MjData(awake)
        data.qpos[:], data.ctrl[:] = state.qpos, state.ctrl
        mujoco.mj_step(awake, data, nstep=SETTLE_STEPS)
        self.supports = find_supports(awake, data)
        self.footprints = {name: measure_footprint(awake, data, name) for name in self.objects}

    def pickable(self) -> list[str]:
        """Objects that the gripper can hold; their grasps are cached from here on."""
        return [name for name in self.objects if self.scene.count_grasps(name)]

    def run(self, object_id: str, rng: np.random.Generator, seed: int, tally: Tally, verbose: bool) -> None:
        """One episode."""
        poses = self._varied(rng)
        task = self._task(object_id, poses, rng)
        if task is None:
            return
        tally.tried += 1
        first = self.simulator.reset(poses, self.start)
        index = self.objects.index(object_id)
        clock = time.process_time()
        try:
            pick = plan_pick(self.scene, first.qpos, task, seed=seed + 1)
            planned = time.process_time() - clock
            lifted = self.simulator.track(pick.setpoints)
            clock = time.process_time()
            place = plan_place(self.scene, lifted.states[-1].qpos, task, pick, seed=seed + 1)
            planned += time.process_time() - clock
        except PlanningFailed as failure:
            tally.failures[f"{failure.stage}:{failure.failure_code}"] += 1
            if verbose:
                print(object_id, seed, failure)
            return
        clock = time.process_time()
        placed = self.simulator.track(place.setpoints)
        share = len(pick.setpoints) / len(place.setpoints)
        tally.physics_s.append((time.process_time() - clock) * (1 + share))
        tally.plan_s.append(planned)
        states = [first, *lifted.states, *placed.states]
        tally.motion_s.append((len(states) - 1) / FPS)
        start = self.model.joint(object_id).dofadr[0]
        checks = check_pick_place(
            task,
            ObservedMotion(
                target_poses=np.stack([state.object_poses[index] for state in states]),
                target_speed_m_s=np.array([np.linalg.norm(state.qvel[start : start + 3]) for state in states]),
                gripper_width_m=np.array([state.gripper_width_m[0] for state in states]),
                contacts=((), *lifted.contacts, *placed.contacts),
            ),
        )
        tally.missed_m.append(next(check.value for check in checks if check.name == "arrived"))
        broken = [check.name for check in checks if not check.held]
        tally.succeeded += not broken
        tally.failures.update(broken)
        if broken and verbose:
            print(object_id, seed, [(check.name, round(check.value, 3)) for check in checks], f"width {pick.close_m + 0.008:.3f}")

    def _varied(self, rng: np.random.Generator) -> dict[str, Pose]:
        poses = {}
        for name in self.objects:
            turn = turn_about_z(float(rng.uniform(-np.pi, np.pi)))
            x, y, z = self.rest[name][:3] + np.array([*rng.uniform(-0.02, 0.02, 2), 0.001])
            rotation = np.zeros(9)
            mujoco.mju_quat2Mat(rotation, self.rest[name][3:])
            turn[:3, :3] = turn[:3, :3] @ rotation.reshape(3, 3)
            poses[name] = Pose(position_m=(float(x), float(y), float(z)), quat_wxyz=tuple(float(value) for value in quat_of(turn)))
        return poses

    def _task(self, object_id: str, poses: dict[str, Pose], rng: np.random.Generator) -> PickPlaceTask | None:
        origin = np.array(poses[object_id].position_m)
        radius = self.footprints[object_id].radius_m
        others = [(np.array(poses[name].position_m)[:2], self.footprints[name].radius_m) for name in self.objects if name != object_id]
        if not REACH_M[0] < np.linalg.norm(origin[:2] - self.base) < REACH_M[1] + 0.05:
            return None
        for _ in range(500):
            spot = np.array([rng.uniform(-0.6 + radius, 0.6 - radius), rng.uniform(-0.35 + radius, 0.35 - radius)])
            clear = all(np.linalg.norm(spot - place) > radius + other + MARGIN_M for place, other in others)
            if clear and np.linalg.norm(spot - origin[:2]) > 0.1 and REACH_M[0] < np.linalg.norm(spot - self.base) < REACH_M[1]:
                return PickPlaceTask(
                    instruction="put it there",
                    target_object=object_id,
                    support_object=self.supports[object_id],
                    goal_position_m=(float(spot[0]), float(spot[1]), float(self.rest[object_id][2])),
                    upright=True,
                )
        return None


def report(tallies: dict[str, Tally]) -> None:
    """A table, one row an object, and the sum."""
    total = Tally()
    print(f"{'object':20} {'ok':>9} {'miss mm p50/p95':>16} {'plan s':>14} {'physics s':>9} {'motion s':>8}  failures")
    for name, tally in [*tallies.items(), ("all", total)]:
        if tally is not total:
            total.tried += tally.tried
            total.succeeded += tally.succeeded
            total.failures.update(tally.failures)
            for key in ("missed_m", "plan_s", "physics_s", "motion_s"):
                getattr(total, key).extend(getattr(tally, key))
        missed = np.array(tally.missed_m or [np.nan]) * 1000
        plan = np.array(tally.plan_s or [np.nan])
        print(
            f"{name:20} {tally.succeeded:4}/{tally.tried:<4} {np.median(missed):7.1f}/{np.percentile(missed, 95):7.1f} "
            f"{plan.mean():6.3f} p95{np.percentile(plan, 95):5.2f} {np.mean(tally.physics_s or [np.nan]):9.3f} "
            f"{np.mean(tally.motion_s or [np.nan]):8.2f}  {dict(tally.failures)}"
        )


if __name__ == "__main__":
    main()
