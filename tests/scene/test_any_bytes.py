"""Any bytes for any file of a scene end in a finding of ours or in a scene, soon."""

import json
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_pipeline.scene.checks import check_files
from blueprint_pipeline.scene.source_folder import SourceFolder
from tests.scene.scene_files import copy_scene

FILES = (
    "scene_info.json",
    "objects/can/pose.json",
    "objects/can/bounds.json",
    "objects/can/material.json",
    "objects/can/label.json",
    "objects/can/articulation.json",
    "camera/intrinsics.json",
    "camera/extrinsics.json",
    "ATTRIBUTION.md",
    "objects/can/mesh.glb",
    "background/mesh.glb",
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.sampled_from([0, -1, 1e-300, -0.0, 1e300, 1e8, 10**4000, "", "\ud800", "..", "NaN", "y_up", [], {}])
    | st.floats()
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
SLOW_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def changed(data, whole):
    """JSON with a few of its values replaced."""
    value = json.loads(whole)
    for _ in range(data.draw(st.integers(1, 2))):
        owner = value
        while owner:
            key = data.draw(st.sampled_from(sorted(owner) if isinstance(owner, dict) else range(len(owner))))
            if not isinstance(owner[key], dict | list):
                owner[key] = data.draw(LEAVES)
                break
            owner = owner[key]
    return json.dumps(value).encode()


def check(folder):
    """Findings, in bounded time and without a warning of numpy."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        findings, scene = check_files(SourceFolder(str(folder)))
    assert time.process_time() - began < 20
    assert all(finding.message and finding.code.startswith("scene.") for finding in findings)
    assert scene is not None or any(finding.blocking for finding in findings)
    return findings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy_scene("minimal_ok", tmp_path_factory.mktemp("any") / "source")


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(st.data())
def test_any_value_of_any_field_is_a_finding_or_a_scene(folder, data):
    """Numbers of 4 000 digits, of 1e300, words that are no Unicode."""
    path = folder / data.draw(st.sampled_from([file for file in FILES if file.endswith(".json") and (folder / file).is_file()]))
    whole = path.read_bytes()
    try:
        path.write_bytes(changed(data, whole))
        check(folder)
    finally:
        path.write_bytes(whole)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(st.sampled_from(FILES), st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_of_any_file_are_a_finding_or_a_scene(folder, file, data):
    """What is not JSON, not UTF-8, not a mesh."""
    path = folder / file
    whole = path.read_bytes() if path.is_file() else None
    try:
        path.write_bytes(data)
        check(folder)
    finally:
        path.unlink() if whole is None else path.write_bytes(whole)


@pytest.mark.parametrize("text", [b"[" * 900 + b"]" * 900, b'{"a":' * 990 + b"1" + b"}" * 990, b"9" * 5000, b'{"version": 1e999}'])
@pytest.mark.parametrize("file", ["scene_info.json", "objects/can/pose.json"])
def test_extreme_json_is_refused(small, file, text):
    """Deeper than a parser descends, longer than a number is."""
    (small / file).write_bytes(text)
    assert check(small)[0].where in {file, "can"}


def test_attribution_that_is_not_text_is_refused(small):
    """With the byte that is wrong."""
    (small / "ATTRIBUTION.md").write_bytes("Ramekin © A".encode("latin-1"))
    (finding,) = (item for item in check(small) if item.blocking)
    assert (finding.code, finding.where) == ("scene.file_unusable", "ATTRIBUTION.md")
    assert "byte 8" in finding.message


def test_json_of_a_size_that_no_scene_has_is_refused(small):
    """Before it is parsed."""
    (small / "scene_info.json").write_bytes(b" " * (17 * 1024 * 1024))
    assert check(small)[0].code == "scene.file_unusable"


def test_damaged_mesh_bytes_are_a_finding_or_a_scene(folder):
    """Bytes changed at random places of a mesh with a picture."""
    path = folder / "objects/can/mesh.glb"
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    try:
        for _ in range(30):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), size=3):
                data[place] = rng.integers(256)
            path.write_bytes(bytes(data))
            check(folder)
    finally:
        path.write_bytes(whole)
