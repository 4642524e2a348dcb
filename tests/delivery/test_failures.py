"""A lab that buys failures gets them beside its dataset, signed, priced and ready to be executed again; another lab gets none."""

import json
import subprocess
import sys

import pytest
import yaml

from blueprint_pipeline.delivery import stages
from blueprint_pipeline.delivery.lab import LABS_FOLDER, load_lab
from blueprint_pipeline.delivery.signing import parse_envelope
from blueprint_pipeline.delivery.sources import list_reads
from blueprint_pipeline.delivery.verify import BundleAltered, validate_bundle
from blueprint_pipeline.workspace.checksums import list_files
from tests.delivery.conftest import LAB, read_json
from tests.delivery.scene_workspace import write_failures

FAILED = "ep_0003"


@pytest.fixture
def bundle(scene, package):
    """With one failure."""
    write_failures(scene, FAILED)
    package()
    return scene / f"deliveries/{LAB}/bundle"


def test_a_lab_that_buys_them_gets_a_dataset_of_its_own(bundle, public_key):
    """Beside the main one, which has nothing of them; the signature covers both."""
    names = set(list_files(bundle / "data"))
    assert {
        "failures/failures.json",
        "failures/v3.0/meta/info.json",
        "failures/v3.0/README.md",
        f"replay/failures/episodes/{FAILED}/states.parquet",
        f"replay/failures/episodes/{FAILED}/certificate.json",
        "replay/failures/starts.json",
        "reports/failure_verdicts/shard_0001.json",
    } <= names
    assert f"replay/episodes/{FAILED}/states.parquet" not in names
    assert FAILED not in {start["start_id"] for start in read_json(bundle / "data/replay/starts.json")}
    assert "certified: false" in (bundle / "data/failures/v3.0/README.md").read_text()
    validate_bundle(bundle, public_key)
    statement = json.loads(parse_envelope((bundle / "statement.dsse.json").read_bytes()).payload)
    assert "data/failures/v3.0/meta/info.json" in {subject["name"] for subject in statement["subject"]}
    predicate = statement["predicate"]
    assert predicate["blueprint_quality"]["failures"] == {"written": 1, "kinds": {"predicate.not_lifted": 1}}
    assert predicate["blueprint_cost"]["failures"].keys() >= {"episodes", "usd_per_failure", "certainty"}
    assert FAILED in predicate["buildDefinition"]["internalParameters"]["seeds"]
    assert read_json(bundle / "data/dataset_card.json")["failures"]["episodes"] == {FAILED: "predicate.not_lifted"}
    assert "<strong>1</strong> failed episode in <code>data/failures</code>" in (bundle / "data/index.html").read_text()


def test_failures_are_executed_again_with_the_rest(bundle, tmp_path):
    """All of them, last; one that comes out otherwise than it was recorded is told."""
    kit = bundle / "data/replay"
    ran = subprocess.run([sys.executable, kit / "replay.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert lines[-1].startswith(f"{FAILED}: bit-identical; task not done (")
    assert len(lines) == 4
    record = kit / f"failures/episodes/{FAILED}/episode.json"
    told = read_json(record)
    record.write_text(json.dumps(told | {"outcome": told["outcome"] | {"success": True}}))
    ran = subprocess.run([sys.executable, kit / "replay.py", FAILED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, len(ran.stdout.splitlines())) == (1, 1)
    assert "NOT AS RECORDED" in ran.stdout


@pytest.mark.parametrize("name", ["failures/failures.json", "failures/v3.0/meta/info.json", "replay/failures/starts.json"])
def test_failures_that_were_altered_are_refused(bundle, public_key, name):
    """As any file of the bundle."""
    path = bundle / "data" / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BundleAltered, match=name):
        validate_bundle(bundle, public_key)


def test_failures_that_were_taken_away_or_added_are_refused(bundle, public_key):
    (bundle / "data/failures/v3.0/more.txt").write_text("x")
    with pytest.raises(BundleAltered, match=r"more\.txt"):
        validate_bundle(bundle, public_key)


def test_a_lab_that_buys_none_gets_none_and_pays_none(scene, package, tmp_path, monkeypatch):
    """Though they lie there, made for another lab: not a file, not a word; and the stage reads nothing of them."""
    write_failures(scene, FAILED)
    profile = yaml.safe_load((LABS_FOLDER / f"{LAB}.yaml").read_text()) | {"wants_failures": False}
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / f"{LAB}.yaml").write_text(yaml.safe_dump(profile))
    monkeypatch.setattr(stages, "load_lab", lambda lab: load_lab(lab, tmp_path / "labs"))
    package()
    bundle = scene / f"deliveries/{LAB}/bundle"
    assert not [name for name in list_files(bundle) if "failure" in name]
    assert read_json(bundle / "data/dataset_card.json")["failures"] is None
    assert "data/failures" not in (bundle / "data/index.html").read_text()
    commit = read_json(scene / f"commits/package_bundle.{LAB}.json")
    assert commit["result"]["failures"] == 0
    assert not [name for name in commit["inputs"] if "failure" in name]
    assert not {*list_reads(failures=False)} - {*list_reads(failures=True)}
