"""One direction: dags -> operators -> plugins/providers -> include/blueprint_pipeline; and no Airflow in the domain."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("dags", "operators", "plugins", "blueprint_pipeline")
"""From left to right: each may import itself and what is right of it."""
HEAVY = {"mujoco", "pxr", "torch", "lerobot", "trimesh", "toppra", "av", "manifold3d", "numpy"}
ORM = {"airflow.models", "airflow.settings", "airflow.utils.session"}


def files_of(layer):
    folder = ROOT / "include" / "blueprint_pipeline" if layer == "blueprint_pipeline" else ROOT / layer
    return sorted(
        path for path in folder.rglob("*.py") if "__pycache__" not in path.parts and not path.stem.endswith(("_pb2", "_pb2_grpc"))
    )


def imports_of(path, *, module_level=False):
    """Names of imported modules; with ``module_level`` only those that run when the file is read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer):
    """Nothing imports what is left of it."""
    left = set(LAYERS[: LAYERS.index(layer)])
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files_of(layer) for name in imports_of(path) if name.split(".")[0] in left]
    assert wrong == []


def test_domain_knows_no_airflow():
    """`include/` is installed in job images, which have no Airflow."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in files_of("blueprint_pipeline")
        for name in imports_of(path)
        if name.split(".")[0] == "airflow"
    ]
    assert wrong == []


@pytest.mark.parametrize("layer", ["dags", "operators", "plugins"])
def test_heavy_libraries_are_not_imported_at_parse_time(layer):
    """The DAG processor reads these files again and again."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files_of(layer)
        for name in imports_of(path, module_level=True)
        if name.split(".")[0] in HEAVY
    ]
    assert wrong == []


@pytest.mark.parametrize("layer", ["dags", "operators", "plugins"])
def test_no_task_touches_the_orm(layer):
    """A worker of Airflow 3 refuses it at run time, a test run does not. What Airflow's own processes load stands apart."""
    files = [path for path in files_of(layer) if path.parent != ROOT / "plugins" / "scheduler"]
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imports_of(path) if name in ORM]
    assert wrong == []
