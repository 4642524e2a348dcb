"""Where a job happens: the support with most objects on it, the robot beside it, and what each skill can do there.

World frame: z up, metres.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.placement import place_robot
from blueprint_pipeline.job.start_states import StartStates
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import Embodiment, load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Workplace
from blueprint_pipeline.skill.goals import Reach
from blueprint_pipeline.skill.instruction import build_surface_frame
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.support_surface import SupportSurface, scan_surface
from blueprint_pipeline.twin.footprint import Footprint, measure_footprint
from blueprint_pipeline.twin.model import SceneModel, build_scene_model, planning_copy

PROBES = 3
"""Tasks that are proposed and planned before an object counts as a target of a skill."""
_FLOOR = "world"
LeftOut = dict[str, dict[str, str]]
"""By skill and object: why the skill does not take it."""


class NothingToDo(InputError):
    """A skill that was asked for finds no object of the scene that it could take."""

    code = "task.nothing_to_do"
    template = (
        "Scene {scene_id} offers no task for the skill {skill} ({why}). Add objects that it can take, with free space beside "
        "them, or ask for other skills."
    )

    scene_id: str
    skill: str
    reasons: Mapping[str, str]
    """Why it does not take each object."""

    @property
    def why(self) -> str:
        """Every object with its reason."""
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(self.reasons.items()))
        return told or "the scene has no movable object"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A workplace, and what a job needs to fill it with episodes."""

    place: Workplace
    starts: StartStates
    placement: RobotPlacement
    compiled: SceneModel
    """The twin with the robot mounted."""
    names: tuple[str, ...]
    """Movable objects on the support."""
    targets: Mapping[str, tuple[str, ...]]
    """By skill, in the order of the request: the objects that it takes."""
    left_out: LeftOut

    def start_state(self, twin: mujoco.MjModel, poses: Mapping[str, Pose]) -> StartState:
        """Where the objects on the support stand at ``poses``."""
        return StartState(poses=poses, footprints=_footprints(twin, self.starts.qpos_of(poses), self.names))


def choose_site(scene: TaskScene, robot: str, skills: Sequence[str], *, fps: int, seed: int) -> Site:
    """Choose the support with most movable objects on it, the robot's place beside it, and what each skill can take there.

    Raises:
        NothingToDo: A skill finds no object.
        NoRoomForRobot: The robot finds no place.
        UnknownRobot: There is no such robot.
        UnknownSkill: There is no such skill.
    """
    embodiment, loaded = load_embodiment(robot), [load_skill(name) for name in skills]
    starts = StartStates(scene.twin, scene.poses)
    support = _busiest_support(scene, starts)
    elsewhere = _not_on(support, scene, starts)
    if support is None:
        raise NothingToDo(scene.manifest.scene_id, skills[0], elsewhere)
    prints = _footprints(scene.twin, starts.settled_qpos, [name for name, below in starts.supports.items() if below == support])
    height = round(float(np.median([item.bottom_m for item in prints.values()])), 4)
    surface = scan_surface(scene.twin, starts.settled_qpos, support, height)
    site = _build_site(scene, embodiment, starts, surface, names=tuple(prints), wanted=prints.values(), fps=fps)
    unsuitable = {skill.name: _unsuitable(skill, site) for skill in loaded}
    wanted = {name: item for name, item in prints.items() if any(name not in reasons for reasons in unsuitable.values())}
    if wanted and len(wanted) < len(prints):
        site = _build_site(scene, embodiment, starts, surface, names=tuple(prints), wanted=wanted.values(), fps=fps)
    targets: dict[str, tuple[str, ...]] = {}
    left_out: LeftOut = {}
    state = site.start_state(scene.twin, scene.poses)
    for skill in loaded:
        found = {name: unsuitable[skill.name].get(name) or _find_obstacle(site, skill, state, name, seed=seed) for name in sorted(prints)}
        targets[skill.name] = tuple(name for name, reason in found.items() if reason is None)
        left_out[skill.name] = elsewhere | {name: reason for name, reason in found.items() if reason is not None}
        if not targets[skill.name]:
            raise NothingToDo(scene.manifest.scene_id, skill.name, left_out[skill.name])
    return Site(
        place=site.place,
        starts=starts,
        placement=site.placement,
        compiled=site.compiled,
        names=site.names,
        targets=targets,
        left_out=left_out,
    )


def _busiest_support(scene: TaskScene, starts: StartStates) -> str | None:
    """The fixed thing that most movable objects stand on; the first by name of equals. The floor is out of an arm's reach."""
    below = list(starts.supports.values())
    counts = {name: below.count(name) for name in sorted(set(below)) if name not in scene.poses and name != _FLOOR}
    return max(counts, key=lambda name: counts[name]) if counts else None


def _not_on(support: str | None, scene: TaskScene, starts: StartStates) -> dict[str, str]:
    """Why the movable objects that do not stand on the support are no targets."""
    reasons = {name: "it stands on nothing" for name in scene.poses if name not in starts.supports}
    if support is None:
        return reasons
    return reasons | {name: f"it stands on '{below}', not on '{support}'" for name, below in starts.supports.items() if below != support}


def _build_site(
    scene: TaskScene,
    embodiment: Embodiment,
    starts: StartStates,
    surface: SupportSurface,
    *,
    names: tuple[str, ...],
    wanted: Iterable[Footprint],
    fps: int,
) -> Site:
    """Put the robot where it reaches most of ``wanted``, and prepare to plan its motions there."""
    centers = [item.center_m for item in wanted]
    arm = embodiment.arms[0]  # the one place that chooses: every episode names the arm that acts in it
    placement = place_robot(scene.mjcf_path, scene.twin, scene.poses, surface, centers, embodiment=embodiment, arm=arm)
    compiled = build_scene_model(scene.mjcf_path, placement, fps)
    radius = arm.working_radius
    pose = placement.base_pose
    yaw_rad = 2.0 * float(np.arctan2(pose.quat_wxyz[3], pose.quat_wxyz[0]))
    base_m = np.array(pose.position_m[:2])
    place = Workplace(
        surface=surface,
        frame=build_surface_frame(scene.surface_noun(surface.support), base_m, yaw_rad, surface.cells_m()[surface.level]),
        reach=Reach(base_m=base_m, yaw_rad=yaw_rad, nearest_m=radius.nearest_m, farthest_m=radius.farthest_m),
        embodiment=embodiment,
        planner=build_motion_scene(planning_copy(compiled.model), embodiment, arm.name, fps=fps, cache_dir=scene.cache_dir),
        objects={name: scene.facts(name, starts.supports) for name in names},
    )
    return Site(place=place, starts=starts, placement=placement, compiled=compiled, names=names, targets={}, left_out={})


def _unsuitable(skill: Skill[Any], site: Site) -> dict[str, str]:
    """Objects that the skill never takes, each with the reason."""
    found = {name: skill.find_unsuitable(site.place, name) for name in site.names}
    return {name: reason for name, reason in found.items() if reason is not None}


def _find_obstacle(site: Site, skill: Skill[Any], state: StartState, name: str, *, seed: int) -> str | None:
    """Why a skill does not take an object where it stands: out of reach, no task, or no motion for a few tasks; ``None``: it does."""
    if not site.place.reach.reaches(state.footprints[name].center_m[None])[0]:
        return "it is out of the robot's good reach"
    rng = np.random.default_rng(np.random.SeedSequence([seed, *skill.name.encode(), *name.encode()]))
    qpos = _whole_qpos(site, state.poses)
    reason = ""
    for _ in range(PROBES):
        try:
            next(skill.plan(site.place.planner, qpos, skill.propose(site.place, state, name, rng), seed=seed))
        except NotOffered as refusal:
            return refusal.reason
        except PlanningFailed as failure:
            reason = failure.reason
        else:
            return None
    return reason


def _footprints(twin: mujoco.MjModel, qpos: FloatArray, names: Sequence[str]) -> dict[str, Footprint]:
    data = mujoco.MjData(twin)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(twin, data)
    return {name: measure_footprint(twin, data, name) for name in names}


def _whole_qpos(site: Site, poses: Mapping[str, Pose]) -> FloatArray:
    """Configuration of the model with the robot at home in it, (nq,)."""
    compiled = site.compiled
    data = mujoco.MjData(compiled.model)
    compiled.robot.place(data, home_qpos(site.place.embodiment))
    for name, address in zip(compiled.object_ids, compiled.object_qpos, strict=True):
        data.qpos[address : address + 7] = (*poses[name].position_m, *poses[name].quat_wxyz)
    qpos: FloatArray = data.qpos.copy()
    return qpos
