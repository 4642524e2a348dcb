"""All checks of a source scene, in the order in which a person would correct it: files, poses, bounds, scale, then what is where."""

from blueprint_pipeline.scene.articulation_checks import check_articulations
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.findings import SceneFinding, finding_of
from blueprint_pipeline.scene.import_checks import check_masses, check_targets
from blueprint_pipeline.scene.physical_checks import check_bounds, check_overlaps, check_scale, check_supports
from blueprint_pipeline.scene.source import SourceScene, read_source
from blueprint_pipeline.scene.source_folder import SourceFiles, SourceFolder


def check_scene(source: str) -> list[SceneFinding]:
    """Everything that is wrong with a scene at a local path or fsspec URL; writes nothing there.

    Returns:
        Findings, blocking ones first; empty for a sound scene.
    """
    try:
        findings, _ = check_files(SourceFolder(source))
    except SceneError as error:
        return [finding_of(error)]
    return findings


def check_files(files: SourceFiles) -> tuple[list[SceneFinding], SourceScene | None]:
    """Check a scene, reading each of its files once.

    Returns:
        Findings, blocking ones first; and the scene, if all its files could be read.
    """
    findings, scene = read_source(files)
    if scene is not None:
        findings = [*findings, *check_bounds(scene), *check_scale(scene)]
        if not any(finding.blocking for finding in findings):
            findings += [*check_overlaps(scene), *check_supports(scene), *check_masses(scene), *check_targets(scene)]
            findings += check_articulations(scene)
    return sorted(findings, key=lambda finding: not finding.blocking), scene
