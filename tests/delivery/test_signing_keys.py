"""Nothing is packed unsigned, nor signed with a key that the lab does not trust."""

import pytest

from blueprint_pipeline.delivery import stages
from blueprint_pipeline.delivery.signing import SigningKeyMissing, make_signing_key, public_key_path
from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.settings import DeliverySettings
from blueprint_pipeline.stage.runner import run_stage
from tests.delivery.conftest import LAB
from tests.delivery.scene_workspace import SCENE_ID


def test_no_key_no_bundle(scene, delivery_settings, tmp_path):
    """Nothing is delivered unsigned."""
    unsigned = delivery_settings.model_copy(update={"delivery": DeliverySettings(signing_key=tmp_path / "none.pem")})
    with pytest.raises(SigningKeyMissing):
        run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, unsigned)


def test_a_lab_that_pinned_another_key_gets_nothing(scene, delivery_settings, monkeypatch):
    """The bundle would be refused there; so it is refused here."""
    load = stages.load_lab
    monkeypatch.setattr(stages, "load_lab", lambda lab: load(lab).model_copy(update={"pinned_keyid": "f" * 64}))
    with pytest.raises(Exception, match="trusts the key ffff"):
        run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, delivery_settings)


def test_another_key_makes_another_bundle(packed_scene, tmp_path, delivery_settings):
    """The public key is part of the stage's key, also where a mounted secret is the private half alone."""
    make_signing_key(tmp_path / "new.pem")
    public = public_key_path(tmp_path / "new.pem").rename(tmp_path / "at_the_lab.pem")
    renewed = delivery_settings.model_copy(update={"delivery": DeliverySettings(signing_key=tmp_path / "new.pem")})
    run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, renewed)
    packed = packed_scene / "deliveries" / LAB / "bundle"
    assert validate_bundle(packed, public).is_whole
