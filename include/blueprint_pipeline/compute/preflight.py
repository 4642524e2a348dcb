"""Is this machine fit for the work, before the work starts: a typed error now instead of black frames an hour later.

What a simulator can do is asked afterwards, of the simulator itself (``bpp simulator check``).
"""

import shutil
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.compute.gpus import Gpu, GpuTable, check_rt_cores, load_gpu_table, parse_driver_version
from blueprint_pipeline.compute.nvidia_driver import NoGpu, find_gpus, find_vulkan_device
from blueprint_pipeline.errors import MissingPartError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.settings import environment_of_child, load_settings

ISAAC_FOLDER = Path("/isaac-sim")
DEFAULT_ISAAC_VERSION = "5.1"
"""Whose minimum counts where no Isaac Sim is installed."""
GIB = 1024**3
PLANNER = {"mujoco": "mujoco", "mink": "mink", "ompl": "ompl.base", "toppra": "toppra"}
"""Distribution and module of what plans: kinematics and collision, inverse kinematics, paths, timing."""


class PlannerMissing(MissingPartError):
    """A library that plans motions does not load."""

    code = "compute.planner_missing"
    template = (
        "The planner's module {module} does not load: {reason}. Install the locked requirements (requirements-job.txt) for this Python."
    )

    module: str
    reason: str


class DiskTooSmall(MissingPartError):
    """There is not enough free space for shaders, caches and episodes."""

    code = "compute.disk_too_small"
    template = (
        "{path} has {free_gib:.1f} GiB free; {minimum_gib:.1f} GiB are needed. Give the pod more ephemeral storage, or mount a "
        "volume there."
    )

    path: str
    free_bytes: int
    minimum_bytes: int

    @property
    def free_gib(self) -> float:
        """Free space in [GiB]."""
        return self.free_bytes / 1024**3

    @property
    def minimum_gib(self) -> float:
        """Space needed in [GiB]."""
        return self.minimum_bytes / 1024**3


class DriverTooOld(MissingPartError):
    """The driver is older than Isaac Sim's published minimum."""

    code = "compute.driver_too_old"
    template = (
        "The NVIDIA driver is {found}; Isaac Sim {isaac_version} wants at least {minimum} ({source}). Take a node "
        "image with a newer driver (GKE: gpu-driver-version=latest), or an older Isaac Sim."
    )

    found: str
    minimum: str
    isaac_version: str
    source: str


class PreflightFinding(BaseModel):
    """One part of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Literal["gpu", "driver", "rt_cores", "vulkan", "disk", "image", "planner"]
    state: Literal["ok", "warning", "not_needed"]
    found: str


class PreflightReport(BaseModel):
    """What was found on a machine that is fit; a machine that is not ends in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"
    needs_rt_cores: bool
    isaac_version: str | None
    """Whose driver minimum was asked for; ``None`` where none is needed."""
    gpus: tuple[Gpu, ...]
    findings: tuple[PreflightFinding, ...]
    table_version: str
    """Of ``config/gpus.yaml``."""

    @property
    def gpu_name(self) -> str | None:
        """The first GPU, ``None`` without one."""
        return self.gpus[0].name if self.gpus else None


def run_preflight(
    *, needs_rt_cores: bool, minimum_disk_bytes: int, isaac_version: str | None = None, folder: Path = Path()
) -> PreflightReport:
    """Check GPU, driver, RT cores, Vulkan, disk, image and planner, in that order; the first that fails raises.

    Args:
        needs_rt_cores: Whether Isaac Sim will draw here. Without it a GPU is reported where there is one, and asked nothing.
        minimum_disk_bytes: Free space that the work wants in ``folder``.
        isaac_version: Whose driver minimum counts; that of the installed Isaac Sim if not given.
        folder: Where the work writes.

    Raises:
        NoGpu: None is seen.
        DriverTooOld: Older than the version of Isaac Sim wants.
        IsaacVersionUnknown: No minimum is on record for it.
        GpuWithoutRtCores: An A100, H100, H200, B200 or the like.
        GpuBelowMinimum: A T4, or too little memory.
        GpuUnknown: Neither its name nor its generation is on record.
        NoVulkanDevice: Nothing would be drawn.
        DiskTooSmall: Less is free than was asked for.
        PlannerMissing: A planning library does not load.
    """
    environment = environment_of_child({})
    table = load_gpu_table()
    version = (isaac_version or installed_isaac_version() or DEFAULT_ISAAC_VERSION) if needs_rt_cores else None
    if version is None:
        gpus, findings = _gpus_if_any(environment)
    else:
        gpus, findings = _fit_gpus(environment, table, version)
    findings += [_disk(folder, minimum_disk_bytes), _image(), *_planner()]
    for finding in findings:
        get_logger().info("preflight", **finding.model_dump())
    return PreflightReport(
        needs_rt_cores=needs_rt_cores, isaac_version=version, gpus=gpus, findings=tuple(findings), table_version=table.version
    )


def installed_isaac_version(folder: Path = ISAAC_FOLDER) -> str | None:
    """Version of the Isaac Sim of this image, by its own ``VERSION`` file; ``None`` where there is none."""
    path = folder / "VERSION"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _gpus_if_any(environment: Mapping[str, str]) -> tuple[tuple[Gpu, ...], list[PreflightFinding]]:
    try:
        gpus = find_gpus(environment)
    except NoGpu as error:
        return (), [PreflightFinding(part="gpu", state="not_needed", found=str(error.facts["reason"]))]
    return gpus, [PreflightFinding(part="gpu", state="not_needed", found=", ".join(gpu.name for gpu in gpus))]


def _fit_gpus(environment: Mapping[str, str], table: GpuTable, version: str) -> tuple[tuple[Gpu, ...], list[PreflightFinding]]:
    gpus = find_gpus(environment)
    findings = [PreflightFinding(part="gpu", state="ok", found=f"{gpu.name}, {gpu.memory_mib} MiB, {gpu.uuid}") for gpu in gpus]
    for gpu in gpus:
        warning = check_rt_cores(gpu, table)
        told = PreflightFinding(part="rt_cores", state="ok", found=f"{gpu.name} has them")
        findings.append(told if warning is None else PreflightFinding(part="rt_cores", state="warning", found=warning))
    wanted = table.isaac_version(version)
    driver = gpus[0].driver_version
    if parse_driver_version(driver) < parse_driver_version(wanted.minimum_driver):
        raise DriverTooOld(driver, wanted.minimum_driver, version, wanted.source)
    findings.append(
        PreflightFinding(part="driver", state="ok", found=f"{driver}, Isaac Sim {wanted.version} wants {wanted.minimum_driver}")
    )
    findings.append(PreflightFinding(part="vulkan", state="ok", found=find_vulkan_device(environment)))
    return gpus, findings


def _disk(folder: Path, minimum_bytes: int) -> PreflightFinding:
    free = shutil.disk_usage(folder).free
    if free < minimum_bytes:
        raise DiskTooSmall(str(folder.resolve()), free, minimum_bytes)
    return PreflightFinding(part="disk", state="ok", found=f"{free / GIB:.1f} GiB free of {minimum_bytes / GIB:.1f} GiB wanted")


def _image() -> PreflightFinding:
    digest = load_settings().compute.image_digest
    if digest is None:
        return PreflightFinding(part="image", state="warning", found="no digest (BPP__COMPUTE__IMAGE_DIGEST): commits will name no image")
    return PreflightFinding(part="image", state="ok", found=digest)


def _planner() -> list[PreflightFinding]:
    findings = []
    for distribution, module in PLANNER.items():
        try:
            import_module(module)
            version = metadata.version(distribution)
        except (ImportError, OSError, AttributeError) as error:
            raise PlannerMissing(module, str(error)) from error
        findings.append(PreflightFinding(part="planner", state="ok", found=f"{distribution} {version}"))
    return findings
