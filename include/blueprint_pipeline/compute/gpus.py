"""Which GPUs can draw with Isaac Sim, and which driver each version of it wants: ``config/gpus.yaml``, read and asked."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.errors import ConfigurationError, MissingPartError
from blueprint_pipeline.frozen import FrozenModel

GPUS_FILE = "gpus.yaml"
DriverVersion = tuple[int, ...]


class IsaacVersionUnknown(ConfigurationError):
    """No driver minimum is on record for this version of Isaac Sim."""

    code = "compute.isaac_version_unknown"
    template = "No minimum driver is on record for Isaac Sim {version}; there are rows for {known}. Add one to {table}."

    version: str
    known: list[str]
    table: str


class GpuUnknown(MissingPartError):
    """It is not known whether this GPU has ray-tracing cores."""

    code = "compute.gpu_unknown"
    template = (
        "{gpu} (compute capability {compute_capability}) is in no row of {table}, so it is not known whether it has "
        "RT cores. If NVIDIA's data sheet says so, add a row with that source; or run on an L4, L40S or RTX PRO 6000."
    )

    gpu: str
    compute_capability: str
    table: str


class GpuBelowMinimum(MissingPartError):
    """The GPU has ray-tracing cores, but is weaker than Isaac Sim's published minimum."""

    code = "compute.gpu_below_minimum"
    template = "{gpu} is below Isaac Sim's minimum: {found}, wanted {wanted} ({source}). Run on an L4, L40S or RTX PRO 6000."

    gpu: str
    found: str
    wanted: str
    source: str


class GpuWithoutRtCores(MissingPartError):
    """The GPU has no ray-tracing cores: Isaac Sim would draw black frames, or lose the device."""

    code = "compute.gpu_without_rt_cores"
    template = (
        "{gpu} has no RT cores, and Isaac Sim draws with them ({source}). Run on a GPU that has them: L4, L40S, RTX "
        "PRO 6000 (GKE: nvidia-l4, nvidia-rtx-pro-6000)."
    )

    gpu: str
    source: str


class GpuTableInvalid(ConfigFileInvalid):
    """include/config/gpus.yaml cannot be used."""

    code = "compute.gpu_table_invalid"


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"'{value}' is no regular expression: {error}") from error
    return value


class IsaacVersion(FrozenModel):
    """What one version of Isaac Sim wants of the machine."""

    version: str = Field(pattern=r"^\d+\.\d+$")
    minimum_driver: str = Field(pattern=r"^\d+(\.\d+)+$")
    python: str
    source: str


class GpuRow(FrozenModel):
    """What is known of the GPUs whose name matches."""

    name: Annotated[str, AfterValidator(_pattern)]
    verdict: Literal["listed", "works_unlisted", "below_minimum", "no_rt_cores"]
    source: str


class CapabilityRow(FrozenModel):
    """What is known of a generation."""

    capability: str
    rt_cores: bool
    source: str


class GpuTable(FrozenModel):
    """``config/gpus.yaml``."""

    schema_version: Literal["1.0"]
    version: str
    minimum_memory_mib: int
    minimum_memory_source: str
    isaac_sim: tuple[IsaacVersion, ...]
    gpus: tuple[GpuRow, ...]
    compute_capabilities: tuple[CapabilityRow, ...]

    def isaac_version(self, version: str) -> IsaacVersion:
        """The row of a version such as ``5.1.0-rc.19+release``.

        Raises:
            IsaacVersionUnknown: There is no row for its first two numbers.
        """
        wanted = ".".join(version.split(".")[:2])
        for row in self.isaac_sim:
            if row.version == wanted:
                return row
        raise IsaacVersionUnknown(version, [row.version for row in self.isaac_sim], GPUS_FILE)


class Gpu(FrozenModel):
    """One GPU as the driver reports it."""

    name: str
    uuid: str
    driver_version: str
    memory_mib: int
    compute_capability: str


@cache
def load_gpu_table() -> GpuTable:
    """Read the table that ships with the package, or that a deployment mounts over it."""
    return parse_gpu_table(CONFIG_FOLDER / GPUS_FILE)


def parse_gpu_table(path: Path) -> GpuTable:
    """Read such a table.

    Raises:
        GpuTableInvalid: The file is missing or not in its format, or the pattern of a name is none.
    """
    return load_config(path, GpuTable, GpuTableInvalid)


def parse_driver_version(version: str) -> DriverVersion:
    """``580.65.06`` as numbers that compare."""
    return tuple(int(part) for part in version.split("."))


def check_rt_cores(gpu: Gpu, table: GpuTable) -> str | None:
    """Whether Isaac Sim can draw with a GPU.

    Returns:
        A warning where it is expected to work and NVIDIA's list does not name it; ``None`` where it is listed.

    Raises:
        GpuWithoutRtCores: It has none.
        GpuBelowMinimum: It is weaker than the published minimum.
        GpuUnknown: Neither its name nor its generation is in the table.
    """
    row = next((row for row in table.gpus if re.search(row.name, gpu.name)), None)
    if row is None:
        warning: str | None = _check_generation(gpu, table)
    elif row.verdict == "no_rt_cores":
        raise GpuWithoutRtCores(gpu.name, row.source)
    elif row.verdict == "below_minimum":
        raise GpuBelowMinimum(gpu.name, f"a {gpu.name}", "the published minimum", row.source)
    else:
        warning = None if row.verdict == "listed" else f"{gpu.name} is not in NVIDIA's list of tested GPUs ({row.source})"
    if gpu.memory_mib < table.minimum_memory_mib:
        raise GpuBelowMinimum(gpu.name, f"{gpu.memory_mib} MiB", f"{table.minimum_memory_mib} MiB", table.minimum_memory_source)
    return warning


def _check_generation(gpu: Gpu, table: GpuTable) -> str:
    row = next((row for row in table.compute_capabilities if row.capability == gpu.compute_capability), None)
    if row is None:
        raise GpuUnknown(gpu.name, gpu.compute_capability, GPUS_FILE)
    if not row.rt_cores:
        raise GpuWithoutRtCores(gpu.name, row.source)
    return f"{gpu.name} is in no row of {GPUS_FILE}; its generation ({gpu.compute_capability}) has RT cores ({row.source})"
