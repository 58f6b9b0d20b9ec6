"""Timing: the label is the truth, within what the rules promise, whatever clocks and sensors do."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dataset import SCHEMA, table_of
from builder.device import HARDWARE, THERMAL, Bound, DeviceError, Graph, Sensor
from builder.device.interface import halved_to_fit
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import Throttling
from builder.device.simulated.traits import Traits
from builder.measure import TimingRules, copies_for, measure_burst
from builder.measure.burst import Burst
from builder.measure.operands import is_cold, launches_for, replays_of
from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import footprint_bytes

RULES = TimingRules()
LIBRARY = Kernel.from_name("library")
SIMT = Kernel.from_name("cutlass_simt_sgemm_128x64_8x2_nn_align1")
TILED = Kernel.from_name("tiled_sgemm_16")
READINGS = sorted(name for name, _ in inspect.getmembers(Sensor, inspect.isfunction)
                  if not name.startswith("_"))  # fmt: skip
TINY = (LIBRARY, Gemm(64, 64, 64, "bf16"))
LONG = (TILED, Gemm(4096, 4096, 4096, "f32", "nn"))
HEAVY = (LIBRARY, Gemm(16384, 16384, 16384, "bf16"))
CASES = [
    TINY,
    (SIMT, Gemm(200, 300, 100, "f32", "nn")),
    (LIBRARY, Gemm(16, 4096, 4096, "bf16")),
    (SIMT, Gemm(1024, 1024, 1024, "f32", "nn")),
    (TILED, Gemm(2048, 2048, 1024, "f32", "nn")),
    (SIMT, Gemm(4096, 4096, 4096, "f32", "nn")),
    LONG,
]


def bound_on(device: SimulatedDevice, kernel: Kernel, gemm: Gemm, copies: int = 0) -> Bound:
    copies = copies or copies_for(RULES, device.gpu, footprint_bytes(gemm))
    return device.load(kernel, None).bind(gemm, copies)


def burst(device: SimulatedDevice, kernel: Kernel, gemm: Gemm) -> Burst:
    return measure_burst(device, bound_on(device, kernel, gemm), RULES)


@pytest.mark.parametrize(("kernel", "gemm"), CASES)
def test_kernels_from_2_us_to_40_ms_are_timed_within_1_percent(kernel: Kernel, gemm: Gemm) -> None:
    for seed in range(3):
        device = SimulatedDevice(seed)
        found = burst(device, kernel, gemm)
        assert found.runtime_s == pytest.approx(device.truth_runtime_s(kernel, gemm), rel=0.01)
        assert found.flags == ()
        assert len(found.batches_s) >= 7


def test_short_kernels_are_right_thanks_to_the_graph() -> None:
    """Launched one by one, an event on each side, the same kernel reads a quarter too long."""
    device = SimulatedDevice(1)
    truth_s, found = device.truth_runtime_s(*TINY), burst(device, *TINY)
    assert truth_s < 2.5e-6
    assert found.runtime_s == pytest.approx(truth_s, rel=0.01)
    assert found.launches > 300
    bound, times = bound_on(device, *TINY), []
    for _ in range(25):
        first = device.mark()
        bound.launch()
        last = device.mark()
        device.wait()
        times.append(device.elapsed_s(first, last))
    assert np.median(times) > 1.25 * truth_s


def test_most_of_fifty_points_measured_twice_differ_by_less_than_1_percent() -> None:
    device, dice = SimulatedDevice(5), np.random.default_rng(5)
    changes = []
    for _ in range(50):
        m, n, k = (int(2**one) for one in dice.uniform(4, 12, 3))
        gemm = Gemm(m, n, k, "f32", "nn")
        first, second = (burst(device, SIMT, gemm).runtime_s for _ in range(2))
        assert first is not None
        assert second is not None
        changes.append(abs(second / first - 1.0))
    assert np.median(changes) < 0.005
    assert np.percentile(changes, 90) < 0.01


def test_above_50_ms_three_launches_are_the_result() -> None:
    device, gemm = SimulatedDevice(1), Gemm(8192, 8192, 8192, "f32", "nn")
    found = burst(device, TILED, gemm)
    assert device.truth_runtime_s(TILED, gemm) > 0.05
    assert found.flags == ("coarse",)
    assert len(found.batches_s) == 3
    assert found.launches == 1
    assert found.runtime_s == pytest.approx(device.truth_runtime_s(TILED, gemm), rel=0.02)


def test_a_noisier_gpu_takes_more_batches_and_the_label_is_their_median() -> None:
    device = SimulatedDevice(1, traits=replace(Traits(), batch_noise=0.05))
    found = burst(device, *CASES[3])
    assert 7 < len(found.batches_s) <= 25
    assert found.runtime_s == np.median(found.batches_s)


# Operands


@given(st.tuples(*[st.integers(1, 20000)] * 3))
def test_as_many_copies_are_asked_for_as_leave_none_in_l2(shape: tuple[int, int, int]) -> None:
    gpu, gemm = SimulatedDevice(1).gpu, Gemm(*shape, "bf16")
    size = footprint_bytes(gemm)
    copies = copies_for(RULES, gpu, size)
    needed = 1 + math.floor(3 * gpu.l2_bytes / size)
    assert min(needed, 512) <= copies <= min(1.25 * needed, 512)


@given(st.integers(1, 600), st.integers(1, 600))
def test_every_copy_has_its_turn_again_only_after_all_others(needed: int, wanted: int) -> None:
    """Whatever the graphs: a captured one uses the same copies in each replay."""
    gpu, wanted = replace(SimulatedDevice(1).gpu, l2_bytes=1e6), min(wanted, 512)
    copies = copies_for(RULES, gpu, max(1, int(3e6 / needed)))
    bound = TurnsBound(copies)
    with replays_of(bound, wanted, 512) as graph:
        for _ in range(3 * math.ceil(copies / graph.launches)):
            graph.replay()
    turns = np.array(bound.turns)
    order = np.argsort(turns, kind="stable")
    again = np.diff(order)[np.diff(turns[order]) == 0]
    assert (again == copies).all()
    assert 0.6 * wanted <= graph.launches <= 512
    assert graph.launches <= 2 * wanted or graph.launches in (copies, 5, 7)


@given(st.integers(1, 512), st.integers(1, 512), st.integers(1, 10))
def test_copies_that_do_not_fit_are_halved_and_divide_well_still(
    copies: int, wanted: int, halvings: int
) -> None:
    held = halved_to_fit(copies, max(1, copies >> halvings))
    assert held == max(1, copies >> halvings)
    launches = launches_for(held, wanted, 512)
    assert launches % held == 0 or held % launches == 0


def test_a_cold_l2_is_slower_and_only_enough_copies_measure_it() -> None:
    kernel, gemm = CASES[2]
    device = SimulatedDevice(1)
    truth_s = device.truth_runtime_s(kernel, gemm)
    cold = measure_burst(device, bound_on(device, kernel, gemm), RULES)
    warm = measure_burst(device, bound_on(device, kernel, gemm, 1), RULES)
    assert (cold.l2_cold, cold.copies) == (True, 5)
    assert (warm.l2_cold, warm.copies) == (False, 1)
    assert cold.runtime_s == pytest.approx(truth_s, rel=0.01)
    assert warm.runtime_s is not None
    assert warm.runtime_s < 0.9 * truth_s


def test_l2_is_called_cold_where_the_copies_suffice() -> None:
    device = SimulatedDevice(1)
    gemm = Gemm(512, 512, 512, "f32", "nn")
    assert is_cold(RULES, device.gpu, bound_on(device, SIMT, gemm, 51))
    assert not is_cold(RULES, device.gpu, bound_on(device, SIMT, gemm, 50))


def test_graphs_of_fewer_launches_than_copies_take_turns_and_find_l2_cold() -> None:
    """The same graph again would find its operands there."""
    kernel, gemm = CASES[2]
    device = SimulatedDevice(1, traits=replace(Traits(), node_gap_s=0.0))
    bound = bound_on(device, kernel, gemm, 6)
    assert bound.copies == 6
    truth_s = device.truth_runtime_s(kernel, gemm)
    means = []
    for make in (bound.graph, partial(replays_of, bound, limit=512)):
        with make(2) as graph:
            device.spin(0.05)
            graph.replay()
            first = device.mark()
            for _ in range(200):
                graph.replay()
            last = device.mark()
            device.wait()
            means.append(device.elapsed_s(first, last) / 400)
    assert means[1] == pytest.approx(truth_s, rel=0.01)
    assert means[0] < 0.95 * truth_s


class TurnsBound(Bound):
    """Notes the copies of each replay of its graphs, as a captured graph has them."""

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.turns: list[int] = []
        self._turn = 0

    def close(self) -> None: ...

    def launch(self) -> None:
        self.turns.append(self._next())

    def compare(self, rows: Any, columns: Any) -> Any: ...

    def graph(self, launches: int) -> Graph:
        return TurnsGraph(self.turns, [self._next() for _ in range(launches)])

    def _next(self) -> int:
        turn, self._turn = self._turn, (self._turn + 1) % self.copies
        return turn


class TurnsGraph(Graph):
    def __init__(self, turns: list[int], captured: list[int]) -> None:
        self.launches, self._turns, self._captured = len(captured), turns, captured

    def close(self) -> None: ...

    def replay(self) -> None:
        self._turns += self._captured


class CountingBound(Bound):
    """Gives graphs until there are too many, and counts those that are open."""

    copies = 10

    def __init__(self, most: int) -> None:
        self.most, self.open = most, 0

    def close(self) -> None: ...

    def launch(self) -> None: ...

    def compare(self, rows: Any, columns: Any) -> Any: ...

    def graph(self, launches: int) -> Graph:
        if self.open == self.most:
            raise DeviceError(2, "making a graph", "out of memory")
        self.open += 1
        return CountingGraph(self)


class CountingGraph(Graph):
    def __init__(self, bound: CountingBound) -> None:
        self.bound = bound

    def close(self) -> None:
        self.bound.open -= 1

    def replay(self) -> None: ...


def test_all_graphs_that_take_turns_are_given_back_even_where_one_cannot_be_made() -> None:
    bound = CountingBound(most=5)
    with replays_of(bound, 2, 512):
        assert bound.open == 5
    assert bound.open == 0
    bound.most = 4
    with pytest.raises(DeviceError, match="out of memory"):
        replays_of(bound, 2, 512)
    assert bound.open == 0


# Clocks


def test_a_gpu_that_has_idled_is_woken_before_it_is_timed() -> None:
    device = SimulatedDevice(1)
    kernel, gemm = CASES[3]
    bound, truth_s = bound_on(device, kernel, gemm), device.truth_runtime_s(kernel, gemm)
    for idle_s in (0.0, 0.04, 0.06, 0.1, 10.0):
        device.sleep(idle_s)
        found = measure_burst(device, bound, RULES)
        assert found.runtime_s == pytest.approx(truth_s, rel=0.01)
        assert found.sm_clock_hz == pytest.approx(device.gpu.clock_hz, rel=0.01)


def test_without_the_spin_the_rising_clock_is_noticed() -> None:
    device = SimulatedDevice(1)
    asleep = replace(RULES, awake_clock_share=0.0, idle_limit_s=1e9, retries=0)
    device.sleep(10.0)
    found = measure_burst(device, bound_on(device, *CASES[3]), asleep)
    assert found.clock_drop > 0.1
    assert found.flags == ("throttled",)


def test_a_caller_who_knows_of_idling_has_the_gpu_woken() -> None:
    device = SimulatedDevice(1)
    bound = bound_on(device, *CASES[3])
    measure_burst(device, bound, RULES)
    times = []
    for idle_s in (0.01, 1.0):
        before_s = device.now_s()
        measure_burst(device, bound, RULES, idle_s)
        times.append(device.now_s() - before_s)
    # Two pieces of it, which agree.
    assert times[1] - times[0] == pytest.approx(2 * RULES.spin_s, abs=0.01)


def test_a_memory_that_is_slow_to_wake_is_waited_for_and_flagged_where_it_never_wakes() -> None:
    fast_hz = 3.201e9
    for rise_s, flags in ((0.12, ()), (10.0, ("throttled",))):
        device = SimulatedDevice(1, Faults(memory_rise_s=rise_s))
        bound = bound_on(device, *CASES[3])
        found = measure_burst(device, bound, RULES, 1.0, fast_hz)
        assert found.flags == flags
        assert (found.conditions.memory_clock_hz == fast_hz) == (not flags)
        assert measure_burst(device, bound, RULES, 1.0).flags == ()


def test_a_host_that_is_slow_to_queue_does_not_shorten_the_batches() -> None:
    """The estimate is the host's then; one replay tells the truth."""
    slow = replace(Traits(), launch_call_s=4e-4, mark_call_s=1e-5)
    device = SimulatedDevice(1, traits=slow)
    found = burst(device, *TINY)
    assert found.launches * device.truth_runtime_s(*TINY) > 0.5 * RULES.batch_s
    assert found.runtime_s == pytest.approx(device.truth_runtime_s(*TINY), rel=0.01)


@pytest.mark.parametrize("reason", [THERMAL, HARDWARE])
def test_a_slowdown_that_passes_is_waited_for(reason: str) -> None:
    device = SimulatedDevice(1, Faults(throttling=(Throttling(0.0, 0.8, reason, 0.7),)))
    kernel, gemm = CASES[3]
    found = burst(device, kernel, gemm)
    assert found.flags == ()
    assert found.runtime_s == pytest.approx(device.truth_runtime_s(kernel, gemm), rel=0.01)
    assert device.now_s() > 2 * RULES.retry_pause_s


@pytest.mark.parametrize("reason", [THERMAL, HARDWARE])
def test_a_slowdown_that_stays_is_flagged_after_two_retries(reason: str) -> None:
    device = SimulatedDevice(1, Faults(throttling=(Throttling(0.0, 1e9, reason, 0.7),)))
    kernel, gemm = CASES[3]
    found = burst(device, kernel, gemm)
    assert found.flags == ("throttled",)
    assert found.columns()["throttle"] == [reason]
    assert found.sm_clock_hz == pytest.approx(0.7 * device.gpu.clock_hz, rel=0.01)
    assert 2 * RULES.retry_pause_s < device.now_s() < 3 * RULES.retry_pause_s


def test_a_clock_that_drops_for_reasons_that_cannot_be_read_is_flagged() -> None:
    """The slowdown comes between the batches."""
    slow = Throttling(0.085, 1.0, THERMAL, 0.9)
    device = SimulatedDevice(1, Faults(unsupported=("throttle_reasons",), throttling=(slow,)))
    rules = replace(RULES, batches_least=25, retries=0)
    found = measure_burst(device, bound_on(device, *CASES[3]), rules)
    assert found.clock_drop == pytest.approx(0.1, abs=0.01)
    assert found.flags == ("throttled",)
    assert found.columns()["throttle"] is None


def test_the_power_cap_is_flagged_and_nothing_else_is_made_of_it() -> None:
    device = SimulatedDevice(1)
    found = burst(device, *HEAVY)
    columns = found.columns()
    assert columns["flags"] == ["power_capped"]
    assert columns["status"] == "ok"
    assert columns["throttle"] == ["power_cap"]
    assert device.now_s() < RULES.retry_pause_s


def test_short_stretches_with_rests_keep_the_power_cap_away() -> None:
    """The same kernel without rests, and for longer, runs into it."""
    kernel, gemm = LIBRARY, Gemm(4096, 4096, 4096, "bf16")
    device = SimulatedDevice(1)
    assert device.truth_sustained_s(kernel, gemm) > 1.1 * device.truth_runtime_s(kernel, gemm)
    assert burst(device, kernel, gemm).flags == ()
    restless = replace(
        RULES, stretch_limit_s=1.0, batches_least=400, batches_most=400, batches_gpu_s=1.0
    )
    found = measure_burst(device, bound_on(device, kernel, gemm), restless)
    assert "power_capped" in found.flags


# Resolution and sensors


def test_a_time_below_what_events_resolve_is_flagged() -> None:
    device = SimulatedDevice(1, traits=replace(Traits(), tick_s=1e-4))
    found = measure_burst(device, bound_on(device, *TINY), replace(RULES, tick_s=1e-4))
    assert "below_resolution" in found.flags


def test_a_time_of_zero_is_no_runtime() -> None:
    device = SimulatedDevice(1, traits=replace(Traits(), tick_s=10e-3))
    columns = measure_burst(device, device.empty(), RULES).columns()
    assert columns["runtime_s"] is None
    assert columns["status"] == "rejected"
    assert "below_resolution" in columns["flags"]


def test_the_columns_are_those_of_the_dataset() -> None:
    found = burst(SimulatedDevice(1), *CASES[3])
    columns = found.columns()
    assert set(columns) <= set(SCHEMA.names)
    assert table_of({name: [value] for name, value in columns.items()}, 1).num_rows == 1
    assert columns["regime"] == "burst"
    assert columns["runtime_min_s"] <= columns["runtime_s"] <= columns["runtime_max_s"]
    assert columns["batches_s"] == list(found.batches_s)
    assert columns["n_repeats"] == len(found.batches_s)
    assert columns["power_limit_w"] == 700.0
    assert columns["temperature_c"] > 20.0
    assert columns["throttle"] == []
    assert "power_w" not in columns


@pytest.mark.parametrize("fault", ["unsupported", "not_permitted"])
@pytest.mark.parametrize("name", READINGS)
def test_a_reading_that_fails_leaves_its_own_column_empty(name: str, fault: str) -> None:
    device = SimulatedDevice(1, Faults(**{fault: (name,)}))
    columns = burst(device, *CASES[3]).columns()
    empty = {column for column, value in columns.items() if value is None} - {"reason"}
    assert empty == {
        "temperature_c": {"temperature_c", "temperature_end_c"},
        "memory_clock_hz": {"memory_clock_hz"},
        "power_limit_w": {"power_limit_w"},
        "throttle_reasons": {"throttle"},
    }.get(name, set())
    assert columns["status"] == "ok"
    assert columns["runtime_s"] == pytest.approx(device.truth_runtime_s(*CASES[3]), rel=0.01)
