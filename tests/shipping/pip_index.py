"""Where this machine's pip finds packages, as secrets and mounts of an image build; nothing of it gets into an image."""

import ast
import os
import subprocess
import sys
from pathlib import Path

WHERE = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
"""Settings that say where packages come from and how to get there. All others (constraints, targets, caches, hash modes …) are the host's
own affair: they name files that the build does not have, or change what is installed."""
ALL_FILES = {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}
"""``pip config`` shows one file alone where an option of these names is set, and machines set ``user`` for ``pip install``."""
SECTIONS = ("global.", "install.", ":env:.")
"""Weakest first, as ``pip install`` reads them."""
CA_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"


def index_settings(environment):
    """What ``pip install`` is configured with on this machine, by name."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment | ALL_FILES).stdout
    configured = dict(line.partition("=")[::2] for line in listed.splitlines())
    found = {}
    for section in SECTIONS:
        for key, literal in configured.items():
            if key.startswith(section):
                # pip prints Python literals; lists of URLs may stand on several lines.
                found[key.removeprefix(section)] = " ".join(ast.literal_eval(literal).split())
    return found


def _mounted_word(name, word):
    """A word of a setting as it reads inside the build, and the folder or file that it needs there."""
    path = Path(word.removeprefix("file://"))
    if not path.exists() or (name != "find-links" and not path.is_absolute()):
        return word, None
    path = path.absolute()
    # An index of files links into folders beside it, unless it stands at the root.
    beside = name != "find-links" and path.parent.parent != Path("/")
    inside = f"file://{path}" if word.startswith("file://") else str(path)
    return inside, path.parent if beside else path


def configured_index(folder, environment=None):
    """Options of ``buildah bud`` that let the build find packages where this machine does.

    Args:
        folder: Gets the ``pip.conf`` that is handed over.
        environment: In which pip is asked; this process's unless given.
    """
    settings = index_settings(dict(os.environ) if environment is None else environment)
    lines, options = ["[global]"], []
    if "cert" in settings:
        options += ["--secret", f"id=ca,src={settings['cert']}"]
        lines.append(f"cert = {CA_IN_IMAGE}")
    mounts = {}
    for name in sorted(settings.keys() & set(WHERE)):
        words = [_mounted_word(name, word) for word in settings[name].split()]
        lines.append(f"{name} = {' '.join(inside for inside, _ in words)}")
        mounts |= {f"{tree}:{tree}:ro": None for _, tree in words if tree}
    for mount in mounts:
        options += ["--volume", mount]
    conf = folder / "pip.conf"
    conf.write_text("\n".join(lines) + "\n")
    return [*options, "--secret", f"id=pip,src={conf}"]
