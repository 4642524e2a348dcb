"""What stands against selling an episode: licences of everything in its scene, of the robot's model and of the simulator."""

import json

from blueprint.episode.record import EpisodeRecord
from blueprint.quality.licences import LicenceBlocker, check_licences, load_policy
from blueprint.robot.embodiment import load_embodiment
from blueprint.workspace.storage import SceneFolder

SCENE_MANIFEST_PATH = "assets/scene_manifest.json"


def load_asset_licences(scene: SceneFolder) -> list[tuple[str, str | None]]:
    """``(object id, licence)`` of every object of the scene manifest; ``None`` where none is stated."""
    manifest = json.loads(scene.read_bytes(SCENE_MANIFEST_PATH))
    return [(item["id"], item["asset"].get("license")) for item in manifest["objects"]]


def load_licence_blockers(scene: SceneFolder, record: EpisodeRecord, *, commercial: bool) -> tuple[LicenceBlocker, ...] | None:
    """What stands against an episode: unknown licences always, non-commercial ones where the tier is sold.

    Every object of the scene counts: the cameras may see it.

    Returns:
        ``None`` where the scene manifest lists no asset: then nothing was checked.
    """
    assets = load_asset_licences(scene)
    if not assets:
        return None
    robot = load_embodiment(record.robot.embodiment)
    assets.append((f"robot {robot.name}", robot.licence.spdx if robot.licence else None))
    blockers = check_licences(load_policy(), assets, [(record.simulator.name, record.simulator.version)])
    return tuple(blocker for blocker in blockers if commercial or blocker.problem == "unknown")
