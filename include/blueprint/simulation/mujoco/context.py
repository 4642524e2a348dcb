"""OpenGL contexts without a display: which of them works on this machine, found out by drawing a frame."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Literal, Protocol

from blueprint.settings import environment_of_child
from blueprint.simulation.errors import RendererMissing

GlBackend = Literal["egl", "osmesa", "cgl"]
_PROBE_TIMEOUT_S = 60.0
_PROBE_PIXEL = 16


class GlContext(Protocol):
    """What the contexts of ``mujoco.egl``, ``mujoco.osmesa`` and ``mujoco.cgl`` have in common."""

    def make_current(self) -> None: ...

    def free(self) -> None: ...


def make_context(backend: GlBackend, width: int, height: int) -> GlContext:
    """A current OpenGL context of the named kind.

    Mesa's software rasteriser is held to one thread: a worker has one core. ``putenv``, because Mesa reads the
    environment when its first context is made.
    """
    os.putenv("LP_NUM_THREADS", "1")
    context = _context_class(backend)(width, height)
    context.make_current()
    return context


def _context_class(backend: GlBackend) -> Callable[[int, int], GlContext]:
    # Imported by name: loading one platform shuts out the others.
    context_class: Callable[[int, int], GlContext] = import_module(f"mujoco.{backend}").GLContext
    return context_class


@cache
def choose_backend(wanted: str) -> GlBackend:
    """The first way to draw that works here, each tried in a process of its own (a broken driver may crash).

    Args:
        wanted: ``auto``, or one of the settings' backends.

    Raises:
        RendererMissing: None works; says what each one said.
    """
    order: tuple[GlBackend, ...] = ("cgl",) if sys.platform == "darwin" else ("egl", "osmesa")
    candidates = order if wanted == "auto" else (wanted,)
    tried: dict[str, str] = {}
    for candidate in candidates:
        reason = _probe(candidate)
        if reason is None:
            return candidate  # type: ignore[return-value]  # the settings allow no other names
        tried[candidate] = reason
    raise RendererMissing(tried)


def _probe(backend: str) -> str | None:
    """Draw a lit plane in a new process; why it failed, or ``None``."""
    if backend not in {"egl", "osmesa", "cgl"}:
        return "this version draws with OpenGL alone"
    command = [sys.executable, "-m", "blueprint.simulation.mujoco.context", backend]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and module
            command,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            env=environment_of_child({"LP_NUM_THREADS": "1"}),
        )
    except subprocess.TimeoutExpired:
        return f"drew nothing within {_PROBE_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1][:300] if lines else f"ended with status {done.returncode}"


def _draw_probe(backend: GlBackend) -> None:
    import mujoco  # noqa: PLC0415 -- only the probe draws here
    import numpy as np  # noqa: PLC0415

    model = mujoco.MjModel.from_xml_string(
        "<mujoco><visual><headlight ambient='1 1 1'/></visual><worldbody><camera name='c' pos='0 0 1'/>"
        "<geom type='plane' size='9 9 1' rgba='1 1 1 1'/></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    context = make_context(backend, _PROBE_PIXEL, _PROBE_PIXEL)
    drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, drawing)
    scene = mujoco.MjvScene(model, 10)
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
    camera.fixedcamid = 0
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, scene)
    image = np.zeros((_PROBE_PIXEL, _PROBE_PIXEL, 3), dtype=np.uint8)
    rectangle = mujoco.MjrRect(0, 0, _PROBE_PIXEL, _PROBE_PIXEL)
    mujoco.mjr_render(rectangle, scene, drawing)
    mujoco.mjr_readPixels(image, None, rectangle, drawing)
    drawing.free()
    context.free()
    if not image.any():
        raise SystemExit(f"{backend} drew a black frame of a white plane")


if __name__ == "__main__":
    _draw_probe(sys.argv[1])  # type: ignore[arg-type]  # called by _probe with a name that it checked
