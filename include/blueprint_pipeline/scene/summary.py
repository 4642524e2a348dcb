"""A scene at a glance: every object with its physics, and where each value came from."""

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.manifest import load_manifest
from blueprint_pipeline.scene.physics import load_physics, physics_path
from blueprint_pipeline.workspace.storage import Id, SceneFolder


class ObjectSummary(BaseModel):
    """One object; what no stage has found yet is ``None``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object_id: Id
    category: str
    sim_role: str
    licence: str
    mass_kg: float | None
    mass_origin: Origin | None
    mass_method: str | None
    sliding_friction: float | None
    friction_origin: Origin | None


def load_summary(scene: SceneFolder) -> list[ObjectSummary]:
    """Read what is known of the objects of a scene."""
    found = []
    for item in load_manifest(scene).objects:
        physics = load_physics(scene, item.id) if scene.exists(physics_path(item.id)) else None
        found.append(
            ObjectSummary(
                object_id=item.id,
                category=item.category,
                sim_role=item.sim_role,
                licence=item.asset.licence,
                mass_kg=None if physics is None else physics.mass.mass_kg,
                mass_origin=None if physics is None else physics.mass.origin,
                mass_method=None if physics is None else physics.mass.method,
                sliding_friction=None if physics is None else physics.friction.sliding,
                friction_origin=None if physics is None else physics.friction.origin,
            )
        )
    return found
