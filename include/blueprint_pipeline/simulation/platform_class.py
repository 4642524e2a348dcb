"""Which machines give the same states: named in recordings and certificates, and compared before bits are."""

import platform
from functools import cache
from importlib import metadata
from pathlib import Path

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.kit.libm_probe import describe_libm, libm_sha256

_CPUINFO = Path("/proc/cpuinfo")
_FEATURES = ("avx", "avx2", "fma", "avx512f")
"""MuJoCo's wheel needs the first; the libraries of mathematics choose by the others."""


class PlatformClass(FrozenModel):
    """Machines of one class give the same states, bit by bit, with the same simulator."""

    machine: str
    """``x86_64``, ``aarch64``, …: for which the simulator's library was compiled."""
    libm_sha256: str
    """What :func:`~blueprint_pipeline.kit.libm_probe.libm_sha256` found."""


class Platform(FrozenModel):
    """A machine, for people who look for the reason of a difference."""

    platform_class: PlatformClass
    libm: str
    cpu_features: tuple[str, ...]
    """Those of the CPU that count, as the kernel lists them; the process may have been told to do without some."""
    wheel: str
    """Version and tag of the simulator's wheel."""


@cache
def platform_class() -> PlatformClass:
    """Of this process."""
    return PlatformClass(machine=platform.machine(), libm_sha256=libm_sha256())


@cache
def describe_platform() -> Platform:
    """Of this process, with MuJoCo's wheel."""
    flags = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("flags")[2].partition("\n")[0] if _CPUINFO.is_file() else ""
    wheel = metadata.distribution("mujoco").read_text("WHEEL") or ""
    tag = next((line.removeprefix("Tag: ") for line in wheel.splitlines() if line.startswith("Tag: ")), "no tag")
    return Platform(
        platform_class=platform_class(),
        libm=describe_libm(),
        cpu_features=tuple(name for name in _FEATURES if name in flags.split()),
        wheel=f"mujoco {metadata.version('mujoco')} {tag}",
    )
