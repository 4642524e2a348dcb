"""OpenGL without a display, by the platform's name."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from blueprint_pipeline.simulation.mujoco.drawing import GlBackend


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
