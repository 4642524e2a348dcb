"""buildah and podman without a Docker engine: images of this checkout, built from a Debian that debootstrap makes.

Tests pull nothing from a registry of images; the base is Debian bookworm, as the Dockerfile's default is. Layers are kept in a cache
folder (``BPP_IMAGE_CACHE``, else below the user's cache), so that a second run builds what changed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shipping.conftest import ROOT
from tests.shipping.pip_index import configured_index

TOOLS = ("buildah", "podman", "runc", "debootstrap")
BASE = "localhost/debian-bookworm:test"
_NOT_STARTED, _STARTS = "sealing memfd copy: Device or resource busy", 3
"""buildah runs a copy of itself from memory, which the kernel does not seal while it looks at those pages; and how often it is started."""
CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Engine:
    """buildah and podman on a store of the tests' own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(CONTAINERS)
        self.store = ["--root", folder / "storage", "--runroot", folder / "run"]
        self.environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "BUILDAH_ISOLATION": "chroot"}
        # The quick driver where the disk can, the one that works everywhere elsewhere.
        self.environment["STORAGE_DRIVER"] = "overlay"
        if self._call("buildah", "info").returncode:
            self.environment["STORAGE_DRIVER"] = "vfs"

    def _call(self, tool, *arguments, cwd=None):
        command = [tool, *self.store, *arguments]
        return subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False)

    def buildah(self, *arguments, cwd=None):
        """Run buildah; its output. Where it could not start a step for the kernel's sake, it goes on from the layer before."""
        for _ in range(_STARTS):
            done = self._call("buildah", *arguments, cwd=cwd)
            if done.returncode == 0 or _NOT_STARTED not in done.stderr:
                break
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def podman(self, *arguments):
        """Run podman; the finished process."""
        return self._call("podman", "--cgroup-manager", "cgroupfs", *arguments)


def open_engine():
    """The engine of this machine; the test is skipped where images cannot be built."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no image can be built here: {', '.join(missing)} not installed (Debian: apt-get install {' '.join(TOOLS)})")
    if os.geteuid() != 0:
        pytest.skip("no image can be built here: that needs root")
    cache = os.environ.get("BPP_IMAGE_CACHE") or Path.home() / ".cache" / "blueprint-pipeline-images"
    return Engine(Path(cache))


def make_base(engine, folder):
    """Debian bookworm, as small as debootstrap makes it; once for all builds."""
    if not engine.buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        root = folder / "debian"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, capture_output=True)
        container = engine.buildah("from", "scratch")
        shutil.rmtree(root / "dev")
        (root / "dev").mkdir()
        engine.buildah("add", "--quiet", container, root, "/")
        engine.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)
    return BASE


def build_image(engine, target, folder, **arguments):
    """A target of the Dockerfile, built from this checkout; its name."""
    name = f"localhost/blueprint-pipeline:{target}"
    chosen = {"BASE_IMAGE": make_base(engine, folder), **arguments}
    options = ["--isolation", "chroot", "--format", "docker", "--layers", "--target", target]
    options += [word for key, value in chosen.items() for word in ("--build-arg", f"{key}={value}")]
    engine.buildah("bud", *options, *configured_index(folder), "--tag", name, ".", cwd=ROOT)
    return name


def run_hardened(engine, image, *arguments, user, entrypoint=None, options=()):
    """Run a command of an image as production does: read-only, without a capability, without a network, as the image's user."""
    hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none", "--user", user]
    start = ["--entrypoint", entrypoint] if entrypoint else []
    return engine.podman("run", "--rm", *hardened, *options, *start, image, *arguments)
