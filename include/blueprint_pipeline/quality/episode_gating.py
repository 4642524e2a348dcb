"""Judge every simulated episode of a scene: the work of stage ``gate_episodes``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from blueprint_pipeline.episode.reader import load_audited_plan, planned_episodes
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.gate_inputs import load_episode_case
from blueprint_pipeline.quality.gates.case import EpisodeCase, RobotLimits
from blueprint_pipeline.quality.gates.registry import judge_episode, validate_config, verdict_of
from blueprint_pipeline.quality.judgement import Judgement, VerdictBook
from blueprint_pipeline.quality.metrics.diversity import resample_path
from blueprint_pipeline.quality.metrics.skill import EpisodeSet, JointRange, measure_set, measure_skill
from blueprint_pipeline.quality.metrics.spread import headings
from blueprint_pipeline.quality.report import GATES_PATH, validate_spread
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.scene_assets import load_licence_blockers
from blueprint_pipeline.quality.tiers import TierConfig, load_tiers
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, Tier
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.workspace.storage import SceneFolder


def gate_episodes(scene_id: str, tier: Tier, context: StageContext) -> Judgement:
    """Judge all episodes of the plan; write the verdicts of each shard, and ``gates.json``.

    Raises:
        NothingAudited: The plan has no episode.
        NothingKept: No episode is kept and none waits for a person; the report is written all the same.
        TooAlike: The kept episodes do not spread over what the scene allows; the report is written all the same.
    """
    plan, config = load_audited_plan(context.scene, "gate_episodes"), load_tiers()
    validate_config(config)
    judgement = judge_plan(context, plan, config, tier)
    report = judgement.report
    context.output(GATES_PATH).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if not report.count("kept") and not report.count("borderline"):
        reasons = judgement.reasons.top()
        raise NothingKept(scene_id, "gate_episodes", tier=tier, attempted=report.judged, borderline=0, reasons=reasons)
    validate_spread(report, "gate_episodes")
    return judgement


def judge_plan(context: StageContext, plan: JobPlan, config: TierConfig, tier: Tier) -> Judgement:
    """Ask all gates of every episode of a plan."""
    scene, robot = context.scene, load_robot_limits(plan.robot.embodiment)
    commercial = config.tiers[tier].commercial
    book, courses, done = VerdictBook(context, "verdicts"), [], 0
    for shard_index, planned in groupby(planned_episodes(plan), key=lambda item: item[0]):
        verdicts = []
        for _, spec in planned:
            context.stop_if_asked()
            case = load_episode_case(scene, plan, shard_index, spec, robot=robot, licence_blockers=None)
            case = replace(case, licence_blockers=load_licence_blockers(scene, case.record, commercial=commercial))
            verdicts.append(judge_case(case, config, tier))
            if verdicts[-1].verdict == "kept":
                courses.append(course_of(case))
            done += 1
            context.progress(done, len(plan.episodes))
        book.enter(shard_index, verdicts)
    return book.close(plan, config, tier, set_metrics(courses, plan))


def judge_case(case: EpisodeCase, config: TierConfig, tier: Tier) -> EpisodeVerdict:
    """Ask all gates of one episode, and measure its skill."""
    gates = judge_episode(case, config, tier)
    return EpisodeVerdict(
        episode_id=case.spec.episode_id,
        shard_index=case.shard_index,
        verdict=verdict_of(gates),
        gates=gates,
        metrics=skill_of(case, case.robot),
    )


def skill_of(case: EpisodeCase, robot: RobotLimits) -> dict[str, float | None]:
    """Skill scores of an episode; none where nothing was recorded."""
    if case.arrays is None or case.arrays.frames < 1:
        return {}
    joints = JointRange(lower_rad=robot.lower_rad, upper_rad=robot.upper_rad)
    travel_phases = load_skill(case.spec.task.task_type).travel_phases
    arm = robot.arms.index(case.spec.arm)
    return measure_skill(case.arrays, case.record.phases, joints, travel_phases=travel_phases, arm=arm, fps=case.fps)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is measured over a set of episodes keeps this of each, and not its arrays."""

    path_m: FloatArray
    """Path of the tool, resampled, (samples, 3)."""
    target: str
    instruction: str
    start_pose: FloatArray
    """Of the target, (7,): xyz and quat wxyz."""
    end_m: FloatArray
    """Where the target ended, (2,)."""
    skill: str
    opened_at: float | None
    """Of a part, how far it was open when the episode began [m] or [rad]; ``None`` of an object."""


def course_of(case: EpisodeCase) -> Course | None:
    """What an episode adds to the measures of its set; nothing where nothing was recorded, or not the target."""
    target = case.spec.task.target_object
    if case.arrays is None or target not in case.record.object_ids:
        return None
    index = case.record.object_ids.index(target)
    poses = case.arrays.object_poses[:, index]
    part = index - (len(case.record.object_ids) - len(case.record.joint_columns))
    arm = case.robot.arms.index(case.spec.arm)
    return Course(
        path_m=resample_path(case.arrays.ee_pose[:, arm, :3]),
        target=target,
        instruction=case.spec.task.instruction,
        start_pose=poses[0].copy(),
        end_m=poses[-1, :2].copy(),
        skill=case.spec.task.task_type,
        opened_at=float(case.arrays.joint_positions[0, part]) if part >= 0 else None,
    )


def set_metrics(courses: Iterable[Course | None], plan: JobPlan) -> dict[str, float | None]:
    """How wide kept episodes spread, together."""
    found = [course for course in courses if course is not None]
    moved, opened = ([course for course in found if (course.opened_at is None) == is_object] for is_object in (True, False))
    starts = np.array([course.start_pose for course in moved]).reshape(-1, 7)
    area = plan.start_area
    return measure_set(
        EpisodeSet(
            paths=[course.path_m for course in found],
            targets=[course.target for course in found],
            instructions=[course.instruction for course in found],
            objects=[course.target for course in moved],
            starts_m=starts[:, :2],
            headings_rad=headings(starts[:, 3:]),
            ends_m=np.array([course.end_m for course in moved]).reshape(-1, 2),
            parts=[(course.skill, course.target) for course in opened],
            opened_at=np.array([course.opened_at for course in opened], dtype=np.float64),
            places_m2={name: np.array(found) for name, found in area.covariances_m2.items()} if area else None,
            ranges={(skill, part): found for skill, parts in area.ranges.items() for part, found in parts.items()} if area else None,
        )
    )


def load_courses(scene: SceneFolder, plan: JobPlan, kept: set[str]) -> Iterator[Course | None]:
    """Courses of the episodes with these ids, one episode in memory at a time."""
    robot = load_robot_limits(plan.robot.embodiment)
    for shard_index, spec in planned_episodes(plan):
        if spec.episode_id in kept:
            yield course_of(load_episode_case(scene, plan, shard_index, spec, robot=robot, licence_blockers=None))
