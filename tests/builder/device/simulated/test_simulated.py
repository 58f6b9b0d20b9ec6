"""The simulated GPU: it behaves as hardware does where measuring depends on it."""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
from dataclasses import replace
from itertools import pairwise
from multiprocessing.synchronize import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.device import POWER_CAP, THERMAL, Bound, DeviceError, SensorError
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import FaultError, LaunchFault, Throttling
from builder.device.simulated.traits import Traits
from gpperf_lite import Gemm, Kernel
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._occupancy import obstacle_on

LIBRARY = Kernel.from_name("library")
SMALL = Kernel.from_name("cutlass_simt_sgemm_64x64_8x2_nn_align1")
LARGE = Kernel.from_name("cutlass_simt_sgemm_256x128_8x2_nn_align1")
TILED = Kernel.from_name("tiled_sgemm_16")
HEAVY = Gemm(8192, 8192, 8192, "bf16")
SOUND = Faults()
QUIET = replace(Traits(), noise=0.0, batch_noise=0.0, outlier_share=0.0)


def bound_on(device: SimulatedDevice, kernel: Kernel, gemm: Gemm, copies: int = 1) -> Bound:
    return device.load(kernel, None).bind(gemm, copies)


def square(size: int, dtype: str = "f32") -> Gemm:
    return Gemm(size, size, size, dtype, "nn")


def history(seed: int, faults: Faults = SOUND) -> list[float]:
    """Return a few readings of a device after the same things were done with it."""
    device = SimulatedDevice(seed, faults)
    bound = bound_on(device, TILED, square(512))
    marks = [device.mark()]
    for _ in range(5):
        bound.launch()
        marks.append(device.mark())
    device.wait()
    times = [device.elapsed_s(marks[0], mark) for mark in marks]
    indices = np.arange(4)
    return [*times, device.now_s(), device.sensor.instant_power_w(),
            *bound.compare(indices, indices).got]  # fmt: skip


# Identity and truth


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    assert history(1) == history(1)
    assert history(1) != history(2)
    assert SimulatedDevice(1).identity.uuid == SimulatedDevice(1).identity.uuid
    assert SimulatedDevice(1).identity.uuid != SimulatedDevice(2).identity.uuid


def test_nobody_can_take_it_for_a_real_gpu() -> None:
    device = SimulatedDevice(1, gpu=SimulatedDevice(1).gpu)
    assert device.identity.name == device.gpu.name == "NVIDIA H200 (simulated)"
    assert SimulatedDevice(1, gpu=known_gpus()["rtx4070"]).gpu.name.endswith(" (simulated)")


def test_a_spawned_process_can_build_it_from_plain_data() -> None:
    faults = Faults(other_load=0.5, throttling=(Throttling(0.0, 1.0),))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        text = json.dumps(faults.to_json())
        assert pool.apply(_history_of_json, (7, text)) == history(7, faults)


def _history_of_json(seed: int, text: str) -> list[float]:
    return history(seed, Faults.from_json(json.loads(text)))


@given(
    st.sampled_from([LIBRARY, SMALL, LARGE, TILED]),
    st.tuples(*[st.integers(1, 20000)] * 3),
    st.sampled_from(sorted(known_gpus())),
)
def test_no_truth_is_faster_than_light_or_beyond_the_limit(
    kernel: Kernel, shape: tuple[int, int, int], name: str
) -> None:
    device, gemm = SimulatedDevice(1, gpu=known_gpus()[name]), Gemm(*shape, "f32", "nn")
    runtime_s = device.truth_runtime_s(kernel, gemm)
    assert runtime_s >= gemm.flops / device.gpu.peak_flops["f32"]
    assert device.truth_sustained_s(kernel, gemm) >= runtime_s
    assert device.idle_power_w < device.truth_power_w(kernel, gemm) <= device.power_limit_w * 1.001


def test_the_best_kernel_depends_on_the_shape() -> None:
    device = SimulatedDevice(1)

    def best(gemm: Gemm) -> str:
        return min((SMALL, LARGE, TILED), key=lambda one: device.truth_runtime_s(one, gemm)).name

    names = {best(square(size)) for size in (96, 768, 8192)}
    assert len(names) == 3


def test_a_tile_edge_costs_a_wave() -> None:
    """132 tiles fill the GPU once; one more tile takes a second turn."""
    device = SimulatedDevice(1)
    full = device.truth_runtime_s(LARGE, Gemm(256 * 132, 128, 4096, "f32", "nn"))
    over = device.truth_runtime_s(LARGE, Gemm(256 * 132 + 1, 128, 4096, "f32", "nn"))
    assert over > 1.7 * full


# Work and time


def test_work_is_queued_and_only_waiting_lets_the_host_catch_up() -> None:
    device = SimulatedDevice(1, traits=QUIET)
    bound, gemm = bound_on(device, TILED, square(2048)), square(2048)
    before_s = device.now_s()
    bound.launch()
    mark = device.mark()
    assert device.now_s() - before_s < 1e-4
    assert not device.reached(mark)
    with pytest.raises(DeviceError, match="not reached"):
        device.elapsed_s(mark, mark)
    device.wait()
    assert device.reached(mark)
    assert device.now_s() - before_s > device.truth_runtime_s(TILED, gemm)


def test_events_tick_every_32_ns() -> None:
    device = SimulatedDevice(1)
    first = device.mark()
    bound_on(device, TILED, square(256)).launch()
    last = device.mark()
    device.wait()
    ticks = device.elapsed_s(first, last) / 32e-9
    assert ticks == pytest.approx(round(ticks), abs=1e-6)
    assert ticks > 100


def test_the_host_waits_where_the_queue_is_full() -> None:
    device = SimulatedDevice(1, traits=replace(QUIET, queue_length=10))
    bound = bound_on(device, TILED, square(1024))
    before_s = device.now_s()
    for _ in range(30):
        bound.launch()
    assert device.now_s() - before_s > 18 * device.truth_runtime_s(TILED, square(1024))


def test_a_graph_spares_the_gaps_between_launches() -> None:
    device, gemm = SimulatedDevice(1, traits=QUIET), square(64)
    bound = bound_on(device, SMALL, gemm, 100_000)
    device.spin(0.05)
    marks = [device.mark()]
    bound.graph(200).replay()
    marks.append(device.mark())
    for _ in range(200):
        bound.launch()
    marks.append(device.mark())
    device.wait()
    together_s = device.elapsed_s(marks[0], marks[1]) / 200
    single_s = device.elapsed_s(marks[1], marks[2]) / 200
    assert single_s > 1.1 * together_s


def test_noise_is_about_half_a_percent_with_some_outliers() -> None:
    device = SimulatedDevice(3)
    bound = bound_on(device, TILED, square(512))
    device.spin(0.05)
    marks = [device.mark()]
    for _ in range(500):
        bound.launch()
        marks.append(device.mark())
    device.wait()
    times = np.array([device.elapsed_s(a, b) for a, b in pairwise(marks)])
    shares = times / np.median(times) - 1.0
    assert 0.002 < np.percentile(np.abs(shares), 68) < 0.01
    assert shares.max() > 0.05
    assert shares.min() > -0.05


def test_few_copies_of_small_operands_stay_in_l2_and_are_faster() -> None:
    device, gemm = SimulatedDevice(1, traits=QUIET), Gemm(16, 4096, 4096, "bf16")
    times = []
    for copies in (1, 100):
        graph = bound_on(device, LIBRARY, gemm, copies).graph(100)
        device.spin(0.05)
        first = device.mark()
        graph.replay()
        last = device.mark()
        device.wait()
        times.append(device.elapsed_s(first, last) / 100)
    assert times[1] == pytest.approx(device.truth_runtime_s(LIBRARY, gemm), rel=0.01)
    assert times[0] < 0.9 * times[1]


def test_copies_are_limited_by_the_pools_and_a_gemm_by_the_memory() -> None:
    device = SimulatedDevice(1, traits=replace(QUIET, pool_bytes=1e9))
    assert bound_on(device, TILED, square(4096), 100).copies == 3
    assert bound_on(device, TILED, square(30000), 100).copies == 1
    with pytest.raises(DeviceError) as caught:
        bound_on(device, TILED, square(250_000))
    assert caught.value.code == 2


def test_what_the_gpu_or_the_kernel_cannot_run_is_an_error_of_the_driver() -> None:
    device = SimulatedDevice(1)
    greedy = replace(SMALL, threads=256, shared_bytes=10**6)
    assert obstacle_on(greedy, device.gpu) is not None
    with pytest.raises(DeviceError, match="shared memory"):
        device.load(greedy, b"")
    with pytest.raises(DeviceError, match="layout"):
        bound_on(device, SMALL, replace(square(64), layout="tt"))


# Clocks and power


def test_clocks_rise_within_20_ms_of_work_and_fall_when_there_is_none() -> None:
    device = SimulatedDevice(1)
    assert device.sensor.sm_clock_hz() == pytest.approx(345e6)
    stamps = [device.stamp()]
    for _ in range(3):
        device.spin(10e-3)
        stamps.append(device.stamp())
    device.wait()
    clocks = [device.clock_hz(*pair) for pair in pairwise(stamps)]
    assert clocks[0] < clocks[1] < clocks[2]
    assert clocks[2] == pytest.approx(device.gpu.clock_hz, rel=1e-3)
    device.sleep(0.05)
    assert device.sensor.sm_clock_hz() == pytest.approx(device.gpu.clock_hz)
    device.sleep(0.2)
    assert device.sensor.sm_clock_hz() == pytest.approx(345e6)


def test_the_power_cap_binds_after_some_tens_of_milliseconds_and_holds_the_limit() -> None:
    device = SimulatedDevice(1, traits=QUIET)
    bound = bound_on(device, LIBRARY, HEAVY)
    assert device.truth_sustained_s(LIBRARY, HEAVY) > device.truth_runtime_s(LIBRARY, HEAVY)
    device.spin(0.02)
    device.wait()
    reasons, clocks = [], []
    for _ in range(60):
        first = device.stamp()
        for _ in range(5):
            bound.launch()
        last = device.stamp()
        reasons.append(device.sensor.throttle_reasons())
        device.wait()
        clocks.append(device.clock_hz(first, last))
    capped = [POWER_CAP in one for one in reasons]
    assert not any(capped[:2])
    assert all(capped[20:])
    assert clocks[-1] < 0.99 * device.gpu.clock_hz
    assert device.sensor.instant_power_w() == pytest.approx(device.power_limit_w, rel=0.01)


def test_power_drifts_up_as_the_gpu_warms() -> None:
    device = SimulatedDevice(1)
    readings = []
    for _ in range(3):
        device.spin(1.2)
        device.wait()
        readings.append((device.sensor.temperature_c(), device.sensor.average_power_w()))
        device.spin(20.0)
        device.wait()
    assert readings[0][0] < readings[1][0] < readings[2][0] < 90.0
    assert readings[0][1] < readings[1][1] < readings[2][1] < 1.03 * readings[0][1]


def test_throttling_holds_clocks_down_while_it_lasts_and_says_why() -> None:
    device = SimulatedDevice(1, Faults(throttling=(Throttling(1.0, 2.0, THERMAL, 0.6),)))
    seen = []
    for time_s in (0.8, 1.8, 2.8):
        device.sleep(time_s - device.now_s())
        device.spin(0.05)
        device.sleep(0.04)
        seen.append((device.sensor.throttle_reasons(), device.sensor.sm_clock_hz()))
        device.wait()
    highest_hz = device.gpu.clock_hz
    assert [reasons for reasons, _ in seen] == [frozenset(), {THERMAL}, frozenset()]
    assert [hz / highest_hz for _, hz in seen] == pytest.approx([1.0, 0.6, 1.0], abs=0.01)


# Sensors


def test_the_counter_moves_in_steps_of_100_ms_and_lags() -> None:
    device = SimulatedDevice(4)
    device.sleep(2.0)
    idle_j = device.sensor.total_energy_j()
    device.spin(2.0)
    start_s, steps = device.now_s(), []
    last_j = idle_j
    while device.now_s() < start_s + 1.5:
        energy_j = device.sensor.total_energy_j()
        if energy_j != last_j:
            steps.append((device.now_s() - start_s, energy_j - last_j))
            last_j = energy_j
        device.sleep(1e-3)
    gaps = np.diff([time_s for time_s, _ in steps])
    assert gaps.mean() == pytest.approx(0.1, rel=0.02)
    assert gaps.std() > 5e-4
    in_the_first_120_ms = [step_j for time_s, step_j in steps if time_s < 0.12]
    assert max(in_the_first_120_ms) < 0.2 * steps[-1][1]


def test_average_power_needs_a_second_and_instant_power_does_not() -> None:
    device = SimulatedDevice(1)
    device.sleep(2.0)
    device.spin(2.0)
    device.sleep(0.5)
    instant_w, average_w = device.sensor.instant_power_w(), device.sensor.average_power_w()
    device.sleep(0.8)
    assert average_w < 0.75 * instant_w
    assert device.sensor.average_power_w() == pytest.approx(instant_w, rel=0.02)


def test_each_reading_takes_time_of_the_host() -> None:
    device = SimulatedDevice(1)
    before_s = device.now_s()
    device.sensor.instant_power_w()
    assert device.now_s() - before_s == pytest.approx(device.traits.instant_call_s, rel=0.01)


def test_utilisation_is_that_of_the_last_while() -> None:
    device = SimulatedDevice(1)
    assert device.sensor.utilisation() == 0.0
    device.spin(0.3)
    device.wait()
    assert device.sensor.utilisation() > 0.95
    device.sleep(1.0)
    assert device.sensor.utilisation() == 0.0
    assert SimulatedDevice(1, Faults(other_load=0.4)).sensor.utilisation() == 0.4


def test_a_sensor_fails_where_its_faults_say_so() -> None:
    faults = Faults(unsupported=("total_energy_j",), not_permitted=("sm_clock_hz",))
    sensor = SimulatedDevice(1, faults).sensor
    with pytest.raises(SensorError, match="does not have it"):
        sensor.total_energy_j()
    with pytest.raises(SensorError, match="not permitted"):
        sensor.sm_clock_hz()
    assert sensor.instant_power_w() > 0.0


def test_others_mig_and_a_stuck_counter_show() -> None:
    device = SimulatedDevice(1, Faults(other_processes=2, mig_is_on=True, counter_is_stuck=True))
    assert device.sensor.other_processes() == 2
    assert device.sensor.mig_is_on()
    before_j = device.sensor.total_energy_j()
    device.sleep(1.0)
    assert device.sensor.total_energy_j() == before_j


# Faults of kernels


def test_a_plain_error_comes_with_its_launch_and_a_sticky_one_with_the_next_wait() -> None:
    plain = SimulatedDevice(1, Faults(launches=(LaunchFault("tiled*", code=701, nth=3),)))
    bound = bound_on(plain, TILED, square(64))
    bound.launch()
    bound.launch()
    with pytest.raises(DeviceError, match="too many resources") as caught:
        bound.launch()
    assert not caught.value.is_sticky
    plain.wait()
    bound_on(plain, SMALL, square(64)).launch()
    plain.wait()

    sticky = SimulatedDevice(1, Faults(launches=(LaunchFault("tiled*", code=700, nth=3),)))
    bound = bound_on(sticky, TILED, square(64))
    bound.graph(5).replay()
    with pytest.raises(DeviceError, match="illegal memory access") as caught:
        sticky.wait()
    assert caught.value.is_sticky
    for call in (sticky.wait, sticky.mark, sticky.stamp, bound.launch, lambda: sticky.spin(0.01)):
        with pytest.raises(DeviceError, match="illegal memory access"):
            call()
    with pytest.raises(DeviceError):
        sticky.load(SMALL, None)


def test_a_fault_may_mean_one_shape_only() -> None:
    fault = LaunchFault("*", code=2, shape=(64, 64, 64))
    device = SimulatedDevice(1, Faults(launches=(fault,)))
    bound_on(device, TILED, square(65)).launch()
    with pytest.raises(DeviceError):
        bound_on(device, TILED, square(64)).launch()


@pytest.mark.parametrize(
    ("effect", "code"), [("exit", 1), ("kill", -signal.SIGKILL), ("hang", None)]
)
def test_a_kernel_can_end_its_process_or_block_it_for_ever(effect: str, code: int | None) -> None:
    spawn = multiprocessing.get_context("spawn")
    has_begun = spawn.Event()
    process = spawn.Process(target=_run_into, args=(effect, has_begun))
    process.start()
    assert has_begun.wait(60.0)
    process.join(0.5 if code is None else 60.0)
    assert process.exitcode == code
    process.kill()
    process.join()


def _run_into(effect: str, has_begun: Event) -> None:
    device = SimulatedDevice(1, Faults(launches=(LaunchFault("*", effect),)))
    bound = bound_on(device, TILED, square(64))
    has_begun.set()
    bound.launch()
    device.wait()


@pytest.mark.parametrize("dtype", ["f64", "f32", "tf32", "f16", "bf16", "fp8", "s8"])
def test_results_have_the_rounding_errors_of_their_dtype(dtype: str) -> None:
    device, indices = SimulatedDevice(1), np.arange(256)
    result = bound_on(device, LIBRARY, square(512, dtype)).compare(indices, indices)
    error = np.linalg.norm(result.got - result.wanted) / np.linalg.norm(result.wanted)
    assert result.non_finite == 0
    assert error < 5e-3
    assert (error == 0.0) == (dtype == "s8")


def test_wrong_kernels_are_wrong_and_others_are_not() -> None:
    faults = Faults(wrong=("tiled*",), non_finite=("cutlass_simt_sgemm_256*",))
    device, indices = SimulatedDevice(1, faults), np.arange(64)
    results = [
        bound_on(device, kernel, square(128)).compare(indices, indices)
        for kernel in (TILED, LARGE, SMALL)
    ]
    assert np.abs(results[0].got - results[0].wanted).max() > 1.0
    assert results[1].non_finite > 0
    assert math.isnan(results[1].got[0])
    assert results[2].got == pytest.approx(results[2].wanted, rel=1e-4)


def test_faults_survive_json_and_nonsense_is_refused() -> None:
    faults = Faults(
        unsupported=("sm_clock_hz",),
        throttling=(Throttling(1.0, 2.0, clock_share=0.5),),
        launches=(LaunchFault("tiled*", "hang", 3), LaunchFault("*", shape=(1, 2, 3))),
    )
    assert Faults.from_json(json.loads(json.dumps(faults.to_json()))) == faults
    with pytest.raises(FaultError, match="typo"):
        Faults.from_json({"typo": 1})
    with pytest.raises(FaultError, match="effect"):
        LaunchFault("*", "explode")
    with pytest.raises(FaultError, match="reason"):
        Throttling(0.0, 1.0, POWER_CAP)
