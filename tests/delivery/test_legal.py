"""Licences of a bundle: computed from all of its parts, named, and able to block a delivery."""

import pytest

from blueprint_pipeline.licence.bundle import LicenceRefused
from tests.delivery.conftest import read_json
from tests.delivery.scene_workspace import write_k_of_n, write_licences


def test_the_licence_of_the_bundle_is_the_most_restrictive(packed_once):
    """CC BY 4.0 beside MIT, CC0 and the robot's Apache 2.0; every author is named."""
    licence = read_json(packed_once / "data/legal/licence.json")
    assert licence["licence"] == "CC-BY-4.0"
    assert licence["expression"] == "Apache-2.0 AND CC-BY-4.0 AND CC0-1.0 AND MIT"
    assert "Copyright (c) maker of the can (can)" in (packed_once / "data/legal/LICENSES/MIT.txt").read_text()
    assert "| box | asset | yes | CC-BY-4.0 | maker of the box |" in (packed_once / "data/legal/ATTRIBUTION.md").read_text()
    provenance = read_json(packed_once / "data/legal/asset_provenance.json")
    assert provenance["summary"] == {"total_assets": 4, "commercial_ok": 4, "non_commercial": 0, "unknown_license": 0}
    assert {asset["asset_id"]: bool(asset["verification"]["content_hash"]) for asset in provenance["assets"]} == {
        "background": True,
        "box": True,
        "can": True,
        "table": False,
    }


@pytest.mark.parametrize(
    ("licences", "named"),
    [
        ({"can": "CC-BY-NC-4.0"}, "can is non-commercial"),
        ({"box": "unknown"}, "box is unknown"),
        ({"background": "GPL-9"}, "background is unknown"),
    ],
)
def test_a_licence_that_forbids_blocks_the_delivery(scene, package, licences, named):
    """Non-commercial and unknown parts do not go to a commercial lab; the part is named."""
    write_licences(scene, **licences)
    with pytest.raises(LicenceRefused, match=named) as caught:
        package()
    assert caught.value.code == "delivery.licence_refused"
    assert caught.value.exit_code == 64


def test_a_simulator_whose_terms_nobody_read_blocks_the_delivery(scene, package):
    """The shipped policy does not know Isaac Sim's: the deployer does, or nobody."""
    write_k_of_n(scene)
    with pytest.raises(LicenceRefused, match=r"isaac_sim stand-in for 6\.1\.0 is unknown"):
        package()
