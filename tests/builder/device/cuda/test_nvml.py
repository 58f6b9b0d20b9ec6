"""NVML's readings: in SI where there is one, one plain sentence where there is none."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import pynvml
import pytest
from stand_ins.nvml import UUID, FakeNvml, NVMLError, Record, field_value

from builder.device import HARDWARE, POWER_CAP, THERMAL, Sensor, SensorError
from builder.device.cuda import NoSensor, NvmlSensor, kept_loaded, open_sensor

CODES = sorted(value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_"))
READINGS: dict[str, tuple[str, ...]] = {
    "total_energy_j": ("nvmlDeviceGetTotalEnergyConsumption",),
    "instant_power_w": ("nvmlDeviceGetFieldValues",),
    "average_power_w": ("nvmlDeviceGetPowerUsage",),
    "power_limit_w": ("nvmlDeviceGetEnforcedPowerLimit",),
    "sm_clock_hz": ("nvmlDeviceGetClockInfo",),
    "memory_clock_hz": ("nvmlDeviceGetClockInfo",),
    "temperature_c": ("nvmlDeviceGetTemperature",),
    "throttle_reasons": (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
    "utilisation": ("nvmlDeviceGetUtilizationRates",),
    "other_processes": ("nvmlDeviceGetComputeRunningProcesses",),
    "mig_is_on": ("nvmlDeviceGetMigMode",),
    "persistence_is_on": ("nvmlDeviceGetPersistenceMode",),
}


def opened(**answers: Any) -> tuple[FakeNvml, NvmlSensor]:
    library = FakeNvml(**answers)
    return library, NvmlSensor(library, UUID)


def refusal(read: Callable[[], object]) -> str:
    """Return the sentence with which a reading is refused."""
    with pytest.raises(SensorError) as caught:
        read()
    text = str(caught.value)
    assert text.strip()
    assert "\n" not in text
    return text


def test_readings_are_in_si() -> None:
    _, sensor = opened()
    assert sensor.total_energy_j() == pytest.approx(123_456.789)
    assert sensor.instant_power_w() == pytest.approx(695.25)
    assert sensor.average_power_w() == pytest.approx(691.5)
    assert sensor.power_limit_w() == pytest.approx(700.0)
    assert sensor.sm_clock_hz() == pytest.approx(1.98e9)
    assert sensor.memory_clock_hz() == pytest.approx(3.201e9)
    assert sensor.temperature_c() == 64.0
    assert sensor.utilisation() == pytest.approx(0.03)
    assert sensor.throttle_reasons() == frozenset()
    assert sensor.other_processes() == 0
    assert sensor.mig_is_on() is False
    assert sensor.persistence_is_on() is True


def test_the_table_of_readings_is_complete() -> None:
    assert set(READINGS) == Sensor.__abstractmethods__ | {"persistence_is_on"}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("reading", READINGS)
def test_every_error_of_nvml_in_every_reading_is_one_sentence(reading: str, code: int) -> None:
    library, sensor = opened()
    library.failing = dict.fromkeys(READINGS[reading], code)
    if reading == "mig_is_on" and code == pynvml.NVML_ERROR_NOT_SUPPORTED:
        assert sensor.mig_is_on() is False
    else:
        assert f"({code})" in refusal(getattr(sensor, reading)).replace("NVML's code ", "")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetHandleByUUID"])
def test_an_error_while_opening_is_one_sentence_and_leaves_nvml_shut(call: str, code: int) -> None:
    library = FakeNvml()
    library.failing = {call: code}
    assert str(code) in refusal(lambda: NvmlSensor(library, UUID))
    assert library.n_open == 0


@pytest.mark.parametrize("code", CODES)
def test_a_field_has_a_code_of_its_own(code: int) -> None:
    answer = [field_value(1, "uiVal", 695_250, code)]
    _, sensor = opened(nvmlDeviceGetFieldValues=answer)
    assert str(code) in refusal(sensor.instant_power_w)


@pytest.mark.parametrize(
    ("kind", "member"),
    list(enumerate(["dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal"])),
)
def test_a_field_is_read_as_the_type_that_it_says(kind: int, member: str) -> None:
    _, sensor = opened(nvmlDeviceGetFieldValues=[field_value(kind, member, 42_000)])
    assert sensor.instant_power_w() == pytest.approx(42.0)


def test_a_field_of_a_type_that_is_not_known_is_no_reading() -> None:
    _, sensor = opened(nvmlDeviceGetFieldValues=[field_value(7, "newVal", 42_000)])
    assert "type" in refusal(sensor.instant_power_w)


def test_a_field_is_read_off_the_real_structure() -> None:
    """A union of the real module keeps the value where its type says."""
    field = pynvml.c_nvmlFieldValue_t()
    field.valueType, field.nvmlReturn = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, pynvml.NVML_SUCCESS
    field.value.uiVal = 512_000
    _, sensor = opened(nvmlDeviceGetFieldValues=[field])
    assert sensor.instant_power_w() == pytest.approx(512.0)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    "reading",
    ["total_energy_j", "average_power_w", "power_limit_w", "temperature_c"],
)
def test_zero_and_less_are_no_readings(reading: str, value: int) -> None:
    _, sensor = opened(**{READINGS[reading][0]: value})
    assert "no value" in refusal(getattr(sensor, reading))


def test_a_clock_or_an_instant_power_of_zero_is_no_reading() -> None:
    _, sensor = opened(
        nvmlDeviceGetClockInfo={1: 0, 2: 0},
        nvmlDeviceGetFieldValues=[field_value(1, "uiVal", 0)],
    )
    for read in (sensor.sm_clock_hz, sensor.memory_clock_hz, sensor.instant_power_w):
        assert "no value" in refusal(read)


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x01, set()),
        (0x04, {POWER_CAP}),
        (0x08, {HARDWARE}),
        (0x20, {THERMAL}),
        (0x40, {THERMAL}),
        (0x80, {HARDWARE}),
        (0x45, {POWER_CAP, THERMAL}),
        (0x02, {"application_clocks"}),
        (0x8000, set()),
    ],
)
def test_reasons_of_throttling_are_told_apart(bits: int, names: set[str]) -> None:
    _, sensor = opened(nvmlDeviceGetCurrentClocksEventReasons=bits)
    assert sensor.throttle_reasons() == names


@pytest.mark.parametrize(
    "name", [name for name in vars(pynvml) if name.startswith("nvmlClocksEventReason")]
)
def test_every_reason_that_nvml_names_is_known_or_an_idle_gpu(name: str) -> None:
    bits = getattr(pynvml, name)
    _, sensor = opened(nvmlDeviceGetCurrentClocksEventReasons=bits)
    assert bool(sensor.throttle_reasons()) == (bits not in (0, pynvml.nvmlClocksEventReasonGpuIdle))


def test_a_driver_with_the_old_name_of_the_reasons_is_asked_by_it() -> None:
    library, sensor = opened(nvmlDeviceGetCurrentClocksThrottleReasons=0x04)
    library.failing = {"nvmlDeviceGetCurrentClocksEventReasons": 13}
    assert sensor.throttle_reasons() == {POWER_CAP}
    del library.answers["nvmlDeviceGetCurrentClocksEventReasons"]
    assert sensor.throttle_reasons() == {POWER_CAP}


@pytest.mark.parametrize(
    ("pids", "others"),
    [((0,), 0), ((0, 7), 1), ((7, 8, 9), 2), ((7,), 0)],
    ids=["alone", "one other", "host's numbers", "alone under the host's number"],
)
def test_other_processes_are_counted_whatever_number_this_one_has(
    pids: tuple[int, ...], others: int
) -> None:
    """0 stands for this process's own number; without it, one of the others is this process."""
    listed = [Record(pid=pid or os.getpid()) for pid in pids]
    _, sensor = opened(nvmlDeviceGetComputeRunningProcesses=listed)
    assert sensor.other_processes() == others


def test_processes_that_nvml_hides_are_unknown_not_none() -> None:
    _, sensor = opened(nvmlDeviceGetComputeRunningProcesses=[])
    assert "container" in refusal(sensor.other_processes)
    assert sensor.process_ids() == ()


def test_the_sensors_of_a_partition_are_those_of_its_gpu() -> None:
    library = FakeNvml(nvmlDeviceGetMigMode=[1, 1])
    library.known = {UUID.replace("GPU-", "MIG-"): "partition"}
    assert NvmlSensor(library, UUID).mig_is_on() is True


def test_a_function_that_an_old_pynvml_does_not_have_is_no_reading() -> None:
    library, sensor = opened()
    del library.answers["nvmlDeviceGetTotalEnergyConsumption"]
    assert "nvidia-ml-py" in refusal(sensor.total_energy_j)


def test_a_driver_that_does_not_match_pynvml_is_no_reading() -> None:
    library, sensor = opened()
    library.mismatched = {"nvmlDeviceGetComputeRunningProcesses"}
    refusal(sensor.other_processes)


def test_a_mistake_of_ours_is_not_taken_for_a_missing_reading() -> None:
    _, sensor = opened(nvmlDeviceGetUtilizationRates=None)
    with pytest.raises(AttributeError):
        sensor.utilisation()


def test_closing_twice_shuts_nvml_down_once() -> None:
    library, sensor = opened()
    sensor.close()
    sensor.close()
    assert library.n_open == 0
    assert library.calls.count("nvmlShutdown") == 1


def test_a_shutdown_that_fails_does_not_hide_what_went_before() -> None:
    library, sensor = opened()
    library.failing = {"nvmlShutdown": 15}
    sensor.close()


def test_sensors_that_are_missing_say_why_at_every_reading() -> None:
    sensor = NoSensor("there is no NVML: install the driver")
    for reading in Sensor.__abstractmethods__:
        assert refusal(getattr(sensor, reading)) == "there is no NVML: install the driver"


def test_a_gpu_that_nvml_does_not_know_has_no_sensors() -> None:
    """Holds with a driver and without: no GPU has this UUID."""
    sensor = open_sensor("GPU-00000000-0000-0000-0000-000000000000")
    assert isinstance(sensor, NoSensor)
    assert refusal(sensor.total_energy_j) == sensor.reason


@pytest.mark.parametrize("name", sorted({call for calls in READINGS.values() for call in calls}))
def test_the_fake_has_the_surface_of_the_real_module(name: str) -> None:
    real = list(inspect.signature(getattr(pynvml, name)).parameters)
    fake = list(inspect.signature(getattr(FakeNvml(), name)).parameters)
    assert len(real) == len(fake)
    assert issubclass(pynvml.NVMLError, Exception)
    assert NVMLError(3).value == pynvml.NVMLError(3).value


def test_the_codes_and_types_that_are_written_out_are_those_of_nvml() -> None:
    kinds = [
        pynvml.NVML_VALUE_TYPE_DOUBLE,
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG,
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
        pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG,
        pynvml.NVML_VALUE_TYPE_SIGNED_INT,
        pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT,
    ]
    members = [name for name, _ in pynvml.c_nvmlValue_t._fields_]
    assert kinds == list(range(len(members)))
    assert members == ["dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal"]
    assert pynvml.NVML_FI_DEV_POWER_INSTANT == 186
    assert (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_TEMPERATURE_GPU) == (1, 2, 0)


def test_the_driver_is_kept_loaded_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is missing is no error here: it is said where it is needed."""
    library = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    with kept_loaded():
        assert library.n_open == 1
    assert library.n_open == 0
    library.failing["nvmlInit"] = 9
    with kept_loaded():
        assert library.n_open == 0
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with kept_loaded():
        pass
