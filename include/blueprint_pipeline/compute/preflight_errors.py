"""What a machine may lack that was given for work with a GPU. None of these is mended by a retry on the same kind of machine."""

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import ConfigurationError, MissingPartError


class GpuTableInvalid(ConfigFileInvalid):
    """include/config/gpus.yaml cannot be used."""

    code = "compute.gpu_table_invalid"


class NoGpu(MissingPartError):
    """The driver reports no GPU, or there is no driver."""

    code = "compute.no_gpu"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"No NVIDIA GPU was found: {reason}. Ask for one (nvidia.com/gpu: 1) on a node with its driver, and let the container "
            "see the driver's tools (NVIDIA_DRIVER_CAPABILITIES=all).",
            reason=reason,
        )


class GpuWithoutRtCores(MissingPartError):
    """The GPU has no ray-tracing cores: Isaac Sim would draw black frames, or lose the device."""

    code = "compute.gpu_without_rt_cores"

    def __init__(self, gpu: str, source: str) -> None:
        super().__init__(
            f"{gpu} has no RT cores, and Isaac Sim draws with them ({source}). "
            "Run on a GPU that has them: L4, L40S, RTX PRO 6000 (GKE: nvidia-l4, nvidia-rtx-pro-6000).",
            gpu=gpu,
            source=source,
        )


class GpuBelowMinimum(MissingPartError):
    """The GPU has ray-tracing cores, and is weaker than Isaac Sim's published minimum."""

    code = "compute.gpu_below_minimum"

    def __init__(self, gpu: str, found: str, wanted: str, source: str) -> None:
        super().__init__(
            f"{gpu} is below Isaac Sim's minimum: {found}, wanted {wanted} ({source}). Run on an L4, L40S or RTX PRO 6000.",
            gpu=gpu,
            found=found,
            wanted=wanted,
        )


class GpuUnknown(MissingPartError):
    """Nothing is known of whether this GPU has ray-tracing cores."""

    code = "compute.gpu_unknown"

    def __init__(self, gpu: str, compute_capability: str, table: str) -> None:
        super().__init__(
            f"{gpu} (compute capability {compute_capability}) is in no row of {table}, so it is not known whether it has RT cores. "
            "If NVIDIA's data sheet says so, add a row with that source; or run on an L4, L40S or RTX PRO 6000.",
            gpu=gpu,
            compute_capability=compute_capability,
            table=table,
        )


class DriverTooOld(MissingPartError):
    """The driver is older than Isaac Sim's published minimum."""

    code = "compute.driver_too_old"

    def __init__(self, found: str, minimum: str, isaac_version: str, source: str) -> None:
        super().__init__(
            f"The NVIDIA driver is {found}; Isaac Sim {isaac_version} wants at least {minimum} ({source}). "
            "Take a node image with a newer driver (GKE: gpu-driver-version=latest), or an older Isaac Sim.",
            found=found,
            minimum=minimum,
            isaac_version=isaac_version,
        )


class IsaacVersionUnknown(ConfigurationError):
    """No driver minimum is on record for this version of Isaac Sim."""

    code = "compute.isaac_version_unknown"

    def __init__(self, version: str, known: list[str], table: str) -> None:
        super().__init__(
            f"No minimum driver is on record for Isaac Sim {version}; there are rows for {', '.join(known)}. Add one to {table}.",
            version=version,
            known=known,
        )


class NoVulkanDevice(MissingPartError):
    """Vulkan finds no NVIDIA device: nothing would be drawn."""

    code = "compute.no_vulkan_device"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Vulkan has no NVIDIA device: {reason}. Set NVIDIA_DRIVER_CAPABILITIES=all on the container, and see that the driver's "
            "ICD file is mounted (GKE: /usr/local/nvidia/vulkan/icd.d to /etc/vulkan/icd.d).",
            reason=reason,
        )


class DiskTooSmall(MissingPartError):
    """There is not enough free space for shaders, caches and episodes."""

    code = "compute.disk_too_small"

    def __init__(self, path: str, free_bytes: int, minimum_bytes: int) -> None:
        super().__init__(
            f"{path} has {free_bytes / 1024**3:.1f} GiB free; {minimum_bytes / 1024**3:.1f} GiB are wanted. "
            "Give the pod more ephemeral storage, or mount a volume there.",
            path=path,
            free_bytes=free_bytes,
            minimum_bytes=minimum_bytes,
        )


class PlannerMissing(MissingPartError):
    """A library that plans motions does not load."""

    code = "compute.planner_missing"

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(
            f"The planner's module {module} does not load: {reason}. "
            "Install the locked requirements (requirements-job.txt) for this Python.",
            module=module,
            reason=reason,
        )
