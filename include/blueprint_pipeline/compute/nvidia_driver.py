"""What the NVIDIA driver says of its GPUs, and what Vulkan would find: asked of the driver's own tools and files.

Source: ``nvidia-smi --help-query-gpu``; LunarG's Vulkan loader interface, "ICD discovery on Linux"; ``vulkaninfo --summary``.
"""

import csv
import ctypes
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from blueprint_pipeline.compute.gpus import Gpu
from blueprint_pipeline.errors import MissingPartError

_FIELDS = ("name", "uuid", "driver_version", "memory.total", "compute_cap")
_TIMEOUT_S = 30.0
_DRIVER_FOLDERS = ("/usr/local/nvidia/bin",)
"""Where GKE's device plugin puts the driver's tools, outside of the usual path."""
_ICD_FOLDERS = ("/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/nvidia/vulkan/icd.d")
_GRAPHICS = frozenset({"all", "graphics"})
_ASLEEP = 9


class NoVulkanDevice(MissingPartError):
    """Vulkan finds no NVIDIA device: nothing would be drawn."""

    code = "compute.no_vulkan_device"
    template = (
        "Vulkan has no NVIDIA device: {reason}. Set NVIDIA_DRIVER_CAPABILITIES=all on the container, and see that "
        "the driver's ICD file is mounted (GKE: /usr/local/nvidia/vulkan/icd.d to /etc/vulkan/icd.d)."
    )

    reason: str


class NoGpu(MissingPartError):
    """The driver reports no GPU, or there is no driver."""

    code = "compute.no_gpu"
    template = (
        "No NVIDIA GPU was found: {reason}. Ask for one (nvidia.com/gpu: 1) on a node with its driver, and let the "
        "container see the driver's tools (NVIDIA_DRIVER_CAPABILITIES=all)."
    )

    reason: str


def find_gpus(environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Every GPU that the driver lets this process see.

    Raises:
        NoGpu: There is no driver here, it does not answer, or it has no GPU.
    """
    program = shutil.which("nvidia-smi", path=_search_path(environment))
    if program is None:
        raise NoGpu("there is no nvidia-smi on the path")
    command = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    done = _run(command, environment)
    if done.returncode != 0:
        raise NoGpu(f"nvidia-smi ended with status {done.returncode}: {(done.stdout or done.stderr).strip()[:300]}")
    rows = [[cell.strip() for cell in row] for row in csv.reader(done.stdout.splitlines()) if row]
    if not rows:
        raise NoGpu("nvidia-smi lists none")
    try:
        return tuple(
            Gpu(name=name, uuid=uuid, driver_version=driver, memory_mib=int(memory), compute_capability=capability)
            for name, uuid, driver, memory, capability in rows
        )
    except ValueError as error:
        raise NoGpu(f"nvidia-smi answered what cannot be read ({error}): {done.stdout.strip()[:300]}") from error


def find_vulkan_device(environment: Mapping[str, str]) -> str:
    """The NVIDIA device that Vulkan would take.

    ``vulkaninfo`` is asked where it is installed. Where it is not (Isaac Sim's image has none), the driver's ICD files
    are read as the loader reads them, and their library is loaded.

    Raises:
        NoVulkanDevice: There is none; says why.
    """
    capabilities = environment.get("NVIDIA_DRIVER_CAPABILITIES")
    if capabilities is not None and not _GRAPHICS & set(capabilities.split(",")):
        raise NoVulkanDevice(f"NVIDIA_DRIVER_CAPABILITIES is '{capabilities}', and neither 'all' nor 'graphics' is in it")
    program = shutil.which("vulkaninfo", path=_search_path(environment))
    return _icd_device(environment) if program is None else _vulkaninfo_device(program, environment)


def parse_vulkan_devices(summary: str) -> list[str]:
    """Names of the devices in the words of ``vulkaninfo --summary``."""
    return re.findall(r"(?m)^\s*deviceName\s*=\s*(.+?)\s*$", summary)


def _vulkaninfo_device(program: str, environment: Mapping[str, str]) -> str:
    done = _run([program, "--summary"], environment)
    devices = parse_vulkan_devices(done.stdout)
    for device in devices:
        if "NVIDIA" in device:
            return device
    if done.returncode != 0:
        raise NoVulkanDevice(f"vulkaninfo ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
    raise NoVulkanDevice(f"vulkaninfo lists {', '.join(devices) or 'no device'}")


def _icd_device(environment: Mapping[str, str]) -> str:
    files = _icd_files(environment)
    tried: list[str] = []
    for path in files:
        try:
            library = str(json.loads(path.read_text(encoding="utf-8"))["ICD"]["library_path"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            tried.append(f"{path} cannot be read ({error})")
            continue
        if "nvidia" not in library.lower():
            tried.append(f"{path} is another driver's ({library})")
            continue
        name = str(path.parent / library) if library.startswith(".") else library
        try:
            ctypes.CDLL(name)
        except OSError as error:
            tried.append(f"{path}: {error}")
            continue
        return f"{library} of {path} loads; no vulkaninfo here to ask it for its devices"
    raise NoVulkanDevice("; ".join(tried) or "there is no ICD file")


def _icd_files(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("VK_DRIVER_FILES") or environment.get("VK_ICD_FILENAMES")
    if named:
        return [Path(name) for name in named.split(":") if name]
    return [path for folder in _ICD_FOLDERS for path in sorted(Path(folder).glob("*.json"))]


def _search_path(environment: Mapping[str, str]) -> str:
    return ":".join((environment.get("PATH", ""), *_DRIVER_FOLDERS))


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="backslashreplace", timeout=_TIMEOUT_S, check=False, env=dict(environment)
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, returncode=_ASLEEP, stdout="", stderr=str(error))
