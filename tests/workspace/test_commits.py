"""The key of work covers what matters and not the time."""

import pytest

from blueprint.workspace.canonical import canonical_json, key_of
from blueprint.workspace.checksums import FileDigest
from blueprint.workspace.commits import code_version, commit_key


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
    ],
)
def test_key_changes_with_every_part(changed):
    """Another stage, unit, request or input byte is other work."""
    base = {"stage": "x", "unit": "", "request": {"seed": 1}, "inputs": {"f": FileDigest(sha256="0" * 64, size_bytes=1)}}
    assert commit_key(**base) != commit_key(**{**base, **changed})


def test_code_version_names_the_release():
    """The version is readable, and carries the hash of the code."""
    version, _, digest = code_version().partition("+")
    assert version[0].isdigit()
    assert len(digest) == 16
