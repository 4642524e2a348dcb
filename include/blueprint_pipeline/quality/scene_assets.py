"""What stands against selling an episode: licences of everything in its scene, of the robot's model and of the simulator."""

from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.licence.policy import LicenceBlocker, check_licences, load_policy
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.scene.manifest import SceneManifest, load_manifest
from blueprint_pipeline.workspace.storage import SceneFolder


def asset_licences(manifest: SceneManifest) -> list[tuple[str, str | None]]:
    """``(object id, licence)`` of every object of a scene and of its background."""
    found: list[tuple[str, str | None]] = [(item.id, item.asset.licence) for item in manifest.objects]
    return found + ([("background", manifest.background.licence)] if manifest.background else [])


def load_licence_blockers(scene: SceneFolder, record: EpisodeRecord, *, commercial: bool) -> tuple[LicenceBlocker, ...] | None:
    """What stands against an episode: unknown licences always, non-commercial ones where the tier is sold.

    Everything in the scene counts, for the cameras may see it.

    Returns:
        ``None`` where the scene manifest lists no asset: then nothing was checked.
    """
    assets = asset_licences(load_manifest(scene))
    if not assets:
        return None
    robot = load_embodiment(record.robot.embodiment)
    assets += [(f"robot {robot.name}", licence.spdx) for licence in robot.licences]
    blockers = check_licences(load_policy(), assets, [(record.simulator.name, record.simulator.version)])
    return tuple(blocker for blocker in blockers if commercial or blocker.problem == "unknown")
