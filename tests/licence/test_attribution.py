"""Licences are read from the table that people wrote, and never guessed."""

import pytest

from blueprint_pipeline.licence.attribution import parse_attribution, spdx_id
from blueprint_pipeline.licence.policy import load_policy
from blueprint_pipeline.origin import Origin
from tests.scene.scene_files import SAMPLES, SCENES


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC0 1.0", "CC0-1.0"),
        ("MIT", "MIT"),
        ("Apache-2.0 (package: MIT)", "Apache-2.0"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("MIT or proprietary", "unknown"),
        ("MIT-like", "unknown"),
        ("all rights reserved", "unknown"),
        ("", "unknown"),
    ],
)
def test_statement_becomes_an_spdx_id(statement, expected):
    """What says something else beside a known licence is unknown."""
    assert spdx_id(statement) == expected


@pytest.mark.parametrize(
    "scene", [SCENES / "minimal_ok", SCENES / "kitchen_counter_yup", SAMPLES / "tabletop_scanned"], ids=lambda path: path.name
)
def test_every_object_of_the_samples_has_a_licence_that_the_policy_knows(scene):
    """Both layouts of the table are read."""
    found = parse_attribution((scene / "ATTRIBUTION.md").read_text())
    names = {path.name for path in (scene / "objects").iterdir()} | {"background"}
    assert names <= set(found)
    for name in names:
        assert found[name].origin is Origin.AUTHORED
        assert load_policy().licence(found[name].licence) is not None


@pytest.mark.parametrize("text", [None, "", "No table here.", "| object | source |\n|---|---|\n| can | x |", "| object |"])
def test_without_a_licence_column_nothing_is_known(text):
    """Absent is absent."""
    assert parse_attribution(text) == {}
