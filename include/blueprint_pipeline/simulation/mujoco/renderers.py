"""Ways to draw without a display: which of them works on this machine, found out by drawing a frame."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

import mujoco

from blueprint_pipeline.errors import MissingPartError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.settings import environment_of_child
from blueprint_pipeline.simulation.mujoco.drawing import FrameRenderer, RenderBackend
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile

_PROBE_TIMEOUT_S = {"warp": 300.0}
"""Where it is not a minute: the ray tracer compiles its kernels first."""
_USUAL_TIMEOUT_S = 60.0
_PROBE_PIXEL = 16


RAY_TRACER = ("mujoco-warp", "warp-lang")
"""Distributions that draw with backend ``warp``."""


class RendererMissing(MissingPartError):
    """No way to draw was found on this machine."""

    code = "simulation.renderer_missing"

    template = (
        "No renderer works here ({tried:; }). Install EGL (Debian: libegl1 libgl1-mesa-dri) or OSMesa (libosmesa6); without "
        "OpenGL, the ray tracer (uv pip install --require-hashes --no-deps -r requirements-raytracer.txt); or set "
        "BPP__RENDER__BACKEND to one that this machine has."
    )

    tried: Mapping[str, str]
    """Why each renderer does not work, by name."""


def make_renderer(model: mujoco.MjModel, width: int, height: int, backend: RenderBackend, profile: RenderProfile = FAST) -> FrameRenderer:
    """The renderer of a backend that works here (see :func:`choose_backend`), drawing as a profile says.

    The model's lights are to be those of the profile (:func:`~blueprint_pipeline.simulation.mujoco.drawing.apply_lights`).
    """
    if backend == "warp":
        from blueprint_pipeline.simulation.mujoco.raytracer import RayTracer  # noqa: PLC0415 -- a machine may have the other one alone

        return RayTracer(model, width, height, profile)
    from blueprint_pipeline.simulation.mujoco.renderer import Renderer  # noqa: PLC0415 -- a machine may have the other one alone

    return Renderer(model, width, height, backend, profile)


def drawing_releases(backend: RenderBackend | None) -> dict[str, str]:
    """Releases of what draws beside MuJoCo itself, by name: the ray tracer's; what OpenGL draws with is the machine's own.

    They are part of the key of pictures, and of nothing else: a machine without the ray tracer finds all other work of one that has it.
    """
    return {name: version(name) for name in RAY_TRACER} if backend == "warp" else {}


@cache
def choose_backend(wanted: str) -> RenderBackend:
    """The first way to draw that works here, each tried in a process of its own (a broken driver may crash).

    Args:
        wanted: ``auto``, or one of the settings' backends.

    Raises:
        RendererMissing: None works; says what each one said.
    """
    order: tuple[RenderBackend, ...] = ("cgl", "warp") if sys.platform == "darwin" else ("egl", "osmesa", "warp")
    candidates = order if wanted == "auto" else (wanted,)
    tried: dict[str, str] = {}
    for candidate in candidates:
        reason = _probe(candidate)
        if reason is None:
            why = "the settings name it" if wanted != "auto" else "the first that drew a frame"
            get_logger().info("renderer chosen", backend=candidate, why=why, failed=tried)
            return candidate  # type: ignore[return-value]  # the settings allow no other names
        tried[candidate] = reason
    raise RendererMissing(tried)


def _probe(backend: str) -> str | None:
    """Draw a lit plane in a new process; why it failed, or ``None``."""
    if backend == "warp" and find_spec("mujoco_warp") is None:
        return "mujoco-warp is not installed: requirements-raytracer.txt"
    timeout_s = _PROBE_TIMEOUT_S.get(backend, _USUAL_TIMEOUT_S)
    command = [sys.executable, "-m", "blueprint_pipeline.simulation.mujoco.renderers", backend]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout_s,
            check=False,
            env=environment_of_child({"LP_NUM_THREADS": "1"}),
        )
    except subprocess.TimeoutExpired:
        return f"drew nothing within {timeout_s:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1][:300] if lines else f"ended with status {done.returncode}"


def _draw_probe(backend: RenderBackend) -> None:
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><visual><headlight ambient='1 1 1'/></visual><worldbody><camera name='c' pos='0 0 1'/>"
        "<geom type='plane' size='9 9 1' rgba='1 1 1 1'/></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, _PROBE_PIXEL, _PROBE_PIXEL, backend)
    renderer.look(data, 0)
    drawn = renderer.draw().any()
    renderer.close()
    if not drawn:
        raise SystemExit(f"{backend} drew a black frame of a white plane")


if __name__ == "__main__":
    _draw_probe(sys.argv[1])  # type: ignore[arg-type]  # called by _probe with a name that it checked
