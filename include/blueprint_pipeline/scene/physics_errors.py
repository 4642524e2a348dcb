"""What can be wrong with a scene as a physical one: scale, contact, mass, rest."""

from collections.abc import Sequence

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import GateError
from blueprint_pipeline.scene.errors import SceneError


class ImplausibleScale(SceneError):
    """Objects are far larger or smaller than things of their kind are."""

    code = "scene.implausible_scale"

    def __init__(self, found: Sequence[tuple[str, str, float, float, float]], meters_per_unit: float, hint: str) -> None:
        listed = "; ".join(
            f"object {name} ({category}) measures {size:.4g} m, expected {low:g} to {high:g} m" for name, category, size, low, high in found
        )
        super().__init__(
            f"The scale is implausible: {listed}. scene_info.json says meters_per_unit {meters_per_unit:g}{hint}. Correct the "
            f"unit, or the object's scale.",
            found[0][0],
            object_ids=[name for name, *_ in found],
            meters_per_unit=meters_per_unit,
        )


class ObjectsInterpenetrate(SceneError):
    """Two things are in the same place."""

    code = "scene.objects_interpenetrate"

    def __init__(self, first: str, second: str, depth_m: float, limit_m: float, *, is_lower_bound: bool = False) -> None:
        bound = "more than " if is_lower_bound else "up to "
        super().__init__(
            f"{first} and {second} interpenetrate: their meshes overlap, and a shift of {bound}{depth_m * 1000:.3g} mm is needed "
            f"to part them (limit {limit_m * 1000:g} mm). Move one of them, or mend its pose.",
            first,
            first=first,
            second=second,
            depth_m=depth_m,
            limit_m=limit_m,
        )


class ObjectUnsupported(SceneError):
    """An object floats: nothing holds it."""

    code = "scene.object_unsupported"

    def __init__(self, object_id: str, gap_m: float, below: str, limit_m: float) -> None:
        super().__init__(
            f"{object_id} is unsupported: it floats {gap_m * 1000:.4g} mm above {below}, the nearest thing below it (limit "
            f"{limit_m * 1000:g} mm). Mend its pose, or add what it stands on.",
            object_id,
            object_id=object_id,
            gap_m=gap_m,
            below=below,
            limit_m=limit_m,
        )


class PhysicsImplausible(SceneError):
    """An estimated mass lies outside what things of this kind weigh."""

    code = "scene.physics_implausible"

    def __init__(self, object_id: str, category: str, mass_kg: float, bounds_kg: tuple[float, float], method: str) -> None:
        low_kg, high_kg = bounds_kg
        super().__init__(
            f"Object {object_id} ({category}) would weigh {mass_kg:.4g} kg by {method}; expected {low_kg:g} to {high_kg:g} kg. "
            f"Check its scale, its material_type and whether its mesh is closed.",
            object_id,
            object_id=object_id,
            mass_kg=mass_kg,
            low_kg=low_kg,
            high_kg=high_kg,
            method=method,
        )


class SceneNotStable(GateError):
    """The scene does not come to rest where it was reconstructed."""

    code = "scene.not_stable"

    def __init__(self, object_id: str, failures: Sequence[str]) -> None:
        super().__init__(
            f"The scene is not stable: object {object_id} {'; '.join(failures)}. Mend its pose or its mesh: it does not rest "
            f"where the scene says.",
            object_id=object_id,
            failures=list(failures),
        )


class MaterialTableInvalid(ConfigFileInvalid):
    """include/config/materials.yaml or categories.yaml cannot be used."""

    code = "scene.material_table_invalid"
