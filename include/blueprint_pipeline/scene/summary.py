"""A scene at a glance: every object with its physics, and where each value came from."""

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.manifest import Size, load_manifest
from blueprint_pipeline.scene.physics import load_physics, physics_path
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH, load_set_aside
from blueprint_pipeline.workspace.storage import Id, SceneFolder

OBJECT_COLUMNS = ("object", "category", "role", "size x, y, z [m]", "mass [kg]", "friction", "licence")


class ObjectSummary(BaseModel):
    """One object; what no stage has found yet is ``None``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object_id: Id
    category: str
    sim_role: str
    set_aside: str | None
    """Why it cannot move though its role says so, found when the scene was assembled."""
    licence: str
    size_m: Size
    """Extents of the posed mesh along world x, y and z."""
    size_origin: Origin
    mass_kg: float | None
    mass_origin: Origin | None
    mass_method: str | None
    sliding_friction: float | None
    friction_origin: Origin | None


def load_summary(scene: SceneFolder) -> list[ObjectSummary]:
    """Read what is known of the objects of a scene."""
    found = []
    set_aside = load_set_aside(scene).reasons if scene.exists(SET_ASIDE_PATH) else {}
    for item in load_manifest(scene).objects:
        physics = load_physics(scene, item.id) if scene.exists(physics_path(item.id)) else None
        found.append(
            ObjectSummary(
                object_id=item.id,
                category=item.category,
                sim_role=item.sim_role,
                set_aside=set_aside.get(item.id),
                licence=item.asset.licence,
                size_m=item.dimensions_est,
                size_origin=Origin.MEASURED,
                mass_kg=None if physics is None else physics.mass.mass_kg,
                mass_origin=None if physics is None else physics.mass.origin,
                mass_method=None if physics is None else physics.mass.method,
                sliding_friction=None if physics is None else physics.friction.sliding,
                friction_origin=None if physics is None else physics.friction.origin,
            )
        )
    return found


def describe_role(item: ObjectSummary) -> str:
    """Its role; of an object that was set aside, the reason too."""
    return item.sim_role if item.set_aside is None else f"{item.sim_role}, set aside: {item.set_aside}"


def build_row(item: ObjectSummary) -> tuple[str, ...]:
    """An object as a row for people: :data:`OBJECT_COLUMNS`, each value with its origin; empty: no stage has found it yet."""
    size = item.size_m
    return (
        item.object_id,
        item.category,
        describe_role(item),
        f"{size.width:.3f}, {size.depth:.3f}, {size.height:.3f} ({item.size_origin})",
        "" if item.mass_kg is None else f"{item.mass_kg:.4g} ({item.mass_origin})",
        "" if item.sliding_friction is None else f"{item.sliding_friction:.4g} ({item.friction_origin})",
        item.licence,
    )
