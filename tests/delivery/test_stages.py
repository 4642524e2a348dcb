"""Package, deliver and notify, by the real runner, on a scene whose episodes were really simulated."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bagit
import mujoco
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Response

from blueprint_pipeline.delivery import stages
from blueprint_pipeline.delivery.replay_kit import KitDiffers
from blueprint_pipeline.delivery.replay_script import load_scene
from blueprint_pipeline.delivery.requirements import LabRequirementUnmet
from blueprint_pipeline.delivery.signing import SigningKeyMissing, make_signing_key, parse_envelope, public_key_path
from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.licence.bundle import LicenceRefused
from blueprint_pipeline.licence.policy import ComponentRule, load_policy
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import DeliverySettings, RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.simulation.mujoco.renderer import Renderer, camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.simulation.render_profiles import RENDER_PROFILES
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.checksums import list_files
from tests.delivery.scene_workspace import KEPT, SCENE_ID, write_certification, write_k_of_n, write_licences, write_workspace

LAB = "aurora_robotics"
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1sYWItMzItYnl0ZXMtbG9uZyE="


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """A workspace that is copied, not used."""
    root = tmp_path_factory.mktemp("pristine")
    write_workspace(root)
    return root


def make_settings(folder, signing_key):
    """Settings on a workspace below ``folder``."""
    return Settings(
        workspace=WorkspaceSettings(url=str(folder / "workspace"), cache_dir=folder / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{folder / 'registry.db'}"),
        delivery=DeliverySettings(signing_key=signing_key, webhook_secret=SecretStr(SECRET)),
    )


@pytest.fixture(scope="session")
def packed_once(pristine, tmp_path_factory, signing_key):
    """A bundle made by the runner. Read only."""
    folder = tmp_path_factory.mktemp("packed")
    shutil.copytree(pristine, folder / "workspace")
    run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, make_settings(folder, signing_key))
    return folder / "workspace" / "scenes" / SCENE_ID / "deliveries" / LAB / "bundle"


@pytest.fixture
def scene(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "workspace")
    return tmp_path / "workspace" / "scenes" / SCENE_ID


@pytest.fixture
def packed_scene(packed_once, tmp_path):
    """A workspace of the test's own in which the bundle is packed."""
    shutil.copytree(packed_once.parents[4], tmp_path / "workspace", dirs_exist_ok=True)
    return tmp_path / "workspace" / "scenes" / SCENE_ID


@pytest.fixture
def delivery_settings(tmp_path, signing_key):
    return make_settings(tmp_path, signing_key)


@pytest.fixture
def package(delivery_settings):
    return lambda lab=LAB: run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": lab}, delivery_settings)


def read(path):
    return json.loads(path.read_text())


def test_the_bundle_verifies_and_is_a_bag(packed_once, public_key):
    """Signed by our key, whole for us and for any BagIt tool."""
    assert validate_bundle(packed_once, public_key).trust == "given_key"
    assert bagit.Bag(str(packed_once)).validate()
    assert "Bagging-Date" not in (packed_once / "bag-info.txt").read_text()


@pytest.mark.parametrize("profile", RENDER_PROFILES.values(), ids=RENDER_PROFILES)
def test_a_lab_draws_the_same_pictures(packed_once, tmp_path, profile):
    """The kit's own script, its settings from ``kit.json``: pixel by pixel what our renderer draws."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "kit")
    kit = json.loads((tmp_path / "kit/kit.json").read_text())
    assert kit["render_profile"] == RENDER_PROFILES["fast"].model_dump(mode="json")
    (tmp_path / "kit/kit.json").write_text(json.dumps(kit | {"render_profile": profile.model_dump(mode="json")}))
    backend = choose_backend("auto")
    command = [sys.executable, tmp_path / "kit/draw.py", "ep_0000", "scene", "3"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MUJOCO_GL": backend, "LP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = np.array(Image.open(tmp_path / "ep_0000_scene_3.png"))
    model = load_scene(tmp_path / "kit").compile()
    width, height = kit["frame_px"]
    with Renderer(model, width, height, backend, profile) as renderer:
        data = mujoco.MjData(model)
        data.qpos[:] = pq.read_table(tmp_path / "kit/episodes/ep_0000/states.parquet").column("qpos")[3].as_py()
        mujoco.mj_forward(model, data)
        renderer.look(data, camera_id(model, "scene"))
        ours = renderer.draw().copy()
    different = np.abs(theirs.astype(int) - ours)
    assert different.max() == 0, f"{(different.max(axis=2) > 0).sum()} pixels differ, by {different.max()} levels at most"


def test_the_bundle_holds_what_a_lab_expects(packed_once):
    """Both datasets with their cards, reports, replay kit, failures, licences, provenance, report page."""
    names = set(list_files(packed_once / "data"))
    assert {
        "index.html",
        "dataset_card.json",
        "dataset/v3.0/README.md",
        "dataset/v3.0/croissant.json",
        "dataset/v2.1/meta/info.json",
        "reports/quality.json",
        "reports/cost.json",
        "reports/certification.json",
        "replay/replay.py",
        "replay/kit.json",
        "replay/scene/scene.xml",
        "replay/robot/panda.xml",
        "replay/episodes/ep_0000/states.parquet",
        "replay/episodes/ep_0000/certificate.json",
        "failures/failures.json",
        "failures/ep_0003/states.parquet",
        "failures/ep_0004/episode.json",
        "legal/licence.json",
        "legal/ATTRIBUTION.md",
        "legal/asset_provenance.json",
        "legal/LICENSES/MIT.txt",
        "legal/LICENSES/Apache-2.0.txt",
    } <= names
    assert "replay/episodes/ep_0003/states.parquet" not in names
    assert "failures/ep_0004/states.parquet" not in names
    reasons = {item["episode_id"]: item["gate"] for item in read(packed_once / "data/failures/failures.json")["episodes"]}
    assert reasons == {"ep_0003": "penetration", "ep_0004": "outcome"}


def test_what_labs_are_told_of_is_in_the_bundle(packed_once):
    """Every path below ``data/`` that the page for labs names is there."""
    page = (Path(__file__).parents[2] / "docs" / "labs.md").read_text()
    named = {name for name in re.findall(r"[`/](data/[\w./-]+)", page) if not name.startswith("data/dataset/v")}
    assert len(named) >= 5
    assert [name for name in sorted(named) if not (packed_once / name).exists()] == []


def test_no_path_of_this_machine_stands_in_the_bundle(packed_once):
    """Nothing that would differ on another machine or in another folder."""
    for name in list_files(packed_once):
        data = (packed_once / name).read_bytes()
        assert str(packed_once.parents[4]).encode() not in data, name
        assert str(Path.cwd()).encode() not in data, name


def test_packing_again_gives_the_same_bytes(packed_scene, package, packed_once):
    """The same inputs give the same bundle in another folder, report page and signature included."""
    packed = packed_scene / "deliveries" / LAB / "bundle"
    shutil.rmtree(packed)
    package()
    assert {name: (packed / name).read_bytes() for name in list_files(packed)} == {
        name: (packed_once / name).read_bytes() for name in list_files(packed_once)
    }


def test_finished_packing_is_not_repeated(packed_scene, package):
    """The second run finds the commit and touches nothing."""
    packed = packed_scene / "deliveries" / LAB / "bundle"
    before = {name: (packed / name).stat().st_mtime_ns for name in list_files(packed)}
    package()
    assert {name: (packed / name).stat().st_mtime_ns for name in list_files(packed)} == before


def test_the_statement_leads_back_to_everything(packed_once):
    """Every payload file is a subject; sources, assets, robot, prices, code and simulator are dependencies."""
    envelope = parse_envelope((packed_once / "statement.dsse.json").read_bytes())
    statement = json.loads(envelope.payload)
    subjects = {item["name"] for item in statement["subject"]}
    assert {f"data/{name}" for name in list_files(packed_once / "data")} <= subjects
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    build = statement["predicate"]["buildDefinition"]
    uris = {item["uri"]: item for item in build["resolvedDependencies"]}
    assert uris["scene:kitchen/objects/can/mesh.glb"]["digest"]["sha256"]
    assert uris["asset:kitchen/can"]["annotations"]["licence"] == "MIT"
    assert "pkg:pypi/mujoco@4.0.0" in uris
    assert any(uri.startswith("config:config/prices/") for uri in uris)
    assert any(uri.startswith("robot:franka_panda/assets/") for uri in uris)
    assert any(uri.startswith("pkg:generic/blueprint-pipeline@") for uri in uris)
    assert build["internalParameters"]["seeds"] == {"ep_0000": 100, "ep_0001": 101, "ep_0002": 102}
    assert statement["predicate"]["blueprint_quality"]["kept"] == KEPT


def replay(folder, *episodes):
    return subprocess.run([sys.executable, "-I", str(folder / "replay.py"), *episodes], capture_output=True, text=True, check=False)


def test_the_replay_kit_replays_bit_by_bit(packed_once, tmp_path):
    """The script, alone in another folder and without this package on its path, executes every kept episode again."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    ran = replay(tmp_path / "elsewhere")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [f"ep_{index:04d}: bit-identical" for index in range(KEPT)]
    assert "import blueprint_pipeline" not in (tmp_path / "elsewhere/replay.py").read_text()


def test_the_replay_kit_tells_a_difference(packed_once, tmp_path):
    """One light change of the scene, and the script says that the episode differs."""
    shutil.copytree(packed_once / "data/replay", tmp_path / "elsewhere")
    xml = tmp_path / "elsewhere/scene/scene.xml"
    xml.write_text(xml.read_text().replace('mass="0.2"', 'mass="0.2001"'))
    ran = replay(tmp_path / "elsewhere", "ep_0001")
    assert ran.returncode == 1
    assert ran.stdout.startswith("ep_0001: DIFFERS by up to")


def test_a_kit_that_would_not_replay_is_not_packed(scene, package):
    """The scene changed since the simulation: no bundle."""
    xml = scene / "mjcf/scene.xml"
    xml.write_text(xml.read_text().replace('mass="0.2"', 'mass="0.3"'))
    with pytest.raises(KitDiffers):
        package()
    assert not (scene / "deliveries").exists()


@pytest.fixture
def terms_of_isaac_sim(monkeypatch):
    """A policy of an installation whose people read NVIDIA's terms; the shipped one does not know them, and unknown blocks."""
    row = ComponentRule(component="isaac_sim", versions="*", licence="LicenseRef-test", commercial_ok=True, evidence="read for this test")
    shipped = load_policy()
    policy = shipped.model_copy(update={"components": (*shipped.components, row)})
    monkeypatch.setattr("blueprint_pipeline.delivery.legal.load_policy", lambda: policy)


@pytest.mark.usefixtures("terms_of_isaac_sim")
def test_a_bundle_by_the_k_of_n_rule_never_says_bit_identical(scene, package):
    """Kit, page, card and statement say which kind of certificate the episodes have, with its figures."""
    write_k_of_n(scene)
    package()
    bundle = scene / "deliveries" / LAB / "bundle"
    names = list_files(bundle / "data/replay")
    assert "stage/scene.usda" in names
    assert "replay.py" not in names
    told = "certified by the k-of-n rule, not bit by bit"
    page = (bundle / "data/index.html").read_text()
    assert told in page
    assert "did its task in 4 or more of them, and its target ended within 3.0 mm" in page
    assert "4 of 5 executions, within 3.0 mm" in page
    assert "Isaac Sim stand-in for 6.1.0 gives no same states twice" in page
    for text in (page, (bundle / "data/replay/README.md").read_text()):
        assert "bit-identical" not in text
    card = read(bundle / "data/dataset_card.json")
    assert card["quality"]["replay_certificates"] == {"k_of_n": KEPT}
    assert card["provenance"]["simulator"]["name"] == "isaac_sim"
    statement = json.loads(base64.b64decode(read(bundle / "statement.dsse.json")["payload"]))["predicate"]
    assert statement["blueprint_quality"]["replay_certificates"] == {"k_of_n": KEPT}
    assert told in statement["blueprint_quality"]["replays"]
    uris = [item["uri"] for item in statement["buildDefinition"]["resolvedDependencies"]]
    assert "pkg:generic/isaac_sim@stand-in%20for%206.1.0" in uris


def test_a_simulator_whose_terms_nobody_read_blocks_the_delivery(scene, package):
    """The shipped policy does not know Isaac Sim's: the deployer does, or nobody."""
    write_k_of_n(scene)
    with pytest.raises(LicenceRefused, match=r"isaac_sim stand-in for 6\.1\.0 is unknown"):
        package()


def test_a_bundle_of_the_twin_says_bit_identical(packed_once):
    told = "3 episodes were executed again from their stored states and came out bit-identical."
    assert told in (packed_once / "data/index.html").read_text()
    assert read(packed_once / "data/dataset_card.json")["quality"]["replay_certificates"] == {"bit_identical": KEPT}


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


def test_the_licence_of_the_bundle_is_the_most_restrictive(packed_once):
    """CC BY 4.0 beside MIT, CC0 and the robot's Apache 2.0; every author is named."""
    licence = read(packed_once / "data/legal/licence.json")
    assert licence["licence"] == "CC-BY-4.0"
    assert licence["expression"] == "Apache-2.0 AND CC-BY-4.0 AND CC0-1.0 AND MIT"
    assert "Copyright (c) maker of the can (can)" in (packed_once / "data/legal/LICENSES/MIT.txt").read_text()
    assert "| box | asset | yes | CC-BY-4.0 | maker of the box |" in (packed_once / "data/legal/ATTRIBUTION.md").read_text()
    provenance = read(packed_once / "data/legal/asset_provenance.json")
    assert provenance["summary"] == {"total_assets": 4, "commercial_ok": 4, "non_commercial": 0, "unknown_license": 0}
    assert {asset["asset_id"]: bool(asset["verification"]["content_hash"]) for asset in provenance["assets"]} == {
        "background": True,
        "box": True,
        "can": True,
        "table": False,
    }


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


def test_from_package_to_acknowledged_webhook(packed_scene, delivery_settings, public_key, tmp_path):
    """Deliver and notify by the runner, twice: one delivery, one receipt, one call, and nothing rewritten."""
    with HTTPServer() as server:
        calls = []

        def handle(request):
            Webhook(SECRET).verify(request.get_data(), dict(request.headers))
            calls.append(json.loads(request.get_data()))
            return Response(status=204)

        server.expect_request("/hook").respond_with_handler(handle)
        for _ in range(2):
            bucket = {"scene_id": SCENE_ID, "lab": LAB, "bucket": str(tmp_path / "lab")}
            delivered = run_stage("deliver_bundle", bucket, delivery_settings)
            told = run_stage("notify_lab", {"scene_id": SCENE_ID, "lab": LAB, "webhook_url": server.url_for("/hook")}, delivery_settings)
            (packed_scene / f"commits/deliver_bundle.{LAB}.json").unlink()
            (packed_scene / f"commits/notify_lab.{LAB}.json").unlink()
    assert len(calls) == 1
    assert calls[0]["data"]["bundle_url"] == delivered.location
    assert told.status_code == 204
    assert validate_bundle(Path(delivered.location), public_key).is_whole
    receipt = read(packed_scene / f"deliveries/{LAB}/receipt.json")
    assert receipt == read(Path(delivered.location).parent / "receipt.json")
    with open_registry(delivery_settings.registry) as registry:
        assert [item.status for item in registry.deliveries.all_of(lab=LAB)] == ["notified"]


def test_a_registry_that_was_lost_does_not_stop_the_call(packed_scene, delivery_settings, tmp_path):
    """With a new database the delivery is entered again from its receipt."""
    run_stage("deliver_bundle", {"scene_id": SCENE_ID, "lab": LAB, "bucket": str(tmp_path / "lab")}, delivery_settings)
    (tmp_path / "registry.db").unlink()
    with HTTPServer() as server:
        server.expect_request("/hook").respond_with_data(status=200)
        request = {"scene_id": SCENE_ID, "lab": LAB, "webhook_url": server.url_for("/hook")}
        assert run_stage("notify_lab", request, delivery_settings).attempts == 1


def test_another_key_makes_another_bundle(packed_scene, tmp_path, delivery_settings):
    """The public key is part of the stage's key, also where a mounted secret is the private half alone."""
    make_signing_key(tmp_path / "new.pem")
    public = public_key_path(tmp_path / "new.pem").rename(tmp_path / "at_the_lab.pem")
    renewed = delivery_settings.model_copy(update={"delivery": DeliverySettings(signing_key=tmp_path / "new.pem")})
    run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, renewed)
    packed = packed_scene / "deliveries" / LAB / "bundle"
    assert validate_bundle(packed, public).is_whole
