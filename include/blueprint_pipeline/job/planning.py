"""From a settled scene to a job: where the robot stands, and what it shall do in every episode.

The same request on the same scene gives the same plan, to the byte: every episode draws from its own generator, seeded by
the job's seed and the episode's index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.affordances import Affordance, Affordances
from blueprint_pipeline.job.goals import Reach, goal_spots
from blueprint_pipeline.job.instruction import NamedObject, SurfaceFrame, build_instruction, name_object
from blueprint_pipeline.job.placement import place_robot, reach_band_m
from blueprint_pipeline.job.start_states import StartStates
from blueprint_pipeline.job.surface import Surface, scan_surface
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import Embodiment, load_embodiment
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.scene.decompose import MAX_OVERFILL
from blueprint_pipeline.scene.manifest import SceneManifest
from blueprint_pipeline.skill.pick_place import plan_pick
from blueprint_pipeline.task.plan import JobPlan, ShardRef
from blueprint_pipeline.task.spec import EpisodeSpec, PickPlaceTask
from blueprint_pipeline.twin.binding import start_qpos
from blueprint_pipeline.twin.footprint import Footprint, measure_footprint
from blueprint_pipeline.twin.model import SceneModel, build_scene_model, planning_copy
from blueprint_pipeline.workspace.canonical import key_of

ARM_JITTER_RAD = 0.03
_PROBES = 3
"""Goals to which a motion is planned before an object counts as a target."""
VERBS = ("move", "put", "place")
_FLOOR = "world"
_NO_JOB = "job-000000000000"


class NothingToDo(InputError):
    """No movable object of the scene can be picked up and set down somewhere else."""

    code = "task.nothing_to_do"
    template = "Scene {scene_id} offers no pick-and-place task ({why}). Add objects that the gripper can hold, with free space beside them."

    scene_id: str
    reasons: Mapping[str, str]
    """Why each object cannot be moved."""

    @property
    def why(self) -> str:
        """Every object with its reason."""
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(self.reasons.items()))
        return told or "the scene has no movable object"


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a run chooses."""

    robot: str
    episodes: int
    seed: int
    shard_size: int
    fps: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class TaskScene:
    """A scene as the planner of tasks sees it."""

    manifest: SceneManifest
    twin: mujoco.MjModel
    mjcf_path: Path
    poses: Mapping[str, Pose]
    """Settled pose of every movable object."""
    overfill: Mapping[str, float]
    """Share of the free space close to each movable object that its convex pieces cover."""
    affordances: Affordances
    cache_dir: Path

    def surface_noun(self, object_id: str) -> str:
        """What to call a support; the background, which is no object, is a surface."""
        known = {item.id: item for item in self.manifest.objects}
        if object_id not in known:
            return "surface"
        return name_object(object_id, known[object_id].category, known[object_id].description)[0]

    def closed(self, object_id: str) -> str | None:
        """What its convex pieces do to an object that is open, in words; ``None`` where they are true to it."""
        share = self.overfill[object_id]
        if share <= MAX_OVERFILL:
            return None
        return f"its collision pieces close what is open: they fill {share:.1%} of the free space close to it (limit {MAX_OVERFILL:.0%})"

    def affordance(self, object_id: str) -> Affordance:
        """What can be done with an object."""
        item = self.manifest.object(object_id)
        return self.affordances.of(item.category, item.id, item.description)

    def named(self, object_id: str, center_m: FloatArray) -> NamedObject:
        """What may be said of an object that stands at ``center_m``."""
        item = self.manifest.object(object_id)
        noun, colour = name_object(item.id, item.category, item.description)
        return NamedObject(object_id=object_id, noun=noun, colour=colour, center_m=center_m)


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """Where things happen: one support with the robot beside it."""

    starts: StartStates
    surface: Surface
    placement: RobotPlacement
    embodiment: Embodiment
    reach: Reach
    compiled: SceneModel
    """The twin with the robot mounted."""
    targets: tuple[str, ...]
    reasons: Mapping[str, str]
    """Why each other movable object is no target."""


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job, and what was left out of it."""

    plan: JobPlan
    left_out: Mapping[str, str]
    """Movable objects that are no target, each with the reason."""


def plan_job(scene: TaskScene, options: JobOptions) -> PlannedJob:
    """Plan every episode of a job.

    Raises:
        NothingToDo: No object can be taken and set down elsewhere.
        NoRoomForRobot: The robot finds no place.
        UnknownRobot: There is no such robot.
    """
    stage = _set_up(scene, options)
    episodes = tuple(_plan_episode(scene, stage, options, index) for index in range(options.episodes))
    indices = range(options.episodes)
    shards = tuple(
        ShardRef(shard_index=number, episode_indices=tuple(indices[start : start + options.shard_size]))
        for number, start in enumerate(range(0, options.episodes, options.shard_size))
    )
    plan = JobPlan(
        job_id=_NO_JOB,
        scene_id=scene.manifest.scene_id,
        seed=options.seed,
        fps=options.fps,
        robot=stage.placement,
        cameras=("scene", "wrist") if stage.embodiment.wrist_camera is not None else ("scene",),
        width=options.width,
        height=options.height,
        shards=shards,
        episodes=episodes,
    )
    return PlannedJob(plan=plan.model_copy(update={"job_id": f"job-{key_of(plan)[:12]}"}), left_out=stage.reasons)


def _set_up(scene: TaskScene, options: JobOptions) -> _Stage:
    """Choose the support with most movable objects on it, the robot's place beside it, and what can be moved there."""
    embodiment = load_embodiment(options.robot)
    starts = StartStates(scene.twin, scene.poses)
    reasons: dict[str, str] = {name: "it stands on nothing" for name in scene.poses if name not in starts.supports}
    support = _busiest_support(scene, starts)
    if support is None:
        raise NothingToDo(scene.manifest.scene_id, reasons)
    reasons |= {name: f"it stands on '{below}', not on '{support}'" for name, below in starts.supports.items() if below != support}
    prints = _footprints(scene.twin, starts.settled_qpos, [name for name, below in starts.supports.items() if below == support])
    height = round(float(np.median([item.bottom_m for item in prints.values()])), 4)
    surface = scan_surface(scene.twin, starts.settled_qpos, support, height)
    stage, planner = _place(scene, options, embodiment, starts, surface, wanted=prints)
    closed = {name: reason for name in prints if (reason := scene.closed(name))}
    holdable = {name for name in prints if name not in closed and planner.count_grasps(name)}
    reasons |= {name: "the gripper has no grasp of it" for name in prints if name not in holdable} | closed
    if holdable and len(holdable) < len(prints):
        wanted = {name: item for name, item in prints.items() if name in holdable}
        stage, planner = _place(scene, options, embodiment, starts, surface, wanted=wanted)
    targets = []
    for name in sorted(holdable):
        reason = _obstacle(scene, stage, planner, prints, name, seed=options.seed)
        if reason is None:
            targets.append(name)
        else:
            reasons[name] = reason
    if not targets:
        raise NothingToDo(scene.manifest.scene_id, reasons)
    return replace(stage, targets=tuple(targets), reasons=reasons)


def _place(
    scene: TaskScene, options: JobOptions, embodiment: Embodiment, starts: StartStates, surface: Surface, *, wanted: Mapping[str, Footprint]
) -> tuple[_Stage, MotionScene]:
    """Put the robot where it reaches most of ``wanted``, and prepare to plan its motions there."""
    centers = [item.center_m for item in wanted.values()]
    placement = place_robot(scene.mjcf_path, scene.twin, scene.poses, surface, centers, embodiment=embodiment)
    compiled = build_scene_model(scene.mjcf_path, placement, options.fps)
    planner = build_motion_scene(planning_copy(compiled.model), embodiment, fps=options.fps, cache_dir=scene.cache_dir)
    nearest, farthest = reach_band_m(embodiment)
    pose = placement.base_pose
    reach = Reach(
        base_m=np.array(pose.position_m[:2]),
        yaw_rad=2.0 * float(np.arctan2(pose.quat_wxyz[3], pose.quat_wxyz[0])),
        nearest_m=nearest,
        farthest_m=farthest,
    )
    stage = _Stage(
        starts=starts, surface=surface, placement=placement, embodiment=embodiment, reach=reach, compiled=compiled, targets=(), reasons={}
    )
    return stage, planner


def _busiest_support(scene: TaskScene, starts: StartStates) -> str | None:
    """The fixed thing that most movable objects stand on; the first by name of equals. The floor is out of an arm's reach."""
    below = list(starts.supports.values())
    counts = {name: below.count(name) for name in sorted(set(below)) if name not in scene.poses and name != _FLOOR}
    return max(counts, key=lambda name: counts[name]) if counts else None


def _obstacle(
    scene: TaskScene, stage: _Stage, planner: MotionScene, prints: Mapping[str, Footprint], name: str, *, seed: int
) -> str | None:
    """Why an object is no target: out of reach, too heavy, no free spot, or no motion to any of a few spots; ``None``: it is one."""
    footprint = prints[name]
    mass = float(scene.twin.body_subtreemass[scene.twin.body(name).id])
    if mass > stage.embodiment.arm.max_payload_kg:
        return f"it weighs {mass:.1f} kg, and the arm carries {stage.embodiment.arm.max_payload_kg:g} kg"
    if not stage.reach.reaches(footprint.center_m[None])[0]:
        return "it is out of the robot's good reach"
    spots = goal_spots(stage.surface, footprint, [prints[other] for other in prints if other != name], stage.reach)
    if len(spots) == 0:
        return "there is no free spot for it within reach"
    rng = np.random.default_rng(np.random.SeedSequence([seed, *name.encode()]))
    qpos = _whole_qpos(stage, scene.poses, _home(stage.embodiment))
    reason = ""
    for spot in spots[rng.choice(len(spots), size=min(_PROBES, len(spots)), replace=False)]:
        task = _task(scene, stage, name, footprint, spot, instruction="probe")
        try:
            plan_pick(planner, qpos, task, seed=seed)
        except PlanningFailed as failure:
            reason = failure.reason
        else:
            return None
    return reason


def _plan_episode(scene: TaskScene, stage: _Stage, options: JobOptions, index: int) -> EpisodeSpec:
    """One episode: a start state, a target with a free spot to go to, and how to say so."""
    rng = np.random.default_rng(np.random.SeedSequence([options.seed, index]))
    poses = stage.starts.sample(rng)
    names = [name for name, below in stage.starts.supports.items() if below == stage.surface.support]
    prints = _footprints(scene.twin, stage.starts.qpos_of(poses), names)
    order = [stage.targets[(index + step) % len(stage.targets)] for step in range(len(stage.targets))]
    for target in order:
        others = [prints[name] for name in names if name != target]
        spots = goal_spots(stage.surface, prints[target], others, stage.reach)
        if len(spots):
            break
    else:
        raise NothingToDo(scene.manifest.scene_id, dict.fromkeys(order, f"in episode {index} there is no free spot for it within reach"))
    spot = spots[rng.integers(len(spots))]
    instruction = build_instruction(
        scene.named(target, prints[target].center_m),
        spot,
        [scene.named(name, prints[name].center_m) for name in names if name != target],
        _surface_frame(scene, stage),
        verb=VERBS[rng.integers(len(VERBS))],
    )
    arm = np.array(stage.embodiment.arm.default_qpos_rad) + rng.uniform(-ARM_JITTER_RAD, ARM_JITTER_RAD, len(stage.embodiment.arm.joints))
    return EpisodeSpec(
        episode_index=index,
        episode_id=f"pick_place_ep{index:06d}",
        seed=int(np.random.SeedSequence([options.seed, index]).generate_state(1)[0]),
        task=_task(scene, stage, target, prints[target], spot, instruction=instruction),
        object_poses=poses,
        robot_qpos=start_qpos(stage.embodiment, arm, stage.embodiment.arm.gripper.stroke_m),
    )


def _task(scene: TaskScene, stage: _Stage, target: str, footprint: Footprint, spot: FloatArray, *, instruction: str) -> PickPlaceTask:
    height = stage.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
    return PickPlaceTask(
        instruction=instruction,
        target_object=target,
        support_object=stage.surface.support,
        goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
        upright=scene.affordance(target).upright,
    )


def _surface_frame(scene: TaskScene, stage: _Stage) -> SurfaceFrame:
    """The surface in the robot's axes."""
    noun = scene.surface_noun(stage.surface.support)
    frame = SurfaceFrame(noun=noun, origin_m=stage.reach.base_m, yaw_rad=stage.reach.yaw_rad, extent_m=(np.zeros(2), np.zeros(2)))
    cells = stage.surface.cells_m()[stage.surface.level]
    seen = np.stack([frame.to_robot(cell) for cell in cells])
    return replace(frame, extent_m=(seen.min(axis=0), seen.max(axis=0)))


def _footprints(twin: mujoco.MjModel, qpos: FloatArray, names: Sequence[str]) -> dict[str, Footprint]:
    data = mujoco.MjData(twin)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(twin, data)
    return {name: measure_footprint(twin, data, name) for name in names}


def _home(embodiment: Embodiment) -> tuple[float, ...]:
    return start_qpos(embodiment, np.array(embodiment.arm.default_qpos_rad), embodiment.arm.gripper.stroke_m)


def _whole_qpos(stage: _Stage, poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> FloatArray:
    """Configuration of the model with the robot in it, (nq,)."""
    compiled = stage.compiled
    data = mujoco.MjData(compiled.model)
    compiled.robot.place(data, robot_qpos)
    for name, address in zip(compiled.object_ids, compiled.object_qpos, strict=True):
        data.qpos[address : address + 7] = (*poses[name].position_m, *poses[name].quat_wxyz)
    qpos: FloatArray = data.qpos.copy()
    return qpos
