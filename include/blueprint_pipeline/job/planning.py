"""From a settled scene to a job: what the robot should do in every episode.

The same request on the same scene gives the same plan, to the byte. Every episode draws from its own generator, seeded by
the job's seed and the episode's index, so it is the same however many episodes the job has: a longer job begins with the
episodes of a shorter one, and both have the same id.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.job.cells import allow, build_coverage, start_cell
from blueprint_pipeline.job.deriving import derive_episodes, validate_demonstrations
from blueprint_pipeline.job.homes import draw_home
from blueprint_pipeline.job.mishaps import MISHAPS_VERSION, draw_mishap
from blueprint_pipeline.job.site import Film, NothingToDo, Site, choose_site
from blueprint_pipeline.job.start_states import VERSION
from blueprint_pipeline.job.taking_away import take_away
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.job.varying import draw_variation
from blueprint_pipeline.job.wishes import Wanted, Wish, make_wishes
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.support_surface import CELL_M
from blueprint_pipeline.stage.pool import Died, WorkerDied, WorkerPool
from blueprint_pipeline.task.coverage import STEERED, BatchCoverage, Cell, Cover, Unmet, cell_of, title_of
from blueprint_pipeline.task.coverage_tally import tally
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.plan import JobPlan, ShardRef, StartArea
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.task.variation import VARIATIONS
from blueprint_pipeline.workspace.canonical import key_of

WISHED_STARTS = 4
"""Start states in the wished cell that are drawn until one has a task with the wished goal."""
STARTS, ROUNDS = 4, 12
"""Start states in which an object whose turn it is gets a task, before the next object gets the turn; and how often all objects get it."""
CHUNK, PARALLEL_FROM = 50, 12
"""Episodes that are planned at a time, and from how many such chunks on several processes plan: each takes seconds to be ready."""
_HELD_OUT, _VARIED, _MISHAP, _TAKEN = 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a run chooses."""

    robot: str
    skills: tuple[str, ...]
    episodes: int
    seed: int
    shard_size: int
    fps: int
    width: int
    height: int
    variation: str = "none"
    """Within which ranges scenes are varied: a row of :data:`~blueprint_pipeline.task.variation.VARIATIONS`."""
    cover: Cover = "none"
    """How targets, starts and goals are chosen: see :data:`~blueprint_pipeline.task.coverage.COVERS`."""
    recoveries: float = 0.0
    """Share of the episodes in which the first try goes wrong on purpose, of skills in which something can."""
    held_out: int = 0
    """Starts beside the episodes, to try a policy from."""
    augment: int = 0
    """Episodes that are derived from each demonstration; they come after all others."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """What a long job is planned with. What is planned is the same, to the byte, with any."""

    workers: int = 1
    """Processes; each chooses the site for itself, so that short jobs are planned in this one alone."""
    progress: Callable[[int, int], None] = lambda _done, _total: None
    """Called with how many episodes and held-out starts are done, and how many were asked for."""
    stop_if_asked: Callable[[], None] = lambda: None
    """Raises to stop."""


def plan_job(
    scene: TaskScene,
    options: JobOptions,
    crew: Crew = Crew(),
    past: Sequence[BatchCoverage] = (),
    demonstrations: Sequence[SourceDemonstration] = (),
) -> JobPlan:
    """Plan every episode of a job.

    Args:
        scene: Where.
        options: What a run chose.
        crew: With what.
        past: What other batches of the robot in this scene have; only ``cover="missing"`` looks at it.
        demonstrations: Whose motions the derived episodes repeat.

    Raises:
        DemonstrationDoesNotFit: One is of another scene, robot or skill than the job.
        NothingToDo: A skill finds no object that it can take.
        NoRoomForRobot: The robot finds no place.
        UnknownRobot: There is no such robot.
        UnknownSkill: There is no such skill.
        WorkerDied: A process ended without an answer.
    """
    planner = _prepare_planner(scene, options, tuple(past))
    site = planner.site
    validate_demonstrations(demonstrations, scene, site, options.skills)
    planned = _plan_all(planner, crew)
    episodes = [*planned[: options.episodes], *_derive(scene, site, options, demonstrations)]
    indices = range(len(episodes))
    shards = tuple(
        ShardRef(shard_index=number, episode_indices=tuple(indices[start : start + options.shard_size]))
        for number, start in enumerate(range(0, len(indices), options.shard_size))
    )
    return JobPlan(
        job_id=_job_id(scene, planner),
        scene_id=scene.manifest.scene_id,
        seed=options.seed,
        fps=options.fps,
        robot=site.placement,
        cameras=_cameras(site),
        width=options.width,
        height=options.height,
        variation=options.variation,
        recoveries=options.recoveries,
        start_area=_start_area(site),
        set_aside=dict(scene.set_aside),
        left_out={skill: dict(sorted(reasons.items())) for skill, reasons in site.left_out.items()},
        coverage=build_coverage(
            site,
            options.skills,
            [found.spec for found in episodes],
            [found.cell for found in episodes],
            ranges=VARIATIONS[options.variation],
            batch=batch_of(options),
            cover=options.cover,
            unmet=tuple(unmet for found in episodes for unmet in found.unmet),
        ),
        shards=shards,
        episodes=tuple(found.spec for found in episodes),
        held_out=tuple(found.spec for found in planned[options.episodes :]),
        demonstrations=tuple(demonstrations) if options.augment else (),
    )


def batch_of(options: JobOptions) -> str:
    """The identity of what was asked for, whatever it was found to be: the same request again, longer or shorter, is the same batch."""
    return key_of({name: value for name, value in asdict(options).items() if name not in {"episodes", "shard_size", "held_out", "augment"}})


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """An episode, or a held-out start, with its cell."""

    spec: EpisodeSpec
    cell: Cell
    unmet: tuple[Unmet, ...] = ()
    """Pairs that were wished for it and not found."""


@dataclass(frozen=True, kw_only=True)
class _Planner:
    """What plans episodes of one job."""

    scene: TaskScene
    site: Site
    options: JobOptions
    past: tuple[BatchCoverage, ...]
    wishes: tuple[Wish | None, ...]
    """Of each episode; all ``None`` where nothing is wished."""

    def plan(self, numbers: range) -> list[_Planned]:
        """The episodes of these numbers; after all episodes come the held-out starts, without those in which nothing can be done."""
        return [found for number in numbers if (found := self._plan(number)) is not None]

    def _plan(self, number: int) -> _Planned | None:
        index = number - self.options.episodes
        if index < 0:
            return _plan_episode(self.scene, self.site, self.options, number, wish=self.wishes[number])
        try:
            return _plan_episode(self.scene, self.site, self.options, index, held_out=True)
        except NothingToDo:
            return None


def _plan_all(planner: _Planner, crew: Crew) -> list[_Planned]:
    """All episodes, then all held-out starts, by chunks."""
    total = planner.options.episodes + planner.options.held_out
    chunks = [range(start, min(start + CHUNK, total)) for start in range(0, total, CHUNK)]
    found: dict[range, list[_Planned]] = {}
    for chunk, planned in _plan_chunks(planner, chunks, crew):
        found[chunk] = planned
        crew.progress(sum(map(len, found)), total)
    return [planned for chunk in chunks for planned in found[chunk]]


def _plan_chunks(planner: _Planner, chunks: Sequence[range], crew: Crew) -> Iterator[tuple[range, list[_Planned]]]:
    if crew.workers == 1 or len(chunks) < PARALLEL_FROM:
        for chunk in chunks:
            crew.stop_if_asked()
            yield chunk, planner.plan(chunk)
        return
    pool: WorkerPool[_Planner, range, list[_Planned]] = WorkerPool(
        crew.workers, _prepare_planner, (planner.scene, planner.options, planner.past), _Planner.plan, crew.stop_if_asked
    )
    for done, ended in enumerate(pool.run(chunks)):
        if isinstance(ended, Died):
            raise WorkerDied([f"episodes {ended.unit.start} to {ended.unit.stop - 1}"], [ended.reason], done)
        yield ended.unit, ended.answer


def _prepare_planner(scene: TaskScene, options: JobOptions, past: tuple[BatchCoverage, ...]) -> _Planner:
    film = Film(fps=options.fps, width=options.width, height=options.height)
    site = choose_site(scene, options.robot, options.skills, film, seed=options.seed)
    return _Planner(scene=scene, site=site, options=options, past=past, wishes=tuple(_wish(site, options, past)))


def _wish(site: Site, options: JobOptions, past: Sequence[BatchCoverage]) -> list[Wish | None]:
    if options.cover == "none":
        return [None] * options.episodes
    counted = past if options.cover == "missing" else ()
    wanted = {}
    for skill in map(load_skill, dict.fromkeys(options.skills)):
        known = {title_of(axes): tally(counted, skill.name, axes, skill.version) for axes in (("object",), *STEERED)}
        wanted[skill.name] = Wanted(declared=allow(site, skill, VARIATIONS[options.variation], ()), past=known)
    return make_wishes(wanted, options.skills, options.episodes, options.seed)


def _job_id(scene: TaskScene, planner: _Planner) -> str:
    """From all that the episodes depend on, but not from how many there are, nor from how they are put into shards."""
    site, options = planner.site, planner.options
    steered = {"cover": options.cover, "past": [batch.model_dump(mode="json") for batch in planner.past]}
    key = key_of(
        {
            **(steered if options.cover != "none" else {}),
            "scene_id": scene.manifest.scene_id,
            "model_sha256": site.compiled.sha256,
            "poses": {name: pose.model_dump(mode="json") for name, pose in scene.poses.items()},
            "robot": site.placement.model_dump(mode="json", exclude_defaults=True),
            "skills": [load_skill(name).version for name in options.skills],
            "starts": VERSION,
            "targets": {skill: list(names) for skill, names in site.targets.items()},
            "seed": options.seed,
            "variation": VARIATIONS[options.variation].as_record(),
            "fps": options.fps,
            "cameras": list(_cameras(site)),
            "width": options.width,
            "height": options.height,
            **({"recoveries": [options.recoveries, MISHAPS_VERSION]} if options.recoveries else {}),
        }
    )
    return f"job-{key[:12]}"


def _start_area(site: Site) -> StartArea:
    surface = site.place.surface
    cells = surface.cells_m()[surface.level]
    within = cells[site.place.reach.reaches(cells).astype(bool)]
    taken_by: dict[str, list[FloatArray]] = {}
    for skill, names in site.targets.items():
        for name in names if load_skill(skill).moves == "object" else ():
            taken_by.setdefault(name, []).append(site.start_spots_m(load_skill(skill), name))
    places = {name: _covariance_m2(max(spots, key=len)) for name, spots in sorted(taken_by.items())}
    ranges = {
        skill: {name: site.start_range(load_skill(skill), name) for name in names}
        for skill, names in site.targets.items()
        if load_skill(skill).moves == "part"
    }
    return StartArea(support=surface.support, area_m2=round(len(within) * CELL_M**2, 4), covariances_m2=places, ranges=ranges)


def _covariance_m2(spots_m: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of points that are drawn evenly from square cells about spots (n, 2); a single place where there are none."""
    spread = np.cov(spots_m.T) if len(spots_m) > 1 else np.zeros((2, 2))
    (xx, xy), (_, yy) = np.round(spread + np.eye(2) * CELL_M**2 / 12, 7).tolist()
    return (xx, xy), (xy, yy)


def _cameras(site: Site) -> tuple[str, ...]:
    return ("scene", *(camera.name for camera in site.place.embodiment.wrist_cameras))


def _plan_episode(
    scene: TaskScene, site: Site, options: JobOptions, index: int, *, held_out: bool = False, wish: Wish | None = None
) -> _Planned:
    """One episode: a start state, and a task in it. Skills take turns, and so do the objects that each takes, unless one is wished for.

    Held-out starts are drawn in the same way, from numbers of their own.
    """
    entropy = [options.seed, index, *([_HELD_OUT] if held_out else [])]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    turn, choice = divmod(index, len(options.skills))
    skill = load_skill(options.skills[choice])
    found = None if wish is None else _draw_wished(site, skill, wish, rng)
    start, task = _draw_task(scene, site, skill, turn=turn, rng=rng) if found is None else found
    spec = EpisodeSpec(
        episode_index=index,
        episode_id=f"{skill.name}_{'held_out' if held_out else 'ep'}{index:06d}",
        seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]),
        arm=site.place.planner.arm.name,
        task=task,
        object_poses=dict(start.poses),
        robot_qpos=draw_home(site, start, task.target_object, rng),
    )
    share = 0.0 if held_out else options.recoveries
    mishap = draw_mishap(skill.mishaps, share, np.random.default_rng(np.random.SeedSequence([*entropy, _MISHAP])))
    spec = spec.model_copy(update={"mishap": mishap})
    planned = _vary(site, options, spec, start, [*entropy, _VARIED])
    return planned if wish is None else replace(planned, unmet=tuple(_unmet(wish, planned.cell)))


def _vary(site: Site, options: JobOptions, spec: EpisodeSpec, start: StartState, entropy: list[int]) -> _Planned:
    """An episode with its variation of the scene, and the cell that it is in."""
    drawn = draw_variation(VARIATIONS[options.variation], site, spec, np.random.default_rng(np.random.SeedSequence(entropy)))
    task = spec.task
    cell = cell_of(task, start_cell(site, load_skill(task.task_type), start, task.target_object), drawn)
    cleared = take_away(VARIATIONS[options.variation], site, spec, np.random.default_rng(np.random.SeedSequence([*entropy, _TAKEN])))
    return _Planned(spec=cleared.model_copy(update={"variation": drawn}), cell=cell)


def _derive(scene: TaskScene, site: Site, options: JobOptions, demonstrations: Sequence[SourceDemonstration]) -> list[_Planned]:
    """The episodes that repeat demonstrations, after all others."""
    found = derive_episodes(scene.manifest.scene_id, site, demonstrations, options.augment, seed=options.seed, first_index=options.episodes)
    return [_vary(site, options, spec, start, [spec.seed, _VARIED]) for spec, start in found]


def _unmet(wish: Wish, cell: Cell) -> Iterator[Unmet]:
    """The pairs of a wish that were not found: those with the start, or, where that was, those with the goal."""
    wished = {"object": wish.object, "start": wish.start, "goal": wish.goal}
    if (cell.object, cell.start) != (wish.object, wish.start):
        yield Unmet(skill=cell.skill, axes=("object", "start"), values=(wish.object, wish.start))
    elif wish.goal is not None and cell.goal != wish.goal:
        for axes in (("object", "goal"), ("start", "goal")):
            yield Unmet(skill=cell.skill, axes=axes, values=tuple(str(wished[axis]) for axis in axes))


def _draw_wished(site: Site, skill: Skill[Any], wish: Wish, rng: np.random.Generator) -> tuple[StartState, Task] | None:
    """A start state and a task as they are wished for, or else with another goal; ``None``: the target has no task that starts there."""
    spare = None
    for _ in range(WISHED_STARTS):
        try:
            start = site.draw_start(skill, wish.object, rng, wish.start)
            if start_cell(site, skill, start, wish.object) != wish.start:
                continue
            spare = start
            if wish.goal is not None:
                return start, skill.propose_goal(site.place, start, wish.object, wish.goal, rng)
            return start, skill.propose(site.place, start, wish.object, rng)
        except NotOffered:
            continue
    try:
        return None if spare is None else (spare, skill.propose(site.place, spare, wish.object, rng))
    except NotOffered:
        return None


def _draw_task(scene: TaskScene, site: Site, skill: Skill[Any], *, turn: int, rng: np.random.Generator) -> tuple[StartState, Task]:
    """A start state and a task for the object whose turn it is, or else for the next that has one."""
    targets = site.targets[skill.name]
    refused: dict[str, str] = {}
    for step in range(ROUNDS * len(targets) * STARTS):
        target = targets[(turn + step // STARTS) % len(targets)]
        try:
            start = site.draw_start(skill, target, rng)
            return start, skill.propose(site.place, start, target, rng)
        except NotOffered as refusal:
            refused[target] = refusal.reason
    raise NothingToDo(scene.manifest.scene_id, skill.name, refused)
