"""A bundle packed by the real runner, on a scene whose episodes were really simulated: what it holds and what it says."""

import base64
import json
import re
import shutil
from pathlib import Path

import bagit
import pytest

from blueprint_pipeline.delivery.signing import parse_envelope
from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.licence.policy import ComponentRule, load_policy
from blueprint_pipeline.workspace.checksums import list_files
from tests.delivery.conftest import LAB, read_json
from tests.delivery.scene_workspace import KEPT, write_k_of_n

ONLY_WITH_FAILURES = ("data/failures/v3.0", "data/replay/failures")
"""Where something failed; ``test_failures.py`` has such a bundle."""


def test_the_bundle_verifies_and_is_a_bag(packed_once, public_key):
    """Signed by our key, whole for us and for any BagIt tool."""
    assert validate_bundle(packed_once, public_key).trust == "given_key"
    assert bagit.Bag(str(packed_once)).validate()
    assert "Bagging-Date" not in (packed_once / "bag-info.txt").read_text()


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
        "verify_bundle.py",
        "replay/replay.py",
        "replay/kit.json",
        "replay/scene/scene.xml",
        "replay/robot/panda.xml",
        "replay/episodes/ep_0000/states.parquet",
        "replay/episodes/ep_0000/certificate.json",
        "failures/failures.json",
        "reports/failure_gates.json",
        "reports/failure_certification.json",
        "legal/licence.json",
        "legal/ATTRIBUTION.md",
        "legal/asset_provenance.json",
        "legal/LICENSES/MIT.txt",
        "legal/LICENSES/Apache-2.0.txt",
    } <= names
    assert "replay/episodes/ep_0003/states.parquet" not in names
    assert not any(name.startswith("failures/v3.0") for name in names)
    assert read_json(packed_once / "data/failures/failures.json")["episodes"] == {}, "one sank into the table, one never moved"


def test_what_is_not_in_the_data_is_told_with_the_reason(packed_once):
    """In the card that programs read, and on the page: cells of attempts that are not delivered."""
    coverage = {tuple(facts["axes"]): facts for facts in read_json(packed_once / "data/dataset_card.json")["coverage"]}
    assert coverage["start",] == {
        "skill": "pick_place",
        "axes": ["start"],
        "declared": 4,
        "filled": 2,
        "empty": [
            {"values": ["back"], "why": "1 of 1 failed with plan_pick.motion.no_grasp"},
            {"values": ["right"], "why": "1 of 1 failed with gate.penetration"},
        ],
    }
    assert "can, back (1 of 1 failed with plan_pick.motion.no_grasp)" in (packed_once / "data/index.html").read_text()


def test_the_licence_that_is_told_is_that_of_the_bundle(packed_once):
    """Demo and Slack have it from the stage's result; the lab reads the card and the attribution."""
    told = read_json(packed_once.parents[2] / f"commits/package_bundle.{LAB}.json")["result"]["licence"]
    assert told
    assert read_json(packed_once / "data/dataset_card.json")["licence"]["id"] == told
    assert f"Licence of the data: **{told}**" in (packed_once / "data/legal/ATTRIBUTION.md").read_text()


def test_the_card_in_the_bundle_says_what_looked_at_the_dataset(packed_once):
    """``certified: false`` stands where a lab reads on, with each check that did not run."""
    card = (packed_once / "data/dataset/v3.0/README.md").read_text()
    assert card.startswith("---\nlicense")
    assert "`certified: false` (not certified: of 2 checks 1 did not run (lerobot), 1 passed)" in card
    assert "| `lerobot.loads` | not run | no such environment here |" in card


def test_what_labs_are_told_of_is_in_the_bundle(packed_once):
    """Every path below ``data/`` that the page for labs names is there; datasets, HDF5 files and failures have tests of their own."""
    page = (Path(__file__).parents[2] / "docs" / "labs.md").read_text()
    named = {
        name
        for name in re.findall(r"[`/](data/[\w./-]+)", page)
        if not name.startswith(("data/dataset/", "data/demo", *ONLY_WITH_FAILURES))
    }
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


def test_videos_are_copied_and_never_decoded(packed_scene):
    """The page's pictures come from previews: what was drawn is read nowhere but in the datasets."""
    read = json.loads((packed_scene / f"commits/package_bundle.{LAB}.json").read_text())["inputs"]
    drawn = {Path(name).name for name in read if name.startswith("geniesim/renders/")}
    assert drawn == {"certificate.json", "scene.preview.mp4", "wrist.preview.mp4"}


def test_every_configuration_that_the_statement_names_is_in_the_key(packed_scene):
    """A table of prices that was edited makes another statement, so it makes another bundle."""
    bundle = packed_scene / "deliveries" / LAB / "bundle"
    statement = json.loads(parse_envelope((bundle / "statement.dsse.json").read_bytes()).payload)
    named = [item["uri"].removeprefix("config:") for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]]
    named = {name for name in named if name.startswith("config/")}
    read = json.loads((packed_scene / f"commits/package_bundle.{LAB}.json").read_text())["inputs"]
    assert any(name.startswith("config/prices/") for name in named)
    assert named <= read.keys()


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


def test_a_bundle_of_the_twin_says_bit_identical(packed_once):
    told = "3 episodes were executed again from their stored states and came out bit-identical."
    assert told in (packed_once / "data/index.html").read_text()
    assert read_json(packed_once / "data/dataset_card.json")["quality"]["replay_certificates"] == {"bit_identical": KEPT}


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
    card = read_json(bundle / "data/dataset_card.json")
    assert card["quality"]["replay_certificates"] == {"k_of_n": KEPT}
    assert card["provenance"]["simulator"]["name"] == "isaac_sim"
    statement = json.loads(base64.b64decode(read_json(bundle / "statement.dsse.json")["payload"]))["predicate"]
    assert statement["blueprint_quality"]["replay_certificates"] == {"k_of_n": KEPT}
    assert told in statement["blueprint_quality"]["replays"]
    uris = [item["uri"] for item in statement["buildDefinition"]["resolvedDependencies"]]
    assert "pkg:generic/isaac_sim@stand-in%20for%206.1.0" in uris
