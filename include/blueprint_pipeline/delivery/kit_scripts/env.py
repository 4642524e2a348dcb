"""The environment of this folder, in the layout of LeRobot's EnvHub: a repository with ``env.py``, which has ``make_env``.

A policy is tried as ``lerobot-eval`` does, or by hand:

    envs = make_env(n_envs=4)                     # {scene: {0: vector environment of one skill, …}}
    env = load_kit_env()                          # one gymnasium.Env; see blueprint_kit/env.py

Needs gymnasium, mujoco (the version in kit.json) and numpy. Without a screen: MUJOCO_GL=egl or osmesa. EnvHub fetches this file alone:
fetch the whole repository first (``hf download USER/REPO``), and it finds the rest beside it.

Source: LeRobot's documentation, "Loading Environments from the Hub": ``make_env(n_envs: int = 1, use_async_envs: bool = False)``.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = Path(__file__).absolute().parent  # not resolved: in the Hub's cache each file is a link to a blob


def make_env(n_envs: int = 1, use_async_envs: bool = False, cfg: Any = None) -> dict[str, dict[int, Any]]:  # noqa: ARG001 -- LeRobot's signature
    """Vector environments by suite and task, from the held-out starts."""
    made: dict[str, dict[int, Any]] = _load("env").make_env(_HERE, n_envs, use_async_envs=use_async_envs)
    return made


def load_kit_env(**options: Any) -> Any:
    """One environment, with the options of ``blueprint_kit.env.KitEnv``."""
    return _load("env").KitEnv(_HERE, **options)


def _load(name: str) -> ModuleType:
    """A module of ``blueprint_kit``, wherever this file was loaded from, and without a trace in the folder."""
    package = "blueprint_kit"
    init = _HERE / package / "__init__.py"
    if not init.is_file():
        raise FileNotFoundError(f"{init} is missing: fetch the whole repository, not this file alone (hf download USER/REPO)")
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        if package not in sys.modules:
            spec = importlib.util.spec_from_file_location(package, init, submodule_search_locations=[str(init.parent)])
            if spec is None or spec.loader is None:
                raise ImportError(f"{init} cannot be imported")
            sys.modules[package] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[package])
        elif (loaded := sys.modules[package].__file__) != str(init):
            raise ImportError(f"the kit {loaded} is open in this process: open {init} in another one, so that each runs its own code")
        return importlib.import_module(f"{package}.{name}")
    finally:
        sys.dont_write_bytecode = writes
