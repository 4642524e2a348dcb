"""The tables are data with bounds; a damaged one is refused with its path."""

import pytest

from blueprint_pipeline.scene.materials import MaterialTableInvalid, load_categories, load_materials


def test_aliases_lead_to_materials():
    """Other words for a material find it; unknown ones find ``unknown``."""
    table = load_materials()
    assert table.find("Porcelain")[0] == "ceramic"
    assert table.find("metal")[0] == "metal"
    assert table.find("unobtainium")[0] == "unknown"


def test_categories_are_found_by_their_last_word():
    """A dinner plate is a plate, mugs are a mug."""
    table = load_categories()
    assert table.find("dinner plate")[0] == "plate"
    assert table.find("coffee_mugs")[0] == "mug"
    assert table.find("gizmo")[0] == "unknown"
    assert table.find("")[0] == "unknown"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("schema_version: '1.0'\nmaterials: {}\naliases: {}", "unknown"),
        ("schema_version: '1.0'\nmaterials: {wood: {density_kg_m3: -1}}\naliases: {}", "density_kg_m3"),
        ("schema_version: '9'\nmaterials: {}\naliases: {}", "schema_version"),
        ("{", "cannot be used"),
    ],
)
def test_damaged_materials_are_refused(tmp_path, text, problem):
    """What is wrong is named."""
    path = tmp_path / "materials.yaml"
    path.write_text(text)
    with pytest.raises(MaterialTableInvalid, match=problem):
        load_materials(path)


@pytest.mark.parametrize(
    "row",
    [
        "{size_m: [1, 2], mass_kg: [1, 2], build: filled}",
        "{size_m: [1, 2], mass_kg: [1, 2], build: solid, wall_m: 1}",
        "{size_m: [2, 1], mass_kg: [1, 2], build: solid}",
    ],
)
def test_damaged_categories_are_refused(tmp_path, row):
    """A build without its figure, or with another's; bounds in the wrong order."""
    path = tmp_path / "categories.yaml"
    path.write_text(f"schema_version: '1.0'\ncategories:\n  unknown: {row}\n")
    with pytest.raises(MaterialTableInvalid, match=r"categories\.yaml"):
        load_categories(path)


def test_missing_table_is_refused(tmp_path):
    """No default stands in."""
    with pytest.raises(MaterialTableInvalid, match="No such file"):
        load_materials(tmp_path / "none.yaml")
