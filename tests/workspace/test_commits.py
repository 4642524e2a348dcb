"""The key of work covers what matters and not the time."""

from datetime import UTC, datetime

import pytest

from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace.canonical import canonical_json, key_of
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import Commit, Usage, commit_key, package_versions, validate_inputs
from blueprint_pipeline.workspace.errors import FileChanged
from blueprint_pipeline.workspace.storage import Workspace


def test_canonical_json_follows_rfc_8785():
    """Keys are sorted by UTF-16 code units and numbers are in their shortest form (RFC 8785, 3.2)."""
    assert canonical_json({"b": 1.0, "a": [1e30, 4.50, 2e-3]}) == b'{"a":[1e+30,4.5,0.002],"b":1}'


def test_key_ignores_the_order_of_fields():
    """Equal values have equal keys."""
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "y"},
        {"unit": "1"},
        {"request": {"seed": 2}},
        {"inputs": {"f": FileDigest(sha256="1" * 64, size_bytes=1)}},
        {"code_version": "1.0+1"},
    ],
)
def test_key_changes_with_every_part(changed):
    """Another stage, unit, request or input byte is other work."""
    inputs = {"f": FileDigest(sha256="0" * 64, size_bytes=1)}
    base = {"stage": "x", "unit": "", "request": {"seed": 1}, "inputs": inputs, "code_version": "1.0+0"}
    assert commit_key(**base) != commit_key(**{**base, **changed})


@pytest.fixture
def other_mujoco(tmp_path, monkeypatch):
    """A process where another release of MuJoCo is installed."""
    info = tmp_path / "mujoco-99.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mujoco\nVersion: 99.0.0\n", encoding="utf-8")
    before = commit_key("x", "", {}, {}, "1+0")
    monkeypatch.syspath_prepend(tmp_path)
    package_versions.cache_clear()
    yield before
    package_versions.cache_clear()


def test_what_another_mujoco_did_is_not_found(other_mujoco):
    """The key and the record name the release that computes."""
    assert package_versions()["mujoco"] == "99.0.0"
    assert commit_key("x", "", {}, {}, "1+0") != other_mujoco


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITTEN = FileDigest(sha256="0" * 64, size_bytes=5)


@pytest.fixture
def kitchen(tmp_path):
    return Workspace(WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache")).scene("kitchen")


@pytest.fixture
def settled():
    """The record of a stage that wrote ``mjcf/scene.xml``."""
    return Commit(
        key="a" * 64,
        stage="settle_scene",
        unit="",
        scene_id="kitchen",
        request={},
        result={},
        inputs={},
        outputs={"mjcf/scene.xml": WRITTEN},
        code_version="1.0+0",
        packages={},
        image_digest=None,
        machine="local_laptop",
        started_at=NOON,
        finished_at=NOON,
        usage=Usage(wall_s=1.0, cpu_s=1.0, peak_memory_bytes=1, bytes_read=None, bytes_written=None),
    )


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(FileDigest(sha256="1" * 64, size_bytes=WRITTEN.size_bytes), id="other bytes, as many"),
        pytest.param(FileDigest(sha256="1" * 64, size_bytes=WRITTEN.size_bytes + 1), id="more bytes"),
    ],
)
def test_an_input_that_its_stage_did_not_write_so_is_refused(kitchen, settled, found):
    """Bytes count, not how many: one that was overwritten in place has its old size."""
    with pytest.raises(FileChanged, match=r"mjcf/scene\.xml") as refused:
        validate_inputs(kitchen, {"mjcf/scene.xml": found}, [settled])
    assert (refused.value.expected_sha256, refused.value.found_sha256) == (WRITTEN.sha256, found.sha256)


def test_an_input_as_recorded_or_from_outside_is_read(kitchen, settled):
    """What no stage wrote, e.g. a file of the scene as it was delivered, has nothing to be compared with."""
    outside = {"regen3d/scene.json": FileDigest(sha256="2" * 64, size_bytes=1)}
    validate_inputs(kitchen, {"mjcf/scene.xml": WRITTEN, **outside}, [settled])
