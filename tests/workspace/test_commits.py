"""The key of work covers what matters and not the time."""

import pytest

from blueprint_pipeline.workspace.canonical import canonical_json, key_of
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import commit_key, package_versions


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
