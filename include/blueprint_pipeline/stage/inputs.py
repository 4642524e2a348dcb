"""What goes into the key of a unit of work beside its request and its code: the files that it reads, by digest."""

from typing import Any

from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.contract import Stage, StageRequest
from blueprint_pipeline.stage.flow import STAGES, stages_before
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file
from blueprint_pipeline.workspace.commits import Commit, load_commits, validate_inputs
from blueprint_pipeline.workspace.errors import InputMissing
from blueprint_pipeline.workspace.refusals import validate_not_refused
from blueprint_pipeline.workspace.storage import SceneFolder


def read_inputs(stage: Stage[Any, Any], request: StageRequest, scene: SceneFolder, settings: Settings) -> dict[str, FileDigest]:
    """Digests of all that a unit reads: files of the scene, configuration, and what lies elsewhere.

    Raises:
        InputMissing: Nothing is where the stage reads.
        FileChanged: A file of the scene has other bytes than the stage recorded that made it.
        InputRefused: A file is what a stage left for people when it refused to go on.
        RefusalUnreadable: Whether one is cannot be told.
    """
    names: list[str] = []
    for prefix in stage.reads(request):
        files = scene.files_under(prefix)
        if not files:
            raise InputMissing(stage.name, str(scene.root / prefix))
        names += files
    inputs = scene.digests(sorted(set(names)))
    validate_not_refused(scene, stage.name, inputs)
    validate_inputs(scene, inputs, _commits_before(stage, request, scene))
    return {**config_digests(stage.name, request), **stage.external_inputs(request, settings), **inputs}


def _commits_before(stage: Stage[Any, Any], request: StageRequest, scene: SceneFolder) -> list[Commit]:
    """Records of the stages that come before; between shards, of the same shard alone.

    What siblings record is none of this unit's inputs, and goes away while they are done anew.
    """
    rows = {row.name: row for row in stages_before(stage.name)}
    is_sharded, shard = STAGES[stage.name].sharded, stage.unit(request).partition(".")[0]  # without the selection
    return load_commits(scene, lambda before, its_unit: before in rows and (its_unit == shard or not (is_sharded and rows[before].sharded)))


def config_digests(stage: str, request: StageRequest) -> dict[str, FileDigest]:
    """Digests of the configuration files that a stage's row names, as ``config/<name>``.

    A file that is missing has no digest: the stage that reads it says so in its own words.
    """
    patterns = [pattern.format_map(request.model_dump(mode="json")) for pattern in STAGES[stage].config]
    files = sorted({path for pattern in patterns for path in CONFIG_FOLDER.glob(pattern)})
    return {f"config/{path.relative_to(CONFIG_FOLDER).as_posix()}": digest_file(path) for path in files}
