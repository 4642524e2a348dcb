"""Where a job happens: a support with the robot beside it, and what each skill can do there.

Supports are tried in turn, those with most movable objects first; each tier of a shelf counts as one. World frame: z up, metres.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.job.framing import choose_view
from blueprint_pipeline.job.part_places import PartPlace, find_parts
from blueprint_pipeline.job.placement import NoRoomForRobot, place_robot
from blueprint_pipeline.job.start_cells import narrow_range, on_cell
from blueprint_pipeline.job.start_states import Spread, StartStates
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.job.tiers import Tier, find_elsewhere, find_tiers
from blueprint_pipeline.job.viewpoint import find_viewpoint
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import Embodiment, arms_by_robot, load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Workplace
from blueprint_pipeline.skill.goals import build_reach, reach_of_all
from blueprint_pipeline.skill.instruction import build_surface_frame
from blueprint_pipeline.skill.receiver import Receivers
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.scene_view import SceneView
from blueprint_pipeline.skill.support_surface import SupportSurface, scan_surface
from blueprint_pipeline.task.skills import SKILLS, require_arms
from blueprint_pipeline.twin.articulation import find_joints
from blueprint_pipeline.twin.body_names import is_part
from blueprint_pipeline.twin.model import SceneModel, build_scene_model, planning_copy

PROBES, ENOUGH = 12, 3
"""Start states in which a task is proposed and planned for an object, and in how many of them that must work for it to be a target."""
STARTS_SHOWN = 6
"""Start states that are drawn until the scene's camera shows the target in one."""
FEWEST_CELLS = 50
"""Of a surface on which something can be done, a square centimetre each."""
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
        return told or "the scene has nothing of the kind"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A workplace, and what a job needs to fill it with episodes."""

    place: Workplace
    starts: StartStates
    spread: Spread
    placement: RobotPlacement
    compiled: SceneModel
    """The twin with the robot mounted."""
    parts: Mapping[str, PartPlace]
    """Those that open, of the support and of what stands on it."""
    targets: Mapping[str, tuple[str, ...]]
    """By skill, in the order of the request: the objects that it takes."""
    left_out: LeftOut

    def targets_of(self, skill: Skill[Any]) -> tuple[str, ...]:
        """What a skill might take here."""
        return tuple(sorted(self.place.objects if skill.moves == "object" else self.place.parts))

    def draw_start(self, skill: Skill[Any], target: str, rng: np.random.Generator, cell: str | None = None) -> StartState:
        """A start state for a target; in a part of the surface, or of the range of a part, where one is named.

        Raises:
            NotOffered: There is no room for it and everything else, or the scene's camera does not show it.
        """
        home = home_qpos(self.place.embodiment)
        for _ in range(STARTS_SHOWN):
            drawn = self._draw_any_start(skill, target, rng, cell)
            if self.place.view.shows(drawn.poses, home, target):
                return drawn
            if skill.moves == "object" and not self.starts.is_free(target):
                break
        raise NotOffered("the scene's camera hardly shows it: it is small in the picture, or something stands before it")

    def _draw_any_start(self, skill: Skill[Any], target: str, rng: np.random.Generator, cell: str | None) -> StartState:
        """The same, wherever the scene's camera looks."""
        if skill.moves == "part":
            return self._draw_part_start(skill, target, rng, cell)
        if not self.starts.is_free(target):
            state = self.starts.settled_state(self.spread.names)
            if not self._spread_of(skill, target).reach.reaches(state.footprints[target].center_m[None])[0]:
                raise NotOffered("it is out of the robot's good reach")
            return state
        within = None if cell is None else on_cell(self.place.frame, cell)
        drawn = self.starts.sample(self._spread_of(skill, target), target, self._hand_m(skill), rng, within)
        if drawn is None:
            raise NotOffered("the surface has no room for it within reach, beside everything else")
        return drawn

    def _draw_part_start(self, skill: Skill[Any], part: str, rng: np.random.Generator, cell: str | None) -> StartState:
        """A part somewhere in the range in which the skill begins, and every free object anywhere but where the part moves."""
        joint = self.place.planner.parts[part]
        pose = joint.line.pose_at(float(rng.uniform(*narrow_range(self.start_range(skill, part), cell))))
        drawn = self.starts.sample_beside(self.spread, {part: pose}, [self.parts[part].swept], rng)
        if drawn is None:
            raise NotOffered("the surface has no room for everything else beside where it moves")
        return drawn

    def start_spots_m(self, skill: Skill[Any], target: str) -> FloatArray:
        """Where a target of a skill has room to start, whatever else is moved, (n, 2) in the world."""
        return self.starts.spots_m(self._spread_of(skill, target), target, self._hand_m(skill))

    def start_range(self, skill: Skill[Any], part: str) -> tuple[float, float]:
        """How far a part may be open when a skill begins, at least and at most [m] or [rad]."""
        line = self.place.planner.parts[part].line
        ends = line.limits if skill.starts_anywhere else tuple(line.position_at(share) for share in skill.start_shares)
        low, high = (round(end, 6) for end in ends)
        return low, high

    def _spread_of(self, skill: Skill[Any], target: str) -> Spread:
        """Where a target of a skill may start."""
        return replace(self.spread, reach=skill.start_reach(self.place, self.starts.radius_m(target)))

    def _hand_m(self, skill: Skill[Any]) -> float:
        """Radius of the circle about a hand that goes down to what the skill takes."""
        return self.place.planner.arm.gripper.palm.radius_m if skill.takes else 0.0

    def is_good_home(self, state: StartState, target: str, robot_qpos: tuple[float, ...]) -> bool:
        """Whether the robot touches nothing where it starts, and does not hide what it shall handle."""
        qpos, planner = self.compiled.qpos_at(state.poses, robot_qpos), self.place.planner
        planner.checker.place_objects(qpos)
        planner.checker.allow()
        is_free = planner.checker.is_free(planner.arm_qpos(qpos), planner.gripper_width(qpos))
        return is_free and self.place.view.shows(state.poses, robot_qpos, target)


@dataclass(frozen=True, kw_only=True)
class Film:
    """How pictures are taken."""

    fps: int
    width: int
    height: int


def choose_site(scene: TaskScene, robot: str, skills: Sequence[str], film: Film, *, seed: int) -> Site:
    """Choose a support with the robot beside it where every skill finds something to take: the busiest tier for which that is so.

    Where there are parts that open, the robot stands before as many of them as it can; where no skill finds one to take so, before one
    after the other.

    Raises:
        NothingToDo: There is no such support; told is of each object why not where it stands.
        NoRoomForRobot: The robot finds no place beside any.
        TooFewArms: A skill needs more arms than the robot has.
        UnknownRobot: There is no such robot.
        UnknownSkill: There is no such skill.
    """
    embodiment = load_embodiment(robot)
    require_arms(embodiment.name, len(embodiment.arms), skills, arms_by_robot())
    loaded = [load_skill(name) for name in skills]
    starts = StartStates(scene.twin, scene.poses)
    parts = find_parts(scene.twin) if any(skill.moves == "part" for skill in loaded) else {}
    refused: list[tuple[Tier, NothingToDo | NoRoomForRobot]] = []
    for tier in find_tiers(scene, starts):
        for faced in _faced_in_turn(tier, parts):
            try:
                return _build_site(scene, embodiment, loaded, starts, tier, parts=parts, faced=faced, film=film, seed=seed)
            except (NothingToDo, NoRoomForRobot) as refusal:
                refused.append((tier, _about(refusal, faced)))
    if refused and all(isinstance(refusal, NoRoomForRobot) for _, refusal in refused):
        raise refused[0][1]
    skill = next((refusal.skill for _, refusal in refused if isinstance(refusal, NothingToDo)), skills[0])
    elsewhere = find_elsewhere(None, scene, starts) if load_skill(skill).moves == "object" else _parts_apart(scene)
    raise NothingToDo(scene.manifest.scene_id, skill, elsewhere | _where_they_stand(refused))


def _faced_in_turn(tier: Tier, parts: Mapping[str, PartPlace]) -> Iterator[tuple[str, ...]]:
    """Parts before which the robot shall stand: all of a tier, then each alone, the highest handle first."""
    here = sorted(name for name, part in parts.items() if part.stands_at(tier.support, tier.height_m))
    yield tuple(here)
    if len(here) > 1:
        yield from ((name,) for name in sorted(here, key=lambda name: -parts[name].handle_m[0, 2]))


def _about(refusal: NothingToDo | NoRoomForRobot, faced: Sequence[str]) -> NothingToDo | NoRoomForRobot:
    """A refusal with the reasons of those parts alone before which the robot stood."""
    if not isinstance(refusal, NothingToDo):
        return refusal
    reasons = {name: reason for name, reason in refusal.reasons.items() if not is_part(name) or name in faced}
    return NothingToDo(refusal.scene_id, refusal.skill, reasons)


def _parts_apart(scene: TaskScene) -> dict[str, str]:
    """Parts that open, each with why no robot is put before it; where one is, its own reason counts."""
    return dict.fromkeys(find_joints(scene.twin), "nothing movable stands on what it stands on, and only there a robot is put")


def _where_they_stand(refused: Sequence[tuple[Tier, NothingToDo | NoRoomForRobot]]) -> dict[str, str]:
    """Why there is nothing to do with the objects of tiers that were refused, or with the parts that open there."""
    reasons: dict[str, str] = {}
    for tier, refusal in refused:
        if isinstance(refusal, NothingToDo):
            reasons |= {name: reason for name, reason in refusal.reasons.items() if name in tier.prints or is_part(name)}
        else:
            reasons |= dict.fromkeys(tier.prints, f"{refusal.robot} finds no free place beside '{tier.support}' at that height")
    return reasons


def _build_site(
    scene: TaskScene,
    embodiment: Embodiment,
    skills: Sequence[Skill[Any]],
    starts: StartStates,
    tier: Tier,
    *,
    parts: Mapping[str, PartPlace],
    faced: Sequence[str],
    film: Film,
    seed: int,
) -> Site:
    """Put the robot beside a tier, and before some parts, and ask what each skill can take there.

    Raises:
        NothingToDo: A skill finds no object.
        NoRoomForRobot: The robot finds no place.
    """
    elsewhere = find_elsewhere(tier, scene, starts)
    surface = scan_surface(scene.twin, starts.settled_qpos, tier.support, tier.height_m)
    if surface.level.sum() < FEWEST_CELLS:
        reason = f"where it stands '{tier.support}' has no level surface that is open from above"
        raise NothingToDo(scene.manifest.scene_id, skills[0].name, elsewhere | dict.fromkeys(tier.prints, reason))
    lowest_m, highest_m = embodiment.support_heights_m or (-np.inf, np.inf)
    if not lowest_m <= surface.height_m <= highest_m:
        reason = f"it stands {surface.height_m:.2f} m high; {embodiment.name} works at {lowest_m:.2f} to {highest_m:.2f} m"
        raise NothingToDo(scene.manifest.scene_id, skills[0].name, elsewhere | dict.fromkeys(tier.prints, reason))
    needed = max(SKILLS[skill.name].arms for skill in skills)
    site = _mount(scene, embodiment, starts, surface, tuple(tier.prints), arms_needed=needed, parts=parts, faced=faced, film=film)
    targets: dict[str, tuple[str, ...]] = {}
    left_out: LeftOut = {}
    for skill in skills:
        found = {
            name: skill.find_unsuitable(site.place, name) or _find_obstacle(site, skill, name, seed=seed) for name in site.targets_of(skill)
        }
        targets[skill.name] = tuple(name for name, reason in found.items() if reason is None)
        others = elsewhere if skill.moves == "object" else {}
        left_out[skill.name] = others | {name: reason for name, reason in found.items() if reason is not None}
        if not targets[skill.name]:
            raise NothingToDo(scene.manifest.scene_id, skill.name, left_out[skill.name])
    movable = {skill: {name: reason for name, reason in found.items() if name not in scene.set_aside} for skill, found in left_out.items()}
    return replace(site, targets=targets, left_out=movable)


def _mount(
    scene: TaskScene,
    embodiment: Embodiment,
    starts: StartStates,
    surface: SupportSurface,
    names: tuple[str, ...],
    *,
    arms_needed: int,
    parts: Mapping[str, PartPlace],
    faced: Sequence[str],
    film: Film,
) -> Site:
    """Put the robot where it reaches most of the surface and of the parts that it faces, and prepare to plan its motions."""
    arm = embodiment.arms[0]  # the one place that chooses: every episode names the arm that acts in it, or begins
    arms = embodiment.arms[:arms_needed]
    here = {name: part for name, part in parts.items() if part.stands_at(surface.support, surface.height_m)}
    fronts = [parts[name].front for name in faced]
    placement = place_robot(scene.mjcf_path, scene.twin, scene.poses, surface, embodiment=embodiment, arms=arms, fronts=fronts)
    pose = placement.base_pose
    yaw_rad = 2.0 * float(np.arctan2(pose.quat_wxyz[3], pose.quat_wxyz[0]))
    reach = build_reach(arm.working_radius, np.array(pose.position_m[:2]), yaw_rad)
    unseen = build_scene_model(scene.mjcf_path, placement, film.fps)
    planner = build_motion_scene(planning_copy(unseen.model), embodiment, arm.name, fps=film.fps, cache_dir=scene.cache_dir)
    also_m = np.concatenate([np.zeros((0, 3)), *(parts[name].handle_m for name in faced)])
    outward = np.concatenate([np.zeros((0, 3)), *(parts[name].outward for name in faced)])
    seen = reach_of_all([build_reach(item.working_radius, np.array(pose.position_m[:2]), yaw_rad) for item in arms])
    view = choose_view(unseen, planner, embodiment, surface, seen, aspect=film.width / film.height, also_m=also_m, outward=outward)
    placement = placement.model_copy(update={"view": view})
    compiled = build_scene_model(scene.mjcf_path, placement, film.fps)
    viewer_m, heading_rad = find_viewpoint(compiled.model)
    frame = build_surface_frame(scene.surface_noun(surface.support), viewer_m, heading_rad, surface.cells_m()[surface.level])
    handles = {name: part.handle_m[0] for name, part in parts.items()}
    place = Workplace(
        surface=surface,
        frame=frame,
        reach=reach,
        embodiment=embodiment,
        planner=planner,
        twin=compiled,
        view=SceneView(compiled, film.width, film.height),
        receivers=Receivers(compiled, compiled.qpos_at(scene.poses, home_qpos(embodiment))),
        objects={name: scene.facts(name, starts.supports) for name in names},
        parts=scene.parts(tuple(here), handles, frame),
    )
    spread = Spread(surface=surface, reach=place.reach, names=names)
    return Site(place=place, starts=starts, spread=spread, placement=placement, compiled=compiled, parts=here, targets={}, left_out={})


def _find_obstacle(site: Site, skill: Skill[Any], name: str, *, seed: int) -> str | None:
    """Why a skill does not take an object: too few of :data:`PROBES` start states have a task with a plan; ``None``: it does."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, *skill.name.encode(), *name.encode()]))
    planned, refusals = 0, list[NotOffered | PlanningFailed]()
    for probe in range(PROBES):
        try:
            state = site.draw_start(skill, name, rng)
            qpos = site.compiled.qpos_at(state.poses, home_qpos(site.place.embodiment))
            next(skill.plan(site.place.planner, qpos, skill.propose(site.place, state, name, rng), seed=seed))
        except (NotOffered, PlanningFailed) as refusal:
            refusals.append(refusal)
        else:
            planned += 1
        if planned == ENOUGH:
            return None
        if planned + PROBES - probe - 1 < ENOUGH:
            break
    return f"{_commonest(refusals)} (it was planned in {planned} of {probe + 1} start states)"


def _commonest(refusals: Sequence[NotOffered | PlanningFailed]) -> str:
    """The reason that was met most often; of a motion that was not found, the latest with that failure code."""
    kinds = [refusal.failure_code if isinstance(refusal, PlanningFailed) else refusal.reason for refusal in refusals]
    (kind, _), *_ = Counter(kinds).most_common(1)
    return next(refusal.reason for refusal, own in zip(reversed(refusals), reversed(kinds), strict=True) if own == kind)
