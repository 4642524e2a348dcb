"""What a room that computes imports is part of the key of its work, or it is named here why it need not be."""

import ast
import sys
from importlib.metadata import packages_distributions

from architecture.rooms import FOLDER, PACKAGE, ROOMS, modules
from blueprint_pipeline.workspace.commits import COMPUTING_PACKAGES

COMPUTING_ROOMS = set(ROOMS) - {"workspace", "registry", "price", "stage", "compute", "licence", "cost", "delivery", "policy"}
"""All but those that keep, plan, pay for, hand over and try what the others made."""
_WIRE = "carries requests to a simulator and what it answers; changes neither"
_BESIDE = "in the key of pictures where it draws: blueprint_pipeline.simulation.mujoco.renderers.drawing_releases"
_ISAAC = "its release is known once it is up; each episode records it, and a certificate of another one fails its gate"
_CERTIFIES = "stands in the environment that certifies datasets; the certificate names its release"
DECIDES_NOTHING = {
    "cryptography": _WIRE,
    "google": _WIRE,
    "grpc": _WIRE,
    "grpc_health": _WIRE,
    "grpc_reflection": _WIRE,
    "jwt": _WIRE,
    "purgatory": _WIRE,
    "datasets": _CERTIFIES,
    "lerobot": _CERTIFIES,
    "mlcroissant": _CERTIFIES,
    "robomimic": _CERTIFIES,
    "torch": _CERTIFIES,
    "torchcodec": _CERTIFIES,
    "mujoco_warp": _BESIDE,
    "warp": _BESIDE,
    "carb": _ISAAC,
    "isaacsim": _ISAAC,
    "omni": _ISAAC,
    "gymnasium": "how a lab steps a kit; no stage does",
    "pydantic": "refuses what does not fit a record; what fits is left as it is",
    "upath": "opens files; their bytes are whole or the stage fails",
}
"""Third-party packages whose release decides neither what a stage computes nor which bytes it writes, and why not."""


def imported():
    """Third-party packages that a computing room imports, inside of functions too, and by their names as text."""
    found = set()
    for path in modules():
        if path.relative_to(FOLDER).parts[0] in COMPUTING_ROOMS:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
                elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                    found |= {text.value.partition(".")[0] for text in ast.walk(node.args[0]) if isinstance(text, ast.Constant)}
    return found - sys.stdlib_module_names - {PACKAGE}


def distributions_of(package):
    """In the spelling of COMPUTING_PACKAGES; a package that lists no files of its own is named as it is imported."""
    return {name.lower().replace("_", "-") for name in packages_distributions().get(package, [package])}


def test_every_package_that_computes_is_in_the_key_of_what_it_computed():
    """Another release of one of them never finds what this one did."""
    unnamed = {name for name in imported() - set(DECIDES_NOTHING) if not distributions_of(name) & set(COMPUTING_PACKAGES)}
    assert unnamed == set()


def test_exceptions_are_imported_and_do_not_compute():
    """An exception that nothing needs, or that is in the key as well, would hide the next one of that name."""
    assert set(DECIDES_NOTHING) - imported() == set()
    assert {name for name in DECIDES_NOTHING if distributions_of(name) & set(COMPUTING_PACKAGES)} == set()
