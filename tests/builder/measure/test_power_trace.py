"""Power and runtime of one window under load, from sensors that are late and coarse."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.plans import ruled

from builder.dataset import SCHEMA, table_of
from builder.device import THERMAL, Bound, Sensor
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import Throttling
from builder.device.simulated.traits import Traits
from builder.measure import (
    Protocol,
    SensorCheck,
    check_sensors,
    copies_for,
    measure_burst,
    measure_sustained,
)
from builder.measure.power_trace import SOURCES, Trace, slope
from builder.measure.sustained import Sustained
from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import footprint_bytes

PROTOCOL = Protocol()
LIBRARY = Kernel.from_name("library")
SIMT = Kernel.from_name("cutlass_simt_sgemm_128x64_8x2_nn_align1")
MEDIUM = (SIMT, Gemm(1024, 1024, 1024, "f32", "nn"))
HEAVY = (LIBRARY, Gemm(4096, 4096, 4096, "bf16"))
COUNTER, INSTANT, AVERAGE = SOURCES
NO_COUNTER = Faults(unsupported=("total_energy_j",))
ONLY_AVERAGE = Faults(unsupported=("total_energy_j", "instant_power_w"))
NO_POWER = Faults(unsupported=("total_energy_j", "instant_power_w", "average_power_w"))


@cache
def check_of(faults: Faults) -> SensorCheck:
    return check_sensors(SimulatedDevice(0, faults), PROTOCOL)


HEALTHY = Faults()


def bound_on(device: SimulatedDevice, kernel: Kernel, gemm: Gemm) -> Bound:
    copies = copies_for(PROTOCOL.timing, device.gpu, footprint_bytes(gemm))
    return device.load(kernel, None).bind(gemm, copies)


def sustained(
    device: SimulatedDevice,
    kernel: Kernel,
    gemm: Gemm,
    faults: Faults = HEALTHY,
    protocol: Protocol = PROTOCOL,
    **more: float,
) -> Sustained:
    """Return a measurement with the sensor check of a GPU that has these faults."""
    expected = {"runtime_s": device.truth_runtime_s(kernel, gemm), **more}
    bound = bound_on(device, kernel, gemm)
    return measure_sustained(device, bound, protocol, check_of(faults), **expected)


# Slopes and traces


@given(
    st.lists(st.floats(0.0, 10.0), min_size=2, max_size=20, unique_by=lambda one: round(one, 3)),
    st.floats(-1e3, 1e3),
    st.floats(-1e6, 1e6),
)
def test_the_slope_of_a_line_is_its_own(times: list[float], watts: float, joules: float) -> None:
    found = slope(np.array(times), joules + watts * np.array(times))
    assert found == pytest.approx(watts, rel=1e-6, abs=1e-5)


def test_one_edge_has_no_slope() -> None:
    assert slope(np.array([]), np.array([])) is None
    assert slope(np.array([1.0]), np.array([1.0])) is None
    assert slope(np.array([1.0, 1.0]), np.array([1.0, 2.0])) is None


def test_an_edge_lies_between_the_polls_and_not_where_nobody_looked() -> None:
    trace = Trace(COUNTER, edge_limit_s=0.1)
    for time_s, energy_j in ((0.0, 1.0), (0.01, 1.0), (0.02, 2.0), (0.03, 2.0), (0.5, 3.0)):
        trace.add(time_s, energy_j)
    times_s, values = trace.edges(0.0, 1.0)
    assert times_s == pytest.approx([0.015])
    assert values == pytest.approx([2.0])
    assert trace.steps_between(0.0, 1.0) == 0


def watched(seed: int, source_index: int, until_s: float) -> tuple[Trace, float, float]:
    """Return the trace of a constant load, the time of its start, and the true power."""
    device = SimulatedDevice(seed, traits=replace(Traits(), leak_w_per_c=0.0))
    device.sleep(1.5)
    start_s = device.now_s()
    device.spin(until_s + 0.1)
    trace = Trace(SOURCES[source_index])
    while device.now_s() < start_s + until_s:
        trace.poll(device.sensor, device.now_s)
        device.sleep(PROTOCOL.power.poll_s)
    # The spin adds 0.8 of the range to what a chip at work draws.
    range_w = device.power_limit_w - device.idle_power_w
    return trace, start_s, device.idle_power_w + (0.8 + Traits().at_work_share) * range_w


def test_a_window_of_07_s_of_the_counter_is_right_within_1_percent_in_95_of_100_seeds() -> None:
    """The difference of two readings at its ends is not."""
    slopes, differences = [], []
    for seed in range(100):
        trace, start_s, truth_w = watched(seed, 0, 1.1)
        window = (start_s + 0.3, start_s + 1.0 + 0.001 * seed)
        slopes.append(abs((trace.power_w(*window) or 0.0) / truth_w - 1.0))
        readings = np.interp(window, trace.times_s, trace.values)
        difference_w = (readings[1] - readings[0]) / (window[1] - window[0])
        differences.append(abs(difference_w / truth_w - 1.0))
    assert sum(error < 0.01 for error in slopes) >= 95
    assert max(slopes) < 0.02
    assert sum(error < 0.01 for error in differences) < 50
    assert max(differences) > 0.1


def test_a_one_second_average_is_right_within_1_percent_once_it_has_settled() -> None:
    for seed in range(10):
        trace, start_s, truth_w = watched(seed, 2, 2.2)
        settled_w = trace.power_w(start_s + 1.2, start_s + 2.2)
        early_w = trace.power_w(start_s + 0.3, start_s + 1.0)
        assert settled_w == pytest.approx(truth_w, rel=0.01)
        assert early_w is not None
        assert early_w < 0.8 * truth_w


# The whole measurement


@pytest.mark.parametrize(
    ("faults", "source"),
    [(HEALTHY, "energy_counter"), (NO_COUNTER, "instant_power"), (ONLY_AVERAGE, "average_power")],
)
@pytest.mark.parametrize("point", [MEDIUM, HEAVY])
def test_each_source_of_the_ladder_finds_the_true_power_and_runtime(
    point: tuple[Kernel, Gemm], faults: Faults, source: str
) -> None:
    errors = []
    for seed in range(8):
        device = SimulatedDevice(seed, faults)
        found = sustained(device, *point, faults)
        warm_c = found.conditions.temperature_end_c or 0.0
        assert found.power_source == source
        assert found.reason is None
        assert set(found.flags) <= {"power_capped"}
        assert found.runtime_s == pytest.approx(device.truth_sustained_s(*point, warm_c), rel=0.01)
        assert found.power_w is not None
        errors.append(found.power_w / device.truth_power_w(*point, warm_c) - 1.0)
    assert np.median(np.abs(errors)) < 0.005
    assert np.max(np.abs(errors)) < 0.015


def test_without_a_source_the_sustained_runtime_is_measured_alone() -> None:
    device = SimulatedDevice(1, NO_POWER)
    columns = sustained(device, *MEDIUM, NO_POWER).columns()
    assert columns["runtime_s"] == pytest.approx(device.truth_runtime_s(*MEDIUM), rel=0.01)
    for name in ("power_w", "energy_j", "power_source", "power_other_w", "power_window_s"):
        assert columns[name] is None
    assert columns["status"] == "ok"


def test_an_average_that_has_not_settled_is_unsteady() -> None:
    hasty = ruled(PROTOCOL, average_settle_s=0.3, extension_s=0.0)
    found = sustained(SimulatedDevice(1, ONLY_AVERAGE), *MEDIUM, ONLY_AVERAGE, hasty)
    assert "unsteady" in found.flags
    assert found.power_change is not None
    assert found.power_change > 0.03
    patient = sustained(SimulatedDevice(1, ONLY_AVERAGE), *MEDIUM, ONLY_AVERAGE)
    assert patient.flags == ()


def test_a_clock_that_changes_in_the_window_is_unsteady() -> None:
    slow = Throttling(0.7, 10.0, THERMAL, 0.8)
    found = sustained(SimulatedDevice(1, Faults(throttling=(slow,))), *MEDIUM)
    assert {"unsteady", "throttled"} <= set(found.flags)
    assert found.load_s > 1.6


def test_an_unsteady_window_is_extended_once_and_may_then_be_good() -> None:
    """Its end comes later by the extension, and by no more."""
    blink = Throttling(0.9, 0.96, THERMAL, 0.5)
    device = SimulatedDevice(1, Faults(throttling=(blink,)))
    found = sustained(device, *MEDIUM)
    assert 1.65 < found.load_s < 1.8
    assert "starved" not in found.flags


def test_the_power_cap_is_flagged_and_not_rejected() -> None:
    device = SimulatedDevice(1)
    found = sustained(device, *HEAVY)
    assert found.flags == ("power_capped",)
    assert found.columns()["status"] == "ok"
    assert found.columns()["throttle"] == ["power_cap"]
    assert found.power_w == pytest.approx(device.power_limit_w, rel=0.015)
    assert found.sm_clock_hz is not None
    assert found.sm_clock_hz < 0.95 * device.gpu.clock_hz


def test_sustained_is_never_faster_than_burst_by_over_2_percent() -> None:
    device, dice = SimulatedDevice(7), np.random.default_rng(7)
    for index in range(30):
        m, n, k = (int(2**one) for one in dice.uniform(5, 13, 3))
        kernel, dtype = ((SIMT, "f32"), (LIBRARY, "bf16"))[index % 2]
        gemm = Gemm(m, n, k, dtype, "nn")
        burst = measure_burst(device, bound_on(device, kernel, gemm), PROTOCOL.timing)
        assert burst.runtime_s is not None
        found = sustained(device, kernel, gemm, runtime_s=burst.runtime_s)
        assert found.runtime_s is not None
        assert found.runtime_s > 0.98 * burst.runtime_s


def test_energy_is_power_times_runtime_of_the_same_row() -> None:
    columns = sustained(SimulatedDevice(1), *MEDIUM).columns()
    assert columns["energy_j"] == columns["power_w"] * columns["runtime_s"]


def test_power_at_equal_rates_does_not_depend_on_how_long_a_kernel_takes() -> None:
    """The same work in one long launch and in many short ones reads the same."""
    device = SimulatedDevice(3)
    short, long = Gemm(2048, 2048, 2048, "f32", "nn"), Gemm(16384, 16384, 2048, "f32", "nn")
    truths = [device.truth_power_w(SIMT, gemm) for gemm in (short, long)]
    assert truths[1] == pytest.approx(truths[0], rel=0.05)
    found = [sustained(device, SIMT, gemm).power_w or 0.0 for gemm in (short, long)]
    assert found[1] / found[0] == pytest.approx(truths[1] / truths[0], rel=0.02)


def test_neighbours_that_agree_in_time_agree_in_power() -> None:
    """Of pairs m, m + 1 alike in time within 5 %, less than 2 % differ by over 10 % in power."""
    device, dice = SimulatedDevice(11), np.random.default_rng(11)
    compared = different = 0
    for _ in range(50):
        m, n, k = (int(2**one) for one in dice.uniform(6, 12, 3))
        pair = [sustained(device, SIMT, Gemm(m + more, n, k, "f32", "nn")) for more in (0, 1)]
        times = [one.runtime_s or 0.0 for one in pair]
        powers = [one.power_w or 0.0 for one in pair]
        if abs(times[1] / times[0] - 1.0) < 0.05:
            compared += 1
            different += abs(powers[1] / powers[0] - 1.0) > 0.1
    assert compared > 30
    assert different / compared < 0.02


def test_gold_windows_confirm_the_short_ones() -> None:
    device = SimulatedDevice(2)
    errors = []
    for size in (512, 1024, 1500, 2048, 3000, 4096):
        gemm = Gemm(size, size, size, "f32", "nn")
        short = sustained(device, SIMT, gemm)
        gold = sustained(device, SIMT, gemm, window_s=PROTOCOL.run.gold_window_s)
        assert gold.load_s == pytest.approx(PROTOCOL.run.gold_window_s + 0.3, abs=0.05)
        assert gold.power_w is not None
        assert short.power_w is not None
        errors.append(short.power_w / gold.power_w - 1.0)
    assert np.max(np.abs(errors)) < 0.02


# The load


@pytest.mark.parametrize("factor", [0.1, 10.0, 30.0])
def test_a_wrong_expectation_of_the_runtime_does_no_harm(factor: float) -> None:
    device = SimulatedDevice(1)
    truth_s = device.truth_runtime_s(*MEDIUM)
    found = sustained(device, *MEDIUM, runtime_s=factor * truth_s)
    assert found.runtime_s == pytest.approx(truth_s, rel=0.01)
    assert "starved" not in found.flags
    assert device.now_s() < 4.0


def test_a_host_that_is_too_slow_starves_the_gpu_and_the_row_says_so() -> None:
    for call_s in (30e-3, 200e-3):
        device = SimulatedDevice(1, traits=replace(Traits(), replay_call_s=call_s))
        found = sustained(device, *MEDIUM)
        assert "starved" in found.flags
        assert found.busy_share < 0.99


def test_launches_of_half_a_second_are_measured_over_whole_ones() -> None:
    device, gemm = SimulatedDevice(1), Gemm(16384, 16384, 3 * 8192, "f32", "nn")
    assert device.truth_runtime_s(SIMT, gemm) > 0.3
    found = sustained(device, SIMT, gemm)
    assert found.launches >= 2
    assert found.runtime_s == pytest.approx(device.truth_runtime_s(SIMT, gemm), rel=0.01)
    assert found.power_w == pytest.approx(device.truth_power_w(SIMT, gemm), rel=0.02)


def test_a_counter_that_stops_gives_way_within_the_row() -> None:
    """The sensor check knew it as good."""
    device = SimulatedDevice(1, Faults(counter_is_stuck=True))
    found = sustained(device, *MEDIUM)
    assert found.power_source == "instant_power"
    assert found.power_other_w is None
    assert found.power_w == pytest.approx(device.truth_power_w(*MEDIUM), rel=0.02)
    assert found.load_s < PROTOCOL.power.settle_s + PROTOCOL.power.window_limit_s + 0.1


# What is believed


class Louder(Sensor):
    """A sensor whose instant power reads too high."""

    def __init__(self, sensor: Sensor, factor: float) -> None:
        self._factor = factor
        for name in dir(Sensor):
            if not name.startswith("_") and name != "instant_power_w":
                setattr(self, name, getattr(sensor, name))
        self._sensor = sensor

    def instant_power_w(self) -> float:
        return self._factor * self._sensor.instant_power_w()


Louder.__abstractmethods__ = frozenset()


@pytest.mark.parametrize(("factor", "disagree"), [(1.03, False), (1.08, True), (0.92, True)])
def test_sources_that_differ_by_over_5_percent_are_said_to_disagree(
    factor: float, disagree: bool
) -> None:
    device = SimulatedDevice(1)
    device.sensor = Louder(device.sensor, factor)
    found = sustained(device, *MEDIUM)
    assert ("sources_disagree" in found.flags) == disagree
    assert found.power_w is not None
    assert found.power_other_w == pytest.approx(factor * found.power_w, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"idle_power_w": 600.0}, "at least 0.8 of idle"), ({}, "at most 1.1 of the limit")],
)
def test_power_below_idle_or_above_the_limit_is_rejected(
    changes: dict[str, float], words: str
) -> None:
    check = replace(check_of(HEALTHY), **changes)
    traits = Traits() if changes else replace(Traits(), cap_lag_s=1e6, compute_share=4.0)
    device = SimulatedDevice(1, traits=traits)
    bound, runtime_s = bound_on(device, *HEAVY), device.truth_runtime_s(*HEAVY)
    if changes:
        bound, runtime_s = bound_on(device, *MEDIUM), device.truth_runtime_s(*MEDIUM)
    columns = measure_sustained(device, bound, PROTOCOL, check, runtime_s).columns()
    assert columns["status"] == "rejected"
    assert "rejected" in columns["flags"]
    assert words in columns["reason"]
    assert columns["power_w"] > 0.0


def test_the_columns_are_those_of_the_dataset() -> None:
    found = sustained(SimulatedDevice(1), *MEDIUM)
    columns = found.columns()
    assert set(columns) <= set(SCHEMA.names)
    assert table_of({name: [value] for name, value in columns.items()}, 1).num_rows == 1
    assert columns["regime"] == "sustained"
    assert columns["power_window_s"] == pytest.approx(1.0, abs=0.02)
    a_replay = columns["launches"] / found.replays
    assert a_replay == pytest.approx(15e-3 / columns["runtime_s"], rel=0.1)
    assert a_replay % found.copies == 0
    assert columns["temperature_c"] <= columns["temperature_end_c"]
    assert columns["power_other_w"] == pytest.approx(columns["power_w"], rel=0.02)
