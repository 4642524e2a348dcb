"""Episodes that are derived from demonstrations: the same motions, other starts and goals.

Each draws from its own generator, seeded by the job's seed, the demonstration and its number, so it is the same whatever other
demonstrations there are. Starts and goals are drawn as those of planned episodes, until the arm gets to where the motions lead.
"""

from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.job.homes import draw_home
from blueprint_pipeline.job.site import NothingToDo, Site
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.skill.contract import NotOffered, StartState
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.retracing import find_untraceable
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.spec import EpisodeSpec

STARTS = 40
"""Start states in which a task for the target is sought."""
_DERIVED = 3


class DemonstrationDoesNotFit(InputError):
    """A demonstration is of another scene, robot or skill than the job, or of an object that the skill does not take."""

    code = "task.demonstration_does_not_fit"
    template = "Demonstration {episode_id}: {field} is {found}, and the job's {expected}. Leave it out, or change the job."

    episode_id: str
    field: str
    found: str
    expected: str


def validate_demonstrations(demonstrations: Sequence[SourceDemonstration], scene: TaskScene, site: Site, skills: Sequence[str]) -> None:
    """Refuse demonstrations that no episode of a job can repeat.

    Raises:
        DemonstrationDoesNotFit: With the field, what was found and what was expected.
    """
    for item in demonstrations:
        facts = (
            ("scene_id", item.scene_id, (scene.manifest.scene_id,)),
            ("robot", item.robot, (site.placement.embodiment,)),
            ("arm", item.arm, (site.place.planner.arm.name,)),
            ("skill", item.skill, tuple(skills)),
            ("target_object", item.target_object, tuple(site.targets.get(item.skill, ()))),
        )
        for field, found, expected in facts:
            if found not in expected:
                raise DemonstrationDoesNotFit(item.episode_id, field, found, ", ".join(expected) or "none")


def derive_episodes(
    scene_id: str, site: Site, demonstrations: Sequence[SourceDemonstration], times: int, *, seed: int, first_index: int
) -> list[tuple[EpisodeSpec, StartState]]:
    """So many episodes a demonstration, without variation of the scene, each with its start state.

    Args:
        scene_id: For messages.
        site: Where the robot stands, and what it can take.
        demonstrations: Whose motions are repeated.
        times: Episodes of each.
        seed: Of the job.
        first_index: Number of the first one.

    Raises:
        NothingToDo: A target has no task in any of :data:`STARTS` start states.
    """
    numbered = [(item, number) for number in range(times) for item in demonstrations]
    return [
        _derive(scene_id, site, item, [seed, int(item.sha256[:8], 16), number, _DERIVED], first_index + index)
        for index, (item, number) in enumerate(numbered)
    ]


def _derive(scene_id: str, site: Site, item: SourceDemonstration, entropy: list[int], index: int) -> tuple[EpisodeSpec, StartState]:
    rng, skill = np.random.default_rng(np.random.SeedSequence(entropy)), load_skill(item.skill)
    reasons: dict[str, str] = {}
    for _ in range(STARTS):
        try:
            start = site.draw_start(skill, item.target_object, rng)
            task = skill.propose(site.place, start, item.target_object, rng)
        except NotOffered as refusal:
            reasons[item.target_object] = refusal.reason
            continue
        home = draw_home(site, start, item.target_object, rng)
        reason = find_untraceable(site.place.planner, site.compiled.qpos_at(start.poses, home), task, skill, item)
        if reason is not None:
            reasons[item.target_object] = reason
            continue
        spec = EpisodeSpec(
            episode_index=index,
            episode_id=f"{skill.name}_derived{index:06d}",
            seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]),
            arm=site.place.planner.arm.name,
            task=task,
            object_poses=dict(start.poses),
            robot_qpos=home,
            derived_from=item.derivation,
        )
        return spec, start
    raise NothingToDo(scene_id, skill.name, reasons)
