"""Public files of other writers (``tests/resources/meshes/ATTRIBUTION.md``): read, or refused by the extension's name."""

import numpy as np
import pytest

from blueprint_pipeline.scene.gltf import read_glb
from blueprint_pipeline.scene.mesh_errors import MeshUnsupported
from blueprint_pipeline.scene.surfaces import merge_positions
from tests.scene.scene_files import RESOURCES

MESHES = RESOURCES / "meshes"


def read(name):
    return read_glb((MESHES / name).read_bytes(), "thing", name)


def test_vertex_colors_of_gltf_transform():
    """A box whose corners have colours of their own."""
    (surface,) = read("BoxVertexColors.glb").surfaces
    assert len(np.unique(surface.colors.round(2), axis=0)) >= 5


def test_uniform_vertex_colors_of_blender():
    """All alike: a plain colour, in place of the white of a missing material."""
    (surface,) = read("cubevc.glb").surfaces
    assert surface.colors is None
    assert surface.look.base_color == (1.0, 0.0, 1.0, 1.0)


def test_draco_and_quantization_of_gltf_transform():
    """A closed sphere; its node scales the quantized positions back."""
    content = read("DenseSphere.glb")
    mesh = merge_positions(content.surfaces)
    assert content.losses == ()
    assert mesh.is_watertight
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(np.full(3, 1.86), abs=0.02)


def test_meshopt_is_refused_by_name():
    """It is required."""
    with pytest.raises(MeshUnsupported, match="EXT_meshopt_compression"):
        read("BoxMeshopt.glb")
