"""Objects that never come to rest: they are fixed where they were reconstructed, and the rest of the scene is used.

``layout/set_aside.json`` names them, each with the reason. It is written when the scene is assembled; the twin, the stage and the
planner of tasks follow the manifest of :func:`load_assembled_manifest`, in which these objects cannot move.
"""

from collections.abc import Collection
from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.scene.manifest import SceneManifest, load_manifest
from blueprint_pipeline.workspace.storage import Id, SceneFolder

SET_ASIDE_PATH = "layout/set_aside.json"


class SetAside(FrozenModel):
    """``layout/set_aside.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    watched_s: float = Field(gt=0)
    """For how long the scene was watched [s], simulated; it is settled for as long, so that nothing is found there for the first time."""
    reasons: dict[Id, str]
    """Why each object was set aside, by id; empty where every object rests."""


def load_set_aside(scene: SceneFolder) -> SetAside:
    """Read which objects of an assembled scene were set aside."""
    return SetAside.model_validate_json(scene.read_bytes(SET_ASIDE_PATH))


def load_assembled_manifest(scene: SceneFolder) -> SceneManifest:
    """The manifest as the scene was assembled: what was set aside is static."""
    return fix_objects(load_manifest(scene), load_set_aside(scene).reasons)


def fix_objects(manifest: SceneManifest, object_ids: Collection[str]) -> SceneManifest:
    """The manifest with these objects static."""
    objects = tuple(item.model_copy(update={"sim_role": "static"}) if item.id in object_ids else item for item in manifest.objects)
    return manifest.model_copy(update={"objects": objects})
