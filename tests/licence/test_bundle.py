"""The licence of a bundle follows from its parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.delivery.legal import render_licence_text
from blueprint_pipeline.licence.bundle import (
    AssetOrigin,
    ComponentUse,
    LicenceRefused,
    build_asset_provenance,
    compute_licence,
    render_attribution,
    validate_licence,
)
from blueprint_pipeline.licence.policy import load_policy

MUJOCO = ComponentUse(component="mujoco", version="4.0.0", role="simulator")
GENIE_SIM = ComponentUse(component="genie_sim", version="3.2.0", role="simulator")
PANDA = ComponentUse(component="franka_panda_model", version="1", role="robot", licence="Apache-2.0", source="franka_ros")


def assets(*licences):
    return [
        AssetOrigin(asset_id=f"a{index}", licence=licence, author=f"author {index}", source="somewhere", changes=None)
        for index, licence in enumerate(licences)
    ]


def compute(*licences, components=(MUJOCO,)):
    return compute_licence(load_policy(), assets(*licences), components)


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (("CC0-1.0",), "CC0-1.0"),
        (("CC0 1.0", "MIT"), "MIT"),
        (("MIT", "CC BY 4.0", "Apache-2.0"), "CC-BY-4.0"),
        (("CC-BY-SA-4.0", "CC-BY-4.0"), "CC-BY-SA-4.0"),
        (("CC-BY-NC-4.0", "CC-BY-SA-4.0"), "CC-BY-NC-4.0"),
    ],
)
def test_the_most_restrictive_licence_wins(licences, expected):
    """Non-commercial over share-alike over attribution over public domain; spelling does not matter."""
    assert compute(*licences).licence == expected


def test_the_robot_lies_in_the_bundle_and_the_simulator_does_not():
    """What only made the data is listed, and adds nothing to the expression."""
    licence = compute("MIT", components=(MUJOCO, PANDA))
    assert licence.expression == "Apache-2.0 AND MIT"
    assert {part.name: part.in_bundle for part in licence.parts} == {"a0": True, "mujoco 4.0.0": False, "franka_panda_model 1": True}
    assert licence.commercial_ok


@pytest.mark.parametrize(
    ("licences", "components", "named"),
    [
        ((None,), (), "a0 is unknown"),
        (("My own",), (), "a0 is unknown"),
        (("CC-BY-NC-4.0",), (), "a0 is non-commercial"),
        (("MIT",), (ComponentUse(component="curobo", version="0.7.6", role="planner"),), "curobo 0.7.6 is non-commercial"),
        (("MIT",), (GENIE_SIM,), r"genie_sim 3\.2\.0 is non-commercial .*GenieSimAssets"),
        (("MIT",), (ComponentUse(component="somebodys_model", version="1", role="model"),), "somebodys_model 1 is unknown"),
        (("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"), (), "the bundle is unknown"),
    ],
)
def test_what_forbids_blocks_a_commercial_lab(licences, components, named):
    """Unknown, non-commercial, or two licences that exclude each other; the part is named."""
    with pytest.raises(LicenceRefused, match=named):
        validate_licence(compute(*licences, components=components), lab="x", commercial=True)


def test_a_lab_for_research_may_have_non_commercial_parts_and_no_unknown_ones():
    """Unknown blocks everybody."""
    validate_licence(compute("CC-BY-NC-4.0"), lab="x", commercial=False)
    validate_licence(compute("MIT", components=(GENIE_SIM,)), lab="x", commercial=False)
    with pytest.raises(LicenceRefused):
        validate_licence(compute(None), lab="x", commercial=False)


@given(st.lists(st.sampled_from([rule.id for rule in load_policy().licences]), min_size=1, max_size=8))
def test_adding_a_part_never_makes_a_bundle_freer(licences):
    """For any mix: attribution is complete, and no obligation is lost by adding to it."""
    licence = compute(*licences)
    fewer = compute(*licences[:-1]) if len(licences) > 1 else compute("CC0-1.0")
    assert {part.name for part in licence.parts if part.role == "asset"} == {f"a{index}" for index in range(len(licences))}
    assert fewer.commercial_ok or not licence.commercial_ok
    assert licence.attribution_required or not fewer.attribution_required
    assert licence.share_alike or not fewer.share_alike


def test_attribution_and_provenance_name_every_part():
    """A pipe in a name does not break the table; unknown is counted as unknown."""
    licence = compute_licence(
        load_policy(),
        [*assets("MIT", None), AssetOrigin(asset_id="b", licence="MIT", author="A | B", source=None, changes="scaled")],
        [MUJOCO],
    )
    table = render_attribution(licence)
    assert "A \\| B" in table
    assert all(f"| {name} |" in table for name in ("a0", "a1", "b", "mujoco 4.0.0"))
    summary = build_asset_provenance("kitchen", licence, {"a0": "f" * 64}, "0.1")["summary"]
    assert summary == {"total_assets": 3, "commercial_ok": 2, "non_commercial": 0, "unknown_license": 1}


def test_licence_texts_carry_the_copyright_notices():
    """MIT asks for the notice and the text; CC BY takes an address; what has no text and no address is still named."""
    parts = compute("MIT", "CC-BY-4.0").parts
    assert "Copyright (c) author 0 (a0)\n\nPermission is hereby granted" in render_licence_text("MIT", [parts[0]])
    assert "https://creativecommons.org/licenses/by/4.0/" in render_licence_text("CC-BY-4.0", [parts[1]])
    assert "Copyright (c) author 0" in render_licence_text("LicenseRef-X", [parts[0].model_copy(update={"licence_url": None})])
