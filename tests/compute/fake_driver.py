"""The tools of an NVIDIA driver, as programs on a path of their own: they answer in the real tools' format."""

import json
import os
import stat
import sys

LISTED = {
    "NVIDIA L4": ("23034", "8.9"),
    "NVIDIA L40S": ("46068", "8.9"),
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": ("97887", "12.0"),
    "Tesla T4": ("15360", "7.5"),
    "NVIDIA A100-SXM4-40GB": ("40960", "8.0"),
    "NVIDIA A100 80GB PCIe": ("81920", "8.0"),
    "NVIDIA H100 80GB HBM3": ("81559", "9.0"),
    "NVIDIA H200": ("143771", "9.0"),
    "NVIDIA B200": ("183359", "10.0"),
    "NVIDIA GH200 480GB": ("97871", "9.0"),
    "NVIDIA A10G": ("23028", "8.6"),
    "NVIDIA GeForce RTX 4090": ("24564", "8.9"),
    "NVIDIA GeForce RTX 3060": ("12288", "8.6"),
}
"""Names, memory [MiB] and compute capability as drivers report them."""

VULKANINFO = """==========
VULKANINFO
==========

Vulkan Instance Version: 1.3.275

Devices:
========
GPU0:
	apiVersion         = 1.4.312
	driverVersion      = 580.65.6.0
	vendorID           = 0x10de
	deviceID           = 0x27b8
	deviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
	deviceName         = {device}
	driverID           = DRIVER_ID_NVIDIA_PROPRIETARY
	driverName         = NVIDIA
"""


class FakeDriver:
    """A folder of programs; its path and variables are those of the process until the test ends."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        for name in ("NVIDIA_DRIVER_CAPABILITIES", "VK_ICD_FILENAMES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("VK_DRIVER_FILES", str(folder / "absent.json"))

    def program(self, name, body):
        """A program of that name."""
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def gpus(self, *names, driver="580.95.05", memory=None, capability=None):
        """`nvidia-smi` that lists these."""
        lines = []
        for index, name in enumerate(names):
            known_memory, known_capability = LISTED.get(name, ("24000", "8.9"))
            lines.append(
                f"{name}, GPU-{index:08d}-0000-0000-0000-000000000000, {driver}, {memory or known_memory}, {capability or known_capability}"
            )
        checks = "assert sys.argv[1] == '--query-gpu=name,uuid,driver_version,memory.total,compute_cap', sys.argv\n"
        checks += "assert sys.argv[2] == '--format=csv,noheader,nounits', sys.argv\n"
        self.program("nvidia-smi", f"{checks}print({chr(10).join(lines)!r})")

    def broken(self, words, status):
        """`nvidia-smi` that fails."""
        self.program("nvidia-smi", f"print({words!r})\nsys.exit({status})")

    def vulkan(self, device):
        """`vulkaninfo` that finds one device."""
        self.program("vulkaninfo", f"assert sys.argv[1:] == ['--summary']\nprint({VULKANINFO.format(device=device)!r})")

    def icd(self, library):
        """An ICD file that names a library, as the loader is notified of it."""
        path = self.folder / "nvidia_icd.json"
        path.write_text(json.dumps({"file_format_version": "1.0.1", "ICD": {"library_path": str(library), "api_version": "1.4.312"}}))
        self.monkeypatch.setenv("VK_DRIVER_FILES", str(path))
