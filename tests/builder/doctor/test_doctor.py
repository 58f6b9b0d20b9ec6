"""The doctor: every finding says what is the matter and what to do."""

from __future__ import annotations

import importlib.metadata
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from stand_ins.nvml import FakeNvml, Record, field_value

from builder.device import DeviceError
from builder.device.cuda import Driver, NoSensor, NvmlSensor
from builder.doctor import examine
from builder.doctor.doctor import Machine
from builder.doctor.finding import Finding
from builder.doctor.gpus import check_gpus
from gpperf_lite import available

UUIDS = ("GPU-01234567-89ab-cdef-0123-456789abcdef", "GPU-01234567-89ab-cdef-0123-456789abcd00")


class _Result(IntEnum):
    SUCCESS = 0
    INVALID_VALUE = 1
    NO_DEVICE = 100


class FakeCuda:
    """The few functions of the driver that need no context; `failing` names one that fails."""

    CUresult = _Result

    CUdevice_attribute = Record(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=0,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=1,
    )

    def __init__(
        self,
        n_gpus: int = 1,
        version: int = 13000,
        failing: str = "",
        name: str = "NVIDIA H200",
        capability: tuple[int, int] = (9, 0),
    ) -> None:
        self._n_gpus, self._version, self._failing = n_gpus, version, failing
        self._name, self._capability = name, capability

    def __getattr__(self, name: str) -> Any:
        answers = {
            "cuDriverGetVersion": lambda: self._version,
            "cuDeviceGetCount": lambda: self._n_gpus,
            "cuDeviceGet": lambda ordinal: ordinal,
            "cuDeviceGetUuid": lambda gpu: Record(
                bytes=bytes.fromhex(UUIDS[gpu].removeprefix("GPU-").replace("-", ""))
            ),
            "cuDeviceGetName": lambda length, gpu: f"{self._name}\0   ".encode(),
            "cuDeviceGetAttribute": lambda which, gpu: self._capability[which],
            "cuDeviceGetPCIBusId": lambda length, gpu: b"0000:1B:00.0\0  ",
        }

        def call(*arguments: Any) -> tuple[Any, ...]:
            if name == self._failing:
                return _Result.NO_DEVICE, None
            return _Result.SUCCESS, answers[name](*arguments)

        return call

    def cuGetErrorString(self, code: _Result) -> tuple[_Result, bytes]:  # noqa: N802
        return _Result.SUCCESS, b"no CUDA-capable device is detected"

    def cuGetErrorName(self, code: _Result) -> tuple[_Result, bytes]:  # noqa: N802
        return _Result.SUCCESS, b"CUDA_ERROR_NO_DEVICE"


def gpu_findings(nvml: FakeNvml | None = None, cuda: FakeCuda | None = None) -> dict[str, Finding]:
    """Return the findings on GPUs by name."""
    nvml = nvml or FakeNvml()
    driver = Driver(cuda or FakeCuda())
    found = list(check_gpus(lambda: driver, lambda uuid: NvmlSensor(nvml, uuid)))
    assert nvml.n_open == 0
    return {finding.name: finding for finding in found}


def test_everything_is_looked_at_once_and_in_one_order() -> None:
    first, second = examine(), examine()
    names = [finding.name for finding in first]
    assert names == [finding.name for finding in second]
    assert names[0] == "python"
    assert {"numpy", "catboost", "scipy", "pyarrow", "models", "NVRTC", "NVIDIA driver"} <= set(
        names
    )
    assert len(set(names)) == len(names)


def test_every_finding_has_a_known_status_and_a_text() -> None:
    for finding in [*examine(), *gpu_findings().values()]:
        assert finding.status in {"ok", "warning", "missing", "broken"}
        assert finding.text
        assert finding.line().split()[0] == finding.status


def test_libraries_are_named_with_the_version_that_is_installed() -> None:
    found = {finding.name: finding for finding in examine()}
    version = importlib.metadata.version("pyarrow")
    assert found["pyarrow"] == Finding("pyarrow", "ok", f"{version} (import, datasets)")


def test_the_built_in_models_are_loaded() -> None:
    found = {finding.name: finding for finding in examine()}["models"]
    names = available()
    assert found.status == ("ok" if names else "missing")
    assert all(name in found.text for name in names)


def test_where_nothing_is_installed_each_finding_says_what_to_install() -> None:
    def nothing(*_: Any) -> Any:
        raise ImportError("No module named 'cuda'")

    def no_package(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    def no_driver() -> Driver:
        raise DeviceError(0, "cuda.bindings", "cuda-python is not installed: pip install it")

    machine = Machine(
        driver=no_driver,
        sensor=lambda uuid: NoSensor("no NVML"),
        nvrtc_version=nothing,
        header_folder=nothing,
        cutlass_folder=lambda: None,
        program=lambda name: None,
        version=no_package,
    )
    findings = examine(machine)
    lacking = [one for one in findings if one.name not in {"python", "models"}]
    assert {one.status for one in lacking} == {"missing", "warning"}
    assert all("install" in one.text for one in lacking)


@pytest.mark.parametrize(("release", "status"), [((13, 0), "ok"), ((12, 8), "warning")])
def test_nvrtc_of_another_release_is_told(release: tuple[int, int], status: str) -> None:
    found = {one.name: one for one in examine(Machine(nvrtc_version=lambda: release))}["NVRTC"]
    assert found.status == status
    assert "{}.{}".format(*release) in found.text


def test_headers_that_are_not_where_they_should_be_are_named(tmp_path: Path) -> None:
    machine = Machine(header_folder=lambda name: str(tmp_path), cutlass_folder=lambda: tmp_path)
    found = {one.name: one for one in examine(machine)}
    assert found["CUDA headers"].status == found["CUTLASS headers"].status == "missing"
    assert "cuda.h" in found["CUDA headers"].text


def test_cutlass_is_told_by_its_version(tmp_path: Path) -> None:
    folder = tmp_path / "cutlass"
    folder.mkdir()
    numbers = "\n".join(
        f"#define CUTLASS_{part} {number}"
        for part, number in zip(("MAJOR", "MINOR", "PATCH"), "420", strict=True)
    )
    (folder / "version.h").write_text(numbers)
    found = {one.name: one for one in examine(Machine(cutlass_folder=lambda: tmp_path))}
    assert found["CUTLASS headers"] == Finding("CUTLASS headers", "ok", "4.2.0")


def test_a_healthy_gpu_is_in_order() -> None:
    found = gpu_findings()
    assert {one.status for one in found.values()} == {"ok"}
    assert found["NVIDIA driver"].text == "release 580.159.04, supports CUDA 13.0"
    assert UUIDS[0] in found["GPU 0"].text
    assert found["GPU 0 energy counter"].text == "123,457 J"
    assert found["GPU 0 instant power"].text == "695 W"
    assert found["GPU 0 clocks"].text == "SM 1980 MHz, memory 3201 MHz"


def test_a_gpu_is_known_by_its_data_sheet() -> None:
    found = gpu_findings()["GPU 0 architecture"]
    assert found.text == "sm_90; its data sheet is that of h200_sxm"


def test_a_gpu_without_a_data_sheet_is_in_order_too() -> None:
    cuda = FakeCuda(name="NVIDIA L20", capability=(8, 9))
    found = gpu_findings(cuda=cuda)["GPU 0 architecture"]
    assert found.status == "ok"
    assert found.text.startswith("sm_89; its data sheet is not known")


@pytest.mark.parametrize(
    ("name", "capability", "words"),
    [
        ("Tesla V100-SXM2-16GB", (7, 0), "sm_75 and newer, and sm_70 (Volta) is older"),
        ("Tesla P4", (6, 1), "sm_75 and newer, and sm_61 (Pascal) is older"),
        ("NVIDIA R200", (14, 0), "it knows 75 80 86 87 88 89 90 100 103 110 120 121"),
    ],
)
def test_a_gpu_that_nothing_can_be_compiled_for_is_broken(
    name: str, capability: tuple[int, int], words: str
) -> None:
    found = gpu_findings(cuda=FakeCuda(name=name, capability=capability))["GPU 0 architecture"]
    assert found.status == "broken"
    assert words in found.text


def test_a_capability_that_cannot_be_read_is_told_and_the_others_go_on() -> None:
    found = gpu_findings(cuda=FakeCuda(failing="cuDeviceGetAttribute"))
    assert found.pop("GPU 0 architecture").status == "broken"
    assert {one.status for one in found.values()} == {"ok"}


def test_every_gpu_is_looked_at() -> None:
    nvml = FakeNvml()
    nvml.known = dict.fromkeys(UUIDS, "handle")
    found = gpu_findings(nvml, FakeCuda(n_gpus=2))
    assert {"GPU 0", "GPU 1", "GPU 1 MIG"} <= set(found)


def test_a_driver_that_is_too_old_for_our_cubins_is_broken() -> None:
    found = gpu_findings(cuda=FakeCuda(version=12080))["NVIDIA driver"]
    assert found.status == "broken"
    assert "12.8" in found.text
    assert "580" in found.text


@pytest.mark.parametrize("call", ["cuDeviceGetCount", "cuDriverGetVersion", "cuDeviceGetName"])
def test_a_driver_that_fails_makes_measuring_impossible_and_nothing_else(call: str) -> None:
    found = gpu_findings(cuda=FakeCuda(failing=call))
    assert list(found) == ["NVIDIA driver"]
    assert found["NVIDIA driver"].status == "missing"
    assert call in found["NVIDIA driver"].text


def test_without_a_gpu_it_says_where_to_look() -> None:
    found = gpu_findings(cuda=FakeCuda(n_gpus=0))
    assert found["NVIDIA driver"].status == "ok"
    assert "CUDA_VISIBLE_DEVICES" in found["GPU"].text


def test_without_nvml_it_says_what_is_lost() -> None:
    driver = Driver(FakeCuda())
    found = {one.name: one for one in check_gpus(lambda: driver, lambda uuid: NoSensor("no NVML"))}
    assert found["GPU 0 sensors"].status == "missing"
    assert "no NVML" in found["GPU 0 sensors"].text
    assert "power" in found["GPU 0 sensors"].text


FAILING = {
    "nvmlDeviceGetTotalEnergyConsumption": ("energy counter", "missing"),
    "nvmlDeviceGetFieldValues": ("instant power", "missing"),
    "nvmlDeviceGetPowerUsage": ("average power", "missing"),
    "nvmlDeviceGetEnforcedPowerLimit": ("power limit", "missing"),
    "nvmlDeviceGetClockInfo": ("clocks", "missing"),
    "nvmlDeviceGetTemperature": ("temperature", "missing"),
    "nvmlDeviceGetMigMode": ("MIG", "warning"),
    "nvmlDeviceGetComputeRunningProcesses": ("processes", "warning"),
    "nvmlDeviceGetUtilizationRates": ("utilisation", "warning"),
    "nvmlDeviceGetPersistenceMode": ("persistence", "warning"),
}


@pytest.mark.parametrize("call", FAILING)
def test_a_reading_that_is_not_permitted_is_told_and_the_others_go_on(call: str) -> None:
    nvml = FakeNvml()
    nvml.failing = {call: 4}
    found = gpu_findings(nvml)
    name, status = FAILING[call]
    assert found.pop(f"GPU 0 {name}").status == status
    assert {one.status for one in found.values()} == {"ok"}


def test_reasons_of_throttling_that_cannot_be_read_are_told() -> None:
    nvml = FakeNvml()
    nvml.failing = dict.fromkeys(
        ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"), 3
    )
    assert gpu_findings(nvml)["GPU 0 throttling"].status == "missing"


@pytest.mark.parametrize(
    ("answers", "name", "words"),
    [
        ({"nvmlDeviceGetMigMode": [1, 1]}, "MIG", "power"),
        ({"nvmlDeviceGetComputeRunningProcesses": [Record(pid=-7)]}, "processes", "-7"),
        ({"nvmlDeviceGetUtilizationRates": Record(gpu=40)}, "utilisation", "40%"),
        ({"nvmlDeviceGetCurrentClocksEventReasons": 0x60}, "throttling", "thermal"),
    ],
)
def test_what_disturbs_measuring_is_a_warning(
    answers: dict[str, Any], name: str, words: str
) -> None:
    found = gpu_findings(FakeNvml(**{"nvmlDeviceGetUtilizationRates": Record(gpu=0), **answers}))
    assert found[f"GPU 0 {name}"].status == "warning"
    assert words in found[f"GPU 0 {name}"].text


def test_a_power_of_zero_is_no_power() -> None:
    nvml = FakeNvml(nvmlDeviceGetFieldValues=[field_value(1, "uiVal", 0)])
    assert gpu_findings(nvml)["GPU 0 instant power"].status == "missing"


def test_persistence_that_is_off_is_no_fault() -> None:
    found = gpu_findings(FakeNvml(nvmlDeviceGetPersistenceMode=0))["GPU 0 persistence"]
    assert found.status == "ok"
    assert found.text.startswith("off")
