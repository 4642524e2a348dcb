"""What other batches of a scene have: what the next batch is planned by.

The registry keeps a row for each batch: for each robot, skills, seed, variation and film that were asked for. The same request again
replaces its own row, longer or shorter, so nothing is counted twice; and it never looks at its own row, so that it is found done.
"""

from hashlib import sha256

from blueprint_pipeline.errors import TransientError
from blueprint_pipeline.job.count_batch import identify_scene
from blueprint_pipeline.job.planning import JobOptions, batch_of
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings
from blueprint_pipeline.task.coverage import BatchCoverage
from blueprint_pipeline.workspace.canonical import canonical_json
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.storage import SceneFolder

PAST = "registry/coverage"
"""Name of what other batches have, among the inputs of a plan."""


class CoverageChanged(TransientError):
    """Another batch of the scene was counted while this one began to be planned."""

    code = "task.coverage_changed"
    template = (
        "Another batch of scene {scene_id} was counted while this one began to be planned by what is missing. "
        "Run plan_tasks again: it then plans by what there is now."
    )

    scene_id: str


def load_past(scene: SceneFolder, options: JobOptions, settings: RegistrySettings) -> tuple[BatchCoverage, ...]:
    """What the other batches of the robot have in the scene as it is, in an order that does not depend on when each was counted.

    Raises:
        RegistryUnavailable: The registry does not answer.
    """
    own, form = batch_of(options), identify_scene(scene)
    with open_registry(settings) as registry:
        records = registry.coverage.of_scene(scene.scene_id)
    return tuple(
        BatchCoverage.model_validate(record.document)
        for record in records
        if record.batch != own and record.robot == options.robot and record.scene_sha256 == form
    )


def digest_past(past: tuple[BatchCoverage, ...]) -> FileDigest:
    """Digest of what a plan looks at."""
    data = b"\n".join(canonical_json(batch) for batch in past)
    return FileDigest(sha256=sha256(data).hexdigest(), size_bytes=len(data))
