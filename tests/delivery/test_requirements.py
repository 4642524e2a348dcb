"""What a lab did not agree to take is not packed for it."""

import pytest

from blueprint_pipeline.delivery.requirements import LabRequirementUnmet
from tests.delivery.scene_workspace import write_certification


def test_a_strict_lab_refuses_what_it_did_not_agree_to(scene, package):
    """Too few episodes, too small a share, and a certificate in which the real lerobot did not run."""
    with pytest.raises(LabRequirementUnmet) as caught:
        package("northwind_ai")
    for words in ("at least 10 wanted", "at least 0.80 wanted", "lerobot.loads"):
        assert words in str(caught.value)


def test_a_failed_certificate_blocks_every_lab(scene, package):
    """Also a lab that takes uncertified data never gets data that failed."""
    write_certification(scene, run=True, failed=True)
    with pytest.raises(LabRequirementUnmet, match=r"certification failed: blueprint_pipeline\.structure"):
        package()
