"""The bill of materials of each image: made from its lock, valid, and complete."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipping.conftest import ROOT
from tests.shipping.test_dockerfile import pins_of


def make_sbom(lock, output):
    """What `make sbom` runs."""
    tool = Path(sys.executable).parent / "cyclonedx-py"
    options = ["--validate", "--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", output]
    subprocess.run([tool, "requirements", ROOT / lock, *options], check=True, capture_output=True)
    return json.loads(output.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["requirements-job.txt", "requirements-airflow.txt"])
def test_every_locked_package_is_a_component_with_hashes(lock, tmp_path):
    """The bill names each package of the lock in its version, with the hashes that pip checks; made twice it is the same."""
    sbom = make_sbom(lock, tmp_path / "one.json")
    found = {component["name"]: component for component in sbom["components"]}
    pins = pins_of(lock)
    assert {name: component["version"] for name, component in found.items()} == pins
    for component in found.values():
        hashes = [value for reference in component.get("externalReferences", []) for value in reference.get("hashes", [])]
        assert hashes or component.get("hashes"), component["name"]
        assert component["purl"].startswith("pkg:pypi/")
    assert sbom["metadata"]["component"]["name"] == "blueprint-pipeline"
    make_sbom(lock, tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
