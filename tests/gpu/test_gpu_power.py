"""Power on a GPU: what the sensors say, that it repeats, and that it fits the time beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import gpu_kernels as kernels
import numpy as np
import pytest
from gpu_children import counted_processes, in_child

from builder.device import Program, SensorError
from builder.device.cuda import Card
from builder.device.cuda.device import CudaDevice
from builder.doctor import probe
from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.measure import (
    Protocol,
    SensorCheck,
    check_sensors,
    copies_for,
    measure_burst,
    measure_sustained,
)
from builder.measure.sustained import Sustained
from gpperf_lite import Gemm
from gpperf_lite._gemm import footprint_bytes

Load = Callable[[Build], Program]

POINTS = [
    Gemm(4096, 4096, 4096, "f16", "tn"),
    Gemm(1024, 1024, 1024, "f16", "tn"),
    Gemm(16, 8192, 4096, "f16", "tn"),
    Gemm(2048, 2048, 2048, "f32", "tn"),
]


@pytest.fixture(scope="module")
def check(device: CudaDevice) -> SensorCheck:
    return check_sensors(device, Protocol())


def sustained(
    device: CudaDevice, load: Load, check: SensorCheck, gemm: Gemm
) -> tuple[float, Sustained]:
    """Return the burst's runtime, and what is found under sustained load."""
    protocol = Protocol()
    copies = copies_for(protocol.timing, device.gpu, footprint_bytes(gemm))
    with load(catalogue()["library"]) as program, program.bind(gemm, copies) as bound:
        runtime_s = measure_burst(device, bound, protocol.timing).runtime_s
        assert runtime_s is not None
        return runtime_s, measure_sustained(device, bound, protocol, check, runtime_s)


def test_every_sensor_says_something_sensible_or_why_not(device: CudaDevice) -> None:
    sensor, limit_w = device.sensor, device.gpu.power_limit_w or 1500.0
    ranges = {
        "total_energy_j": (1.0, 1e12),
        "instant_power_w": (5.0, 1.3 * limit_w),
        "average_power_w": (5.0, 1.3 * limit_w),
        "power_limit_w": (20.0, 2000.0),
        "sm_clock_hz": (1e8, 1.1 * device.gpu.clock_hz),
        "memory_clock_hz": (1e8, 3e10),
        "temperature_c": (5.0, 110.0),
        "utilisation": (0.0, 1.0),
        "other_processes": (0, 100),
    }
    for name, (low, high) in ranges.items():
        try:
            value = getattr(sensor, name)()
        except SensorError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {value}")
        assert low <= value <= high, name
    print(sensor.throttle_reasons(), sensor.mig_is_on())


def test_another_process_on_the_gpu_is_counted(card: Card, device: CudaDevice) -> None:
    """This process holds a context, so a second one must see it, where it sees any."""
    found = in_child(counted_processes, card.uuid, kernels.cache(), timeout_s=60.0)
    print(found)
    assert found.startswith("unknown") or int(found) >= 1


def test_the_sensor_check_finds_a_source_or_says_why_there_is_none(check: SensorCheck) -> None:
    print(json.dumps(check.to_json(), indent=1))
    assert check.ladder or all(one.reason for one in check.sources)
    for _, source in check.ladder:
        assert source.spin_w is not None
        assert source.call_s is not None
        assert source.call_s < 0.1


def test_power_that_is_measured_again_is_the_same_within_1_5_percent(
    device: CudaDevice, load: Load, check: SensorCheck
) -> None:
    if not check.ladder:
        assert all(source.reason for source in check.sources)
        return
    rounds = [[sustained(device, load, check, gemm) for gemm in POINTS] for _ in range(2)]
    changes = []
    for gemm, (_, first), (_, second) in zip(POINTS, *rounds, strict=True):
        print(
            f"{gemm.m}x{gemm.n}x{gemm.k} {gemm.dtype}: {first.power_w} and {second.power_w} W, "
            f"{first.runtime_s} s, flags {first.flags} {second.flags}"
        )
        assert first.power_w is not None
        assert second.power_w is not None
        changes.append(abs(second.power_w / first.power_w - 1.0))
    assert np.median(changes) <= 0.015


def test_a_sustained_load_is_never_faster_than_a_burst(
    device: CudaDevice, load: Load, check: SensorCheck
) -> None:
    for gemm in POINTS:
        burst_s, found = sustained(device, load, check, gemm)
        assert found.runtime_s is not None
        assert found.runtime_s > 0.98 * burst_s, gemm
        assert found.busy_share > 0.99, gemm


def test_the_probe_takes_less_than_a_minute_and_answers_every_question(
    device: CudaDevice,
) -> None:
    """Its findings go to GPPERF_PROBE, if that names a file."""
    findings = probe(device, Protocol())
    print("\n".join(findings.lines()))
    if os.environ.get("GPPERF_PROBE"):
        Path(os.environ["GPPERF_PROBE"]).write_text(json.dumps(findings.values, indent=1))
    assert findings.values["time"]["probe_s"] < 60.0
    assert not [name for name, part in findings.values.items() if "reason" in part]
    assert findings.values["points"]["median_change"] <= 0.01
