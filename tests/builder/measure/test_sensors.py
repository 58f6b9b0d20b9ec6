"""Sensors: what fails is empty, what surrounds a run is said, what they can do is found out."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.device import Bound, Sensor, SensorError
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.traits import Traits
from builder.measure import (
    Protocol,
    SensorCheck,
    check_sensors,
    measure_burst,
    measure_sustained,
    recheck_idle,
)
from builder.measure.power_trace import edge_limit_s
from builder.measure.sensor_check import SourceCheck, without_outlier
from builder.measure.sensors import look_around, read, read_positive
from gpperf_lite import Gemm, Kernel

PROTOCOL = Protocol()
READINGS = sorted(name for name, _ in inspect.getmembers(Sensor, inspect.isfunction)
                  if not name.startswith("_"))  # fmt: skip
KERNEL = Kernel.from_name("cutlass_simt_sgemm_128x64_8x2_nn_align1")
GEMM = Gemm(1024, 1024, 1024, "f32", "nn")
LADDER = {"total_energy_j": "energy_counter", "instant_power_w": "instant_power",
          "average_power_w": "average_power"}  # fmt: skip


def refuse() -> float:
    raise SensorError("not supported")


def test_a_reading_that_fails_is_none_and_any_other_error_is_raised() -> None:
    assert read(refuse) is None
    assert read(lambda: 0.0) == 0.0
    with pytest.raises(ZeroDivisionError):
        read(lambda: 1 / 0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_value_of_0_or_below_or_none_at_all_is_no_reading(value: float) -> None:
    assert read_positive(lambda: value) is None
    assert read_positive(refuse) is None
    assert read_positive(lambda: 5.0) == 5.0


# Surroundings


def test_a_quiet_gpu_of_our_own_raises_no_flag() -> None:
    assert look_around(SimulatedDevice(1).sensor, PROTOCOL.sensors).flags == ()


@pytest.mark.parametrize(
    ("faults", "flag"),
    [
        (Faults(mig_is_on=True), "mig"),
        (Faults(other_processes=1), "other_processes"),
        (Faults(other_load=0.06), "utilised"),
    ],
)
def test_each_thing_that_is_wrong_around_a_gpu_is_flagged_and_said(
    faults: Faults, flag: str
) -> None:
    around = look_around(SimulatedDevice(1, faults).sensor, PROTOCOL.sensors)
    assert around.flags == (flag,)
    assert len(around.warnings) == 1
    assert check_sensors(SimulatedDevice(1, faults), PROTOCOL).flags == (flag,)


def test_what_cannot_be_read_of_the_surroundings_is_no_flag() -> None:
    hidden = Faults(other_load=0.5, other_processes=3, unsupported=tuple(READINGS))
    assert look_around(SimulatedDevice(1, hidden).sensor, PROTOCOL.sensors).flags == ()


# SensorCheck


@pytest.mark.parametrize("seed", range(5))
def test_the_sensor_check_finds_the_truth_about_each_source(seed: int) -> None:
    device, traits = SimulatedDevice(seed), Traits()
    found = check_sensors(device, PROTOCOL)
    counter, instant, average = found.sources
    assert [facts.reason for facts in found.sources] == [None] * 3
    assert counter.call_s == pytest.approx(traits.energy_call_s, rel=0.01)
    assert instant.call_s == pytest.approx(traits.instant_call_s, rel=0.01)
    for facts in found.sources:
        assert facts.period_s == pytest.approx(0.1, rel=0.04)
        assert facts.idle_w == pytest.approx(device.idle_power_w, rel=0.02)
        assert facts.spin_w == pytest.approx(660.0, rel=0.02)
    assert counter.rise_s == pytest.approx(traits.counter_lag_s, abs=0.04)
    assert instant.rise_s is not None
    assert 0.02 < instant.rise_s < 0.25
    assert average.rise_s == pytest.approx(1.0, abs=0.15)
    assert found.idle_power_w == counter.idle_w
    assert found.power_limit_w == device.power_limit_w
    assert found.spin_clock_hz == pytest.approx(device.gpu.clock_hz, rel=0.01)
    assert found.empty_runtime_s == pytest.approx(traits.empty_s, rel=0.02)
    assert found.replay_s == pytest.approx(traits.node_gap_s, rel=0.1)
    assert counter.lost_share == 0.0


@pytest.mark.parametrize("factor", [0.57, 1.3])
def test_a_counter_that_is_off_is_not_used_and_rows_are_not_lost_by_it(factor: float) -> None:
    """Instant power and its average agree with each other."""
    device = SimulatedDevice(1, Faults(counter_factor=factor))
    found = check_sensors(device, PROTOCOL)
    assert [source.name for source, _ in found.ladder] == ["instant_power", "average_power"]
    (warning,) = found.warnings
    assert "energy counter is not used: it is not believed" in warning
    assert "where others say 6" in warning
    assert found.flags == ()


def source(name: str, spin_w: float, reason: str | None = None) -> SourceCheck:
    return SourceCheck(name, reason, spin_w=spin_w)


@pytest.mark.parametrize(
    ("powers_w", "distrusted"),
    [
        ((100.0, 104.0, 102.0), None),
        ((100.0, 120.0, 119.0), 0),
        ((100.0, 120.0, 101.0), 1),
        ((100.0, 101.0, 80.0), 2),
        ((100.0, 120.0), 0),
        ((100.0, 96.0), None),
        ((100.0,), None),
    ],
)
def test_of_several_sources_the_one_that_stands_alone_is_not_believed(
    powers_w: tuple[float, ...], distrusted: int | None
) -> None:
    names = ("energy_counter", "instant_power", "average_power")[: len(powers_w)]
    sources = tuple(source(*pair) for pair in zip(names, powers_w, strict=True))
    found = without_outlier(sources, set(names), 0.05)
    reasons = [index for index, one in enumerate(found) if one.reason is not None]
    assert reasons == ([] if distrusted is None else [distrusted])
    missing = source("total", 1.0, "not there")
    assert without_outlier((missing, sources[0]), {"total", names[0]}, 0.05)[1].reason is None


@pytest.mark.parametrize(
    ("call_s", "period_s", "limit_s"),
    [(2e-4, 0.1, 10e-3), (2.4e-3, 0.1, 13e-3), (6.6e-3, 0.1, 1 / 30), (6.6e-3, None, 34e-3)],
)
def test_steps_count_between_polls_as_far_apart_as_slow_calls_put_them(
    call_s: float, period_s: float | None, limit_s: float
) -> None:
    assert edge_limit_s(PROTOCOL.power, call_s, period_s) == pytest.approx(limit_s)


def test_no_step_of_a_counter_is_lost_where_calls_are_slow() -> None:
    slow = replace(Traits(), energy_call_s=2.4e-3, instant_call_s=2.4e-3, other_call_s=2.4e-3)
    device = SimulatedDevice(1, traits=slow)
    check = check_sensors(device, PROTOCOL)
    with device.load(KERNEL, None).bind(GEMM, 8) as bound:
        runtime_s = device.truth_runtime_s(KERNEL, GEMM)
        found = measure_sustained(device, bound, PROTOCOL, check, runtime_s)
    assert found.power_source == "energy_counter"
    assert found.flags == ()
    assert found.load_s < 1.4


def test_the_sensor_check_takes_less_than_10_seconds() -> None:
    device = SimulatedDevice(1)
    found = check_sensors(device, PROTOCOL)
    assert found.seconds == pytest.approx(device.now_s(), abs=1e-3)
    assert found.seconds < 10.0


def test_idle_power_at_the_end_is_that_of_a_warmer_gpu() -> None:
    device = SimulatedDevice(1)
    found = check_sensors(device, PROTOCOL)
    device.spin(60.0)
    again = recheck_idle(device, PROTOCOL.sensors, found)
    assert found.idle_end_power_w is None
    assert found.idle_power_w is not None
    assert again.idle_end_power_w is not None
    assert 1.0 < again.idle_end_power_w / found.idle_power_w < 1.1
    assert again.idle_power_w == found.idle_power_w


def test_a_sensor_check_survives_json() -> None:
    for faults in (Faults(), Faults(other_processes=1, unsupported=("total_energy_j",))):
        found = check_sensors(SimulatedDevice(1, faults), PROTOCOL)
        assert SensorCheck.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(counter_is_stuck=True), "does not move"),
        (Faults(unsupported=("total_energy_j",)), "does not have it"),
        (Faults(not_permitted=("total_energy_j",)), "not permitted"),
    ],
)
def test_a_counter_that_cannot_be_used_gives_way_to_instant_power(
    faults: Faults, words: str
) -> None:
    found = check_sensors(SimulatedDevice(1, faults), PROTOCOL)
    assert words in str(found.sources[0].reason)
    assert [source.name for source, _ in found.ladder] == ["instant_power", "average_power"]
    assert found.idle_power_w == found.sources[1].idle_w


def test_a_counter_that_moves_too_seldom_for_a_window_is_left_out() -> None:
    device = SimulatedDevice(1, traits=Traits(sensor_period_s=0.4))
    found = check_sensors(device, PROTOCOL)
    assert "only every 0.40 s" in str(found.sources[0].reason)


def test_under_mig_no_power_is_read() -> None:
    device = SimulatedDevice(1, Faults(mig_is_on=True))
    found = check_sensors(device, PROTOCOL)
    assert found.ladder == ()
    assert found.idle_power_w is None
    assert recheck_idle(device, PROTOCOL.sensors, found).idle_end_power_w is None
    columns = measure_sustained(device, bound_on(device), PROTOCOL, found, 8e-5).columns()
    assert columns["power_w"] is None
    assert columns["energy_j"] is None
    assert columns["runtime_s"] > 0.0


# Every reading, failing in every way


@pytest.mark.parametrize("fault", ["unsupported", "not_permitted"])
@pytest.mark.parametrize("name", READINGS)
def test_a_reading_that_fails_ends_in_empty_columns_and_never_in_an_exception(
    name: str, fault: str
) -> None:
    columns = sustained_columns(Faults(**{fault: (name,)}))
    empty = {column for column, value in columns.items() if value is None} - {"reason"}
    assert empty == {
        # The next source is then the average, for which the window comes too early.
        "instant_power_w": {"power_other_w"},
        "temperature_c": {"temperature_c", "temperature_end_c"},
        "memory_clock_hz": {"memory_clock_hz"},
        "power_limit_w": {"power_limit_w"},
        "throttle_reasons": {"throttle"},
    }.get(name, set())
    ladder = [source for reading, source in LADDER.items() if reading != name]
    assert columns["power_source"] == ladder[0]
    assert columns["status"] == "ok"
    assert columns["flags"] == []


def test_with_all_readings_failing_times_are_measured_and_all_else_is_empty() -> None:
    columns = sustained_columns(Faults(unsupported=tuple(READINGS)))
    known = {column for column, value in columns.items() if value is not None}
    assert known == {"regime", "runtime_s", "n_repeats", "launches", "operand_copies", "l2_cold",
                     "sm_clock_hz", "flags", "status"}  # fmt: skip
    assert columns["status"] == "ok"


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
@settings(max_examples=10)
def test_readings_that_fail_now_and_then_never_end_in_an_exception(share: float, seed: int) -> None:
    columns = sustained_columns(Faults(failing_share=share, seed=seed))
    assert columns["runtime_s"] > 0.0
    assert columns["power_w"] is None or columns["power_w"] > 100.0


def sustained_columns(faults: Faults) -> dict[str, object]:
    """Return the columns of a point that was calibrated for, timed and put under load."""
    device = SimulatedDevice(1, faults)
    check = check_sensors(device, PROTOCOL)
    bound = bound_on(device)
    found = measure_burst(device, bound, PROTOCOL.timing)
    assert found.runtime_s == pytest.approx(device.truth_runtime_s(KERNEL, GEMM), rel=0.01)
    columns = measure_sustained(device, bound, PROTOCOL, check, found.runtime_s).columns()
    recheck_idle(device, PROTOCOL.sensors, check)
    return columns


def bound_on(device: SimulatedDevice) -> Bound:
    return device.load(KERNEL, None).bind(GEMM, 13)
