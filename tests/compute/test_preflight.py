"""The preflight: what it takes, and what it refuses with which error. The driver's tools are programs that answer as the real ones."""

import _ctypes
import shutil
import sys

import pytest

from blueprint_pipeline.compute.gpus import (
    GpuBelowMinimum,
    GpuTableInvalid,
    GpuUnknown,
    GpuWithoutRtCores,
    IsaacVersionUnknown,
    load_gpu_table,
    parse_gpu_table,
)
from blueprint_pipeline.compute.nvidia_driver import NoGpu, NoVulkanDevice, parse_vulkan_devices
from blueprint_pipeline.compute.preflight import GIB, DiskTooSmall, DriverTooOld, PlannerMissing, installed_isaac_version, run_preflight
from tests.compute.fake_driver import FakeDriver


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine with an L4, a good driver and a Vulkan device."""
    fake = FakeDriver(tmp_path, monkeypatch)
    fake.gpus("NVIDIA L4")
    fake.vulkan("NVIDIA L4")
    return fake


def preflight(**options):
    return run_preflight(**{"needs_rt_cores": True, "minimum_disk_bytes": 1, "isaac_version": "5.1.0-rc.19+release.26219", **options})


def states(report):
    return {finding.part: finding.state for finding in report.findings}


def test_an_l4_is_fit_with_a_warning_that_names_the_list(driver):
    """All parts are looked at; the L4 works and is not on NVIDIA's list."""
    report = preflight()
    assert states(report) == {
        "gpu": "ok", "rt_cores": "warning", "driver": "ok", "vulkan": "ok", "disk": "ok", "image": "warning", "planner": "ok",
    }  # fmt: skip
    assert [gpu.name for gpu in report.gpus] == ["NVIDIA L4"]
    assert (report.gpu_name, report.gpus[0].memory_mib) == ("NVIDIA L4", 23034)


@pytest.mark.parametrize("name", ["NVIDIA L40S", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "NVIDIA GeForce RTX 4090"])
def test_listed_gpus_are_fit_without_a_warning(driver, name):
    driver.gpus(name)
    assert states(preflight())["rt_cores"] == "ok"


@pytest.mark.parametrize(
    "name",
    ["NVIDIA A100-SXM4-40GB", "NVIDIA A100 80GB PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA GH200 480GB", "NVIDIA B200"],
)
def test_gpus_without_rt_cores_are_refused_with_the_reason(driver, name):
    """Whatever their driver: that they cannot draw is said first."""
    driver.gpus(name, driver="535.01.01")
    with pytest.raises(GpuWithoutRtCores, match="no RT cores") as caught:
        preflight()
    assert caught.value.exit_code == 69
    assert not caught.value.retryable
    assert caught.value.facts["gpu"] == name


def test_a_t4_is_below_the_minimum(driver):
    driver.gpus("Tesla T4")
    with pytest.raises(GpuBelowMinimum, match="A40"):
        preflight()


def test_too_little_memory_is_below_the_minimum(driver):
    driver.gpus("NVIDIA GeForce RTX 3060")
    with pytest.raises(GpuBelowMinimum, match="12288 MiB, wanted 15000 MiB"):
        preflight()


def test_one_unfit_gpu_among_several_is_refused(driver):
    """Isaac Sim might take either."""
    driver.gpus("NVIDIA L4", "NVIDIA H200")
    with pytest.raises(GpuWithoutRtCores, match="H200"):
        preflight()


def test_an_unknown_gpu_is_judged_by_its_generation(driver):
    """A new card of a known generation works with a warning; one of a generation without RT cores does not."""
    driver.gpus("NVIDIA RTX 9999 Ada Generation", capability="8.9")
    warning = next(finding for finding in preflight().findings if finding.part == "rt_cores")
    assert (warning.state, "in no row" in warning.found) == ("warning", True)
    driver.gpus("NVIDIA X900", capability="9.0")
    with pytest.raises(GpuWithoutRtCores, match="Hopper"):
        preflight()


def test_an_unknown_gpu_of_an_unknown_generation_is_refused(driver):
    """A guess could cost an hour of black frames; the error says where to put what is known."""
    driver.gpus("NVIDIA Z1", capability="13.0")
    with pytest.raises(GpuUnknown, match=r"gpus\.yaml"):
        preflight()


@pytest.mark.parametrize(
    ("isaac", "found"), [("5.1.0", "580.65.05"), ("6.0.1", "580.65.06"), ("6.1.0", "580.95.05"), ("6.2.0", "595.58.02")]
)
def test_a_driver_below_the_versions_minimum_is_refused(driver, isaac, found):
    driver.gpus("NVIDIA L4", driver=found)
    with pytest.raises(DriverTooOld, match=found):
        preflight(isaac_version=isaac)


def test_drivers_compare_as_numbers(driver):
    """580.100 is newer than 580.65."""
    driver.gpus("NVIDIA L4", driver="580.100.01")
    assert states(preflight())["driver"] == "ok"


def test_an_unknown_version_of_isaac_sim_is_refused(driver):
    with pytest.raises(IsaacVersionUnknown, match=r"5\.1, 6\.0"):
        preflight(isaac_version="7.0.0")


def test_no_driver_is_no_gpu(tmp_path, monkeypatch):
    fake = FakeDriver(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(fake.folder))
    with pytest.raises(NoGpu, match="no nvidia-smi"):
        preflight()


def test_a_driver_that_fails_is_no_gpu_and_is_quoted(driver):
    driver.broken("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9)
    with pytest.raises(NoGpu, match="communicate with the NVIDIA driver"):
        preflight()


def test_an_answer_that_cannot_be_read_is_no_gpu_and_is_quoted(driver):
    driver.program("nvidia-smi", "print('NVIDIA L4, GPU-0, 580.95.05, [N/A], 8.9')")
    with pytest.raises(NoGpu, match=r"\[N/A\]"):
        preflight()


def test_vulkan_without_an_nvidia_device_is_refused(driver):
    """Mesa's software rasteriser would draw, slowly, and not with RTX."""
    driver.vulkan("llvmpipe (LLVM 15.0.6, 256 bits)")
    with pytest.raises(NoVulkanDevice, match="llvmpipe"):
        preflight()


def test_driver_capabilities_without_graphics_are_refused(driver):
    driver.monkeypatch.setenv("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")
    with pytest.raises(NoVulkanDevice, match="compute,utility"):
        preflight()
    driver.monkeypatch.setenv("NVIDIA_DRIVER_CAPABILITIES", "compute,graphics,utility")
    assert states(preflight())["vulkan"] == "ok"


@pytest.fixture
def no_vulkaninfo(driver):
    """As Isaac Sim's image: only the ICD file tells of Vulkan."""
    (driver.folder / "vulkaninfo").unlink()
    driver.monkeypatch.setenv("PATH", str(driver.folder))
    return driver


def test_without_vulkaninfo_the_drivers_own_library_is_loaded(no_vulkaninfo, tmp_path):
    """A library that loads is a device; another driver's, or one that does not load, is none."""
    library = tmp_path / "libGLX_nvidia.so.0"
    shutil.copy(_ctypes.__file__, library)  # any shared library that loads
    no_vulkaninfo.icd(library)
    assert states(preflight())["vulkan"] == "ok"
    no_vulkaninfo.icd("libGLX_nvidia.so.of_no_driver")
    with pytest.raises(NoVulkanDevice, match="cannot open shared object"):
        preflight()
    no_vulkaninfo.icd("libvulkan_lvp.so")
    with pytest.raises(NoVulkanDevice, match="another driver"):
        preflight()


def test_an_icd_file_that_is_no_json_is_told(no_vulkaninfo, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    no_vulkaninfo.monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "broken.json"))
    with pytest.raises(NoVulkanDevice, match="cannot be read"):
        preflight()


def test_a_full_disk_is_refused(driver):
    with pytest.raises(DiskTooSmall, match="GiB are needed"):
        preflight(minimum_disk_bytes=1_000_000 * GIB)


def test_a_planner_that_does_not_load_is_refused(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "toppra", None)
    with pytest.raises(PlannerMissing, match="toppra"):
        preflight()


def test_a_job_without_rt_cores_asks_nothing_of_a_gpu(tmp_path, monkeypatch):
    """A pod of the CPU pool is fit without a GPU; an H200 is fit where nothing is drawn with Isaac Sim."""
    fake = FakeDriver(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(fake.folder))
    report = preflight(needs_rt_cores=False)
    assert (report.gpus, report.gpu_name, report.isaac_version) == ((), None, None)
    assert states(report)["gpu"] == "not_needed"
    fake.gpus("NVIDIA H200")
    assert [gpu.name for gpu in preflight(needs_rt_cores=False).gpus] == ["NVIDIA H200"]


def test_devices_are_read_from_vulkaninfos_own_words():
    assert parse_vulkan_devices("GPU0:\n\tdeviceName         = NVIDIA L4\nGPU1:\n\tdeviceName = llvmpipe (LLVM 15)\n") == [
        "NVIDIA L4",
        "llvmpipe (LLVM 15)",
    ]


def test_the_installed_isaac_sim_tells_its_version(tmp_path):
    assert installed_isaac_version(tmp_path) is None
    (tmp_path / "VERSION").write_text("5.1.0-rc.19+release.26219.9c81211b.gl\n")
    assert installed_isaac_version(tmp_path) == "5.1.0-rc.19+release.26219.9c81211b.gl"


def test_every_row_of_the_table_says_where_it_comes_from():
    table = load_gpu_table()
    rows = [*table.gpus, *table.compute_capabilities, *table.isaac_sim]
    assert all(len(row.source) > 5 for row in rows)
    assert {row.version for row in table.isaac_sim} >= {"5.1", "6.0", "6.1", "6.2"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('gpus: [{name: "(", verdict: listed, source: x}]', "no regular expression"),
        ("gpus: [{name: L4, verdict: fine, source: x}]", "verdict"),
        ("gpus: [", "not YAML"),
    ],
)
def test_a_table_of_a_deployment_that_is_broken_says_where(tmp_path, row, told):
    """It may be mounted over ours."""
    path = tmp_path / "gpus.yaml"
    path.write_text(f'schema_version: "1.0"\nversion: "1"\nminimum_memory_mib: 1\nminimum_memory_source: x\n{row}\n')
    with pytest.raises(GpuTableInvalid, match=told):
        parse_gpu_table(path)


def test_doctor_asks_for_what_isaac_sim_needs_when_told_to(driver):
    """One table for people; a machine that is unfit ends with 69."""
    import json

    from typer.testing import CliRunner

    from blueprint_pipeline.cli.app import app

    driver.gpus("NVIDIA H200")
    answer = CliRunner().invoke(app, ["doctor", "--gpu", "--json"])
    assert answer.exit_code == 69
    last = json.loads(answer.stdout)["findings"][-1]
    assert (last["part"], last["state"], last["found"]) == ("Isaac Sim", "broken", "compute.gpu_without_rt_cores")
    assert "RT cores" in last["advice"]
