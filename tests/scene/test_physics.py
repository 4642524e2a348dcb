"""physics.json holds plausible values, each with its origin; implausible ones stop the scene."""

import pytest

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.build_manifest import build_manifest
from blueprint_pipeline.scene.checks import check_files
from blueprint_pipeline.scene.physics import PhysicsImplausible, estimate_object, load_physics
from blueprint_pipeline.scene.source import read_source
from blueprint_pipeline.scene.source_folder import SourceFolder
from tests.scene.scene_files import SAMPLES, SCENES, edit_json

EXPECTED_KG = {
    "akita_black_bowl": (0.25, 0.5),
    "cereal_box": (0.08, 0.3),
    "dinner_plate": (0.5, 1.0),
    "lemon": (0.05, 0.12),
    "milk_carton": (0.15, 0.3),
    "ramekin": (0.1, 0.25),
    "soda_can": (0.1, 0.3),
    "kettle": (0.8, 3.0),
    "glass_bottle": (0.15, 0.6),
    "cereal_bowl": (0.3, 0.8),
    "bread_loaf": (0.01, 0.06),
    "red_ramekin": (0.1, 0.25),
}


@pytest.mark.parametrize("folder", [SCENES / "kitchen_counter_yup", SAMPLES / "tabletop_scanned"], ids=lambda path: path.name)
def test_real_objects_weigh_what_such_things_weigh(folder):
    """Bounds known from daily life; the tables were not tuned to single objects."""
    _, scene = read_source(SourceFolder(str(folder)))
    manifest = build_manifest("s", scene)
    for item in manifest.objects:
        if item.is_movable:
            low, high = EXPECTED_KG[item.id]
            physics = estimate_object(item, scene.objects[item.id].surfaces)
            assert low < physics.mass.mass_kg < high, item.id
            a, b, c = physics.mass.diagonal_inertia_kg_m2
            assert a >= b >= c > 0
            assert a <= b + c, "inertia of a real body"


def test_every_value_has_its_origin(finished):
    """Estimated, heuristic or measured: never nothing."""
    context, _ = finished
    physics = load_physics(context.scene, "can")
    assert physics.mass.origin is Origin.ESTIMATED
    assert "1030" in physics.mass.method
    assert physics.friction.origin is Origin.ESTIMATED
    assert physics.restitution.origin is Origin.HEURISTIC
    assert physics.geometry.origin is Origin.MEASURED
    assert physics.geometry.is_watertight


def test_unknown_material_is_said(small):
    """The stand-in is named as one."""
    edit_json(small / "objects/can/material.json", material_type="unobtainium")
    _, scene = check_files(SourceFolder(str(small)))
    physics = estimate_object(build_manifest("s", scene).object("can"), scene.objects["can"].surfaces)
    assert (physics.material, physics.material_origin) == ("unknown", Origin.ABSENT)


def test_implausible_mass_is_refused(small):
    """A can declared as a solid iron ring-sized thing: an apple of metal weighs more than apples do."""
    (small / "objects/can/label.json").write_text('{"category": "apple"}')
    edit_json(small / "objects/can/material.json", material_type="metal")
    _, scene = check_files(SourceFolder(str(small)))
    with pytest.raises(PhysicsImplausible, match=r"can .*apple.*kg"):
        estimate_object(build_manifest("s", scene).object("can"), scene.objects["can"].surfaces)
