"""A stage's code is what its module imports: a change there makes new work, a change elsewhere does not."""

import ast
import gc
import os
import subprocess
import sys

import pytest

from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.render.stages import RenderShardRequest
from blueprint_pipeline.rollout.stages import SimulateShardRequest
from blueprint_pipeline.stage.code import FOLDER, CodeIndex
from blueprint_pipeline.stage.flow import STAGES, load_stage

FILES = {
    "__init__.py": "",
    "stages.py": "def run():\n    from blueprint_pipeline.deep import near  # not before it runs\n",
    "deep/__init__.py": "",
    "deep/near.py": "import blueprint_pipeline.far\nLAZY = 'blueprint_pipeline.named'\n",
    "deep/table.yaml": "a: 1",
    "deep/models/arm/arm.xml": "<arm/>",
    "far.py": "",
    "named.py": "",
    "rows.py": "def load_code(place): ...",
    "tables.py": "ROWS = {'one': 'blueprint_pipeline.one:Writer', 'two': 'blueprint_pipeline.two:Writer'}",
    "loads.py": "from blueprint_pipeline.rows import load_code\nfrom blueprint_pipeline.tables import ROWS\n",
    "names.py": "from blueprint_pipeline.tables import ROWS\n",
    "one.py": "",
    "two.py": "",
    "kin/__init__.py": "from . import brother",
    "kin/brother.py": "from .sister import name",
    "kin/sister.py": "from ..loads import load_code",
    "other/__init__.py": "",
    "other/unused.py": "",
    "other/unused.yaml": "",
}


@pytest.fixture
def package(tmp_path):
    """A small package, and the version of its one stage as a new process sees it."""
    folder = tmp_path / "blueprint_pipeline"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def version():
        return CodeIndex(tmp_path / "cache/code.json", folder).version_of("blueprint_pipeline.stages")

    version.folder = folder
    return version


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("stages.py", True),
        ("deep/__init__.py", True),
        ("deep/near.py", True),
        ("far.py", True),
        ("named.py", True),
        ("deep/table.yaml", True),
        ("deep/models/arm/arm.xml", True),
        ("other/unused.py", False),
        ("other/unused.yaml", False),
    ],
)
def test_what_is_imported_counts_and_nothing_else(package, name, counts):
    """Imports inside of functions, modules that are named as text, and data beside the modules are part of the code."""
    before = package()
    assert package() == before
    path = package.folder / name
    stat = path.stat()
    path.write_text(path.read_text() + " ")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (package() != before) == counts


@pytest.mark.parametrize(
    ("module", "left_out", "loaded"),
    [("loads", (), {"one", "two"}), ("loads", ("blueprint_pipeline.two:Writer",), {"one"}), ("names", (), set())],
)
def test_what_rows_name_counts_for_who_loads_it(package, tmp_path, module, left_out, loaded):
    """A format's writer is code of the stage that writes the format, and not of one that only reads its name."""
    found = {path.stem for path in CodeIndex(tmp_path / "none.json", package.folder).closure(f"blueprint_pipeline.{module}", left_out)}
    assert found & {"one", "two"} == loaded


def test_relative_imports_count(package, tmp_path):
    """Of the package, of a module beside and of one above: a kit that stands alone is written with them."""
    found = {
        path.relative_to(package.folder).as_posix()
        for path in CodeIndex(tmp_path / "none.json", package.folder).closure("blueprint_pipeline.kin")
    }
    assert {"kin/__init__.py", "kin/brother.py", "kin/sister.py", "loads.py"} <= found


@pytest.mark.parametrize("text", ["{", "[]", '{"reader": "another", "files": {"%s": [[], "", []]}}'])
def test_a_cache_that_is_damaged_or_of_another_reader_is_read_anew(package, tmp_path, text):
    """It is a help, not a truth."""
    before = package()
    (tmp_path / "cache/code.json").write_text(text.replace("%s", str(package.folder / "stages.py")))
    assert package() == before


def test_who_parses_meanwhile_does_not_disturb_it(tmp_path):
    """A traceback that is formatted while the garbage is collected: CPython before 3.13 counts the depth of all trees in one place."""

    def format_traceback(phase, _info):
        if phase == "stop":
            ast.parse("1 + 1")

    thresholds = gc.get_threshold()
    gc.callbacks.append(format_traceback)
    gc.set_threshold(50)
    try:
        assert len(CodeIndex(tmp_path / "none.json").closure("blueprint_pipeline.scene.ingest")) > 1
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(format_traceback)


def closure(stage, request=None):
    left_out = load_stage(stage).leaves_out(request) if request else ()
    return {path.relative_to(FOLDER).as_posix() for path in CodeIndex(FOLDER / "none.json").closure(STAGES[stage].module, left_out)}


def test_delivery_does_not_simulate_anew_and_motion_does():
    """What makes episodes is keyed by planners and physics, not by what packs them."""
    found = closure("simulate_shard")
    assert "motion/plan.py" in found
    assert "robot/franka_panda/panda.xml" in found
    assert not [name for name in found if name.startswith(("delivery/", "dataset/", "cost/", "compute/", "cli/", "render/", "quality/"))]


@pytest.mark.parametrize(("stage", "request_of"), [("simulate_shard", SimulateShardRequest), ("render_shard", RenderShardRequest)])
@pytest.mark.parametrize(("simulator", "other"), [("mujoco", "isaac_sim"), ("isaac_sim", "mujoco")])
def test_the_simulator_that_acts_is_code_of_what_it_makes(stage, request_of, simulator, other):
    """An engine is loaded by its row: a change of it makes new work of its own episodes, and leaves those of another one."""
    found = closure(stage, request_of(scene_id="a", shard_index=0, simulator=simulator))
    assert f"simulation/{simulator}/engine.py" in found
    assert f"simulation/{other}/engine.py" not in found


@pytest.mark.parametrize("stage", ["write_dataset", "certify_dataset"])
def test_every_format_is_code_of_the_dataset(stage):
    """Writers and readers are loaded by their rows."""
    places = {place.partition(":")[0] for row in FORMATS.values() for place in (row.writer, row.reader)}
    assert {f"{place.removeprefix('blueprint_pipeline.').replace('.', '/')}.py" for place in places} <= closure(stage)


@pytest.mark.parametrize("stage", {row.module: name for name, row in STAGES.items()}.values())
def test_no_module_that_a_stage_loads_is_missing(stage):
    """Read from a process that loads the stage, beside what the source says."""
    code = f"from blueprint_pipeline.stage.flow import load_stage; load_stage({stage!r}); import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {
        name.removeprefix("blueprint_pipeline").lstrip(".").replace(".", "/") for name in loaded if name.startswith("blueprint_pipeline")
    }
    known = {name.removesuffix(".py").removesuffix("/__init__") for name in closure(stage)} | {"", "__init__", "stage/flow"}
    assert ours <= known
