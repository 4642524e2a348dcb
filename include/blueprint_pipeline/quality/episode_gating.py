"""Judge every simulated episode of a scene: the work of stage ``gate_episodes``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.episode.reader import load_plan, planned_episodes
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.explain import top_reasons
from blueprint_pipeline.quality.gate_inputs import load_episode_case
from blueprint_pipeline.quality.gates.case import EpisodeCase, RobotLimits
from blueprint_pipeline.quality.gates.registry import judge_episode, validate_config, verdict_of
from blueprint_pipeline.quality.metrics.diversity import resample_path
from blueprint_pipeline.quality.metrics.skill import JointRange, measure_set, measure_skill
from blueprint_pipeline.quality.report import GATES_PATH, EpisodeVerdict, GateReport, Tier
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.scene_assets import load_licence_blockers
from blueprint_pipeline.quality.tiers import TierConfig, load_tiers
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.workspace.storage import SceneFolder


def gate_episodes(scene_id: str, tier: Tier, context: StageContext) -> GateReport:
    """Judge all episodes of the plan and write ``gates.json``.

    Raises:
        NothingAudited: The plan has no episode.
        NothingKept: No episode is kept and none waits for a person; the report is written all the same.
    """
    plan, config = load_plan(context.scene, "gate_episodes"), load_tiers()
    validate_config(config)
    report = judge_plan(context, plan, config, tier)
    context.output(GATES_PATH).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    borderline = len(report.with_verdict("borderline"))
    if not report.with_verdict("kept") and not borderline:
        raise NothingKept(
            scene_id,
            "gate_episodes",
            tier=tier,
            attempted=len(report.episodes),
            borderline=borderline,
            reasons=top_reasons(report.episodes),
        )
    return report


def judge_plan(context: StageContext, plan: JobPlan, config: TierConfig, tier: Tier) -> GateReport:
    """Ask all gates of every episode of a plan."""
    scene, robot = context.scene, load_robot_limits(plan.robot.embodiment)
    commercial = config.tiers[tier].commercial
    verdicts, kept = [], []
    planned = planned_episodes(plan)
    for done, (shard_index, spec) in enumerate(planned, start=1):
        context.stop_if_asked()
        case = load_episode_case(scene, plan, shard_index, spec, robot=robot, licence_blockers=None)
        case = replace(case, licence_blockers=load_licence_blockers(scene, case.record, commercial=commercial))
        verdict = judge_case(case, config, tier)
        verdicts.append(verdict)
        if verdict.verdict == "kept":
            kept.append(course_of(case))
        context.progress(done, len(planned))
    return GateReport(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        tier=tier,
        tiers_version=config.version,
        episodes=tuple(verdicts),
        set_metrics=set_metrics(kept),
    )


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


@dataclass(frozen=True)
class Course:
    """What is measured over a set of episodes keeps this of each, and not its arrays.

    Attributes:
        path_m: Path of the tool, resampled. Shape (samples, 3).
        start_m: Where the target started, world x and y.
    """

    path_m: FloatArray
    start_m: tuple[float, float]


def course_of(case: EpisodeCase) -> Course | None:
    """What an episode adds to the measures of its set; nothing where nothing was recorded."""
    if case.arrays is None:
        return None
    x_m, y_m, _ = case.spec.object_poses[case.spec.task.target_object].position_m
    arm = case.robot.arms.index(case.spec.arm)
    return Course(resample_path(case.arrays.ee_pose[:, arm, :3]), (x_m, y_m))


def set_metrics(courses: Iterable[Course | None]) -> dict[str, float | None]:
    """Diversity of kept episodes together."""
    found = [course for course in courses if course is not None]
    starts_m = np.asarray([course.start_m for course in found], dtype=np.float64).reshape(-1, 2)
    return measure_set([course.path_m for course in found], starts_m)


def load_courses(scene: SceneFolder, plan: JobPlan, kept: set[str]) -> Iterator[Course | None]:
    """Courses of the episodes with these ids, one episode in memory at a time."""
    robot = load_robot_limits(plan.robot.embodiment)
    for shard_index, spec in planned_episodes(plan):
        if spec.episode_id in kept:
            yield course_of(load_episode_case(scene, plan, shard_index, spec, robot=robot, licence_blockers=None))
