"""What all batches of a scene cover together, robot by robot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.job.count_batch import SETTLED_PATH, identify_scene
from blueprint_pipeline.registry.coverage import CoverageRecord
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.coverage import BatchCoverage, Cover
from blueprint_pipeline.task.coverage_facts import CombinationFacts, sum_combinations
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.workspace.storage import SceneFolder


class BatchFacts(FrozenModel):
    """One batch in short."""

    batch: str
    job_id: str
    cover: Cover
    seed: int
    asked: int
    kept: int
    counted_at: datetime | None


class RobotCoverage(FrozenModel):
    """All batches of one robot."""

    batches: tuple[BatchFacts, ...]
    combinations: tuple[CombinationFacts, ...]

    @property
    def asked(self) -> int:
        """Episodes that were planned."""
        return sum(batch.asked for batch in self.batches)

    @property
    def kept(self) -> int:
        """Those that were kept."""
        return sum(batch.kept for batch in self.batches)


@dataclass(frozen=True, kw_only=True)
class SceneCoverage:
    """All batches of a scene."""

    robots: Mapping[str, RobotCoverage]
    other_forms: int
    """Batches of the scene as it was before it was changed: they are not counted."""
    url: str
    """Of the registry, its password hidden."""


def load_scene_coverage(scene: SceneFolder, settings: RegistrySettings) -> SceneCoverage:
    """Add up the batches of a scene as it is; of a scene that is not in the workspace, as it was when it was counted last.

    Raises:
        RegistryUnavailable: The registry does not answer.
    """
    with open_registry(settings) as registry:
        records, url = registry.coverage.of_scene(scene.scene_id), registry.database.url
    form = _form(scene, records)
    counted = [record for record in records if record.scene_sha256 == form]
    names = sorted({record.robot for record in counted})
    robots = {name: _sum([record for record in counted if record.robot == name]) for name in names}
    return SceneCoverage(robots=robots, other_forms=len(records) - len(counted), url=url)


def _form(scene: SceneFolder, records: Sequence[CoverageRecord]) -> str | None:
    if scene.exists(TWIN_PATH) and scene.exists(SETTLED_PATH):
        return identify_scene(scene)
    dated = [(record.recorded_at, record.scene_sha256) for record in records if record.recorded_at is not None]
    return max(dated)[1] if dated else None


def _sum(records: Sequence[CoverageRecord]) -> RobotCoverage:
    batches = [BatchCoverage.model_validate(record.document) for record in records]
    skills = {skill for batch in batches for skill in batch.declared} & set(SKILLS)
    facts = [
        BatchFacts(
            batch=record.batch,
            job_id=record.job_id,
            cover=batch.cover,
            seed=batch.seed,
            asked=sum(count.asked for count in batch.cells),
            kept=sum(count.kept for count in batch.cells),
            counted_at=record.recorded_at,
        )
        for record, batch in zip(records, batches, strict=True)
    ]
    return RobotCoverage(
        batches=tuple(facts), combinations=tuple(sum_combinations(batches, {name: load_skill(name).version for name in skills}))
    )
