"""The real device on an emulated driver: what `builder.device.cuda` does with each call.

conftest.py runs the cases in a process of their own, in which libcuda.so.1 is the emulated one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from stand_ins.emulated_driver.emulation import Emulation, build_cublaslt

from builder.architectures import ArchitectureError
from builder.device import Bound, DeviceError, SensorError
from builder.device.cuda import CudaOptions, NoSensor, list_gpus, load_driver, open_gpu
from builder.device.cuda.cublaslt import CublasLt
from builder.device.cuda.device import CudaDevice
from builder.device.cuda.facts import read_facts
from builder.device.cuda.launching import Arguments, Launcher, LaunchShape, Module
from builder.device.cuda.pools import PoolOptions
from builder.device.interface import STICKY_FAULTS
from builder.measure import PowerRules, Protocol, SensorCheck, measure_sustained
from builder.measure.power_trace import SOURCES
from builder.measure.sensor_check import SourceCheck
from gpperf_lite import Gemm, Kernel
from gpperf_lite._kernel import LIBRARY

pytestmark = pytest.mark.slow

SGEMM = Kernel.from_name("tiled_sgemm_8")
DEMANDING = Kernel("demanding", "cutlass3", "f32")
POOLS = PoolOptions(0.03, 0.05, 64 << 10)
MIB = 1 << 20


@pytest.fixture(scope="session")
def cublaslt() -> str:
    return str(build_cublaslt(Emulation().folder))


@pytest.fixture
def emulation() -> Iterator[Emulation]:
    emulation = Emulation()
    emulation.size(4, MIB // 4, 64 * MIB)
    yield emulation
    emulation.recover()
    assert emulation.alive() == {}


def opened(emulation: Emulation, **options: Any) -> CudaDevice:
    card = list_gpus()[0]
    cubin = emulation.image("support")
    chosen = CudaOptions(lambda _: cubin, pools=POOLS, **options)
    return CudaDevice(load_driver(), card, NoSensor("none here"), cubin, chosen)


@pytest.fixture
def device(emulation: Emulation, cublaslt: str) -> Iterator[CudaDevice]:
    options = {"library": lambda: CublasLt(ctypes.CDLL(cublaslt), "")}
    with opened(emulation, **options) as device:
        yield device


def whole(gemm: Gemm) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of every entry of a result."""
    rows, columns = np.divmod(np.arange(gemm.m * gemm.n, dtype=np.int64), gemm.n)
    return rows, columns


@contextmanager
def bound_to(
    device: CudaDevice, emulation: Emulation, name: str, gemm: Gemm, copies: int = 1
) -> Iterator[Bound]:
    """Load the kernel that stands under a name and bind it to a GEMM."""
    kernel = DEMANDING if name == "demanding" else Kernel.from_name(name)
    image = emulation.image(name)
    with device.load(kernel, image) as program, program.bind(gemm, copies) as bound:
        yield bound


def error_of(bound: Bound) -> float:
    """Return the norm of the error over the norm of the result; NaN for one with gaps."""
    comparison = bound.compare(*whole(bound.gemm))
    if comparison.non_finite:
        return float("nan")
    return float(
        np.linalg.norm(comparison.got - comparison.wanted) / np.linalg.norm(comparison.wanted)
    )


# -- which GPU -------------------------------------------------------------------------------------


def test_gpus_are_listed_without_a_context(emulation: Emulation) -> None:
    cards = list_gpus()
    assert [card.name for card in cards] == ["NVIDIA H200", "NVIDIA Unheard Of"]
    assert cards[0].uuid == "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0"
    assert cards[1].pci == "0000:C1:00.0"
    assert emulation.alive() == {}


def test_a_gpu_is_what_its_driver_says(device: CudaDevice) -> None:
    gpu = device.gpu
    assert (gpu.name, gpu.compute_capability, gpu.sm_count) == ("NVIDIA H200", (9, 0), 4)
    assert (gpu.clock_hz, gpu.l2_bytes, gpu.memory_bytes) == (1.98e9, MIB / 4, 64 * MIB)
    # 6144 bits, two transfers a clock of 3201 MHz.
    assert gpu.dram_bytes_per_s == pytest.approx(4.917e12, rel=1e-3)
    assert (device.identity.cuda, device.identity.driver) == ("13.0", "unknown")


def test_peaks_are_of_the_data_sheet_where_the_gpu_is_known_and_whole(
    emulation: Emulation,
) -> None:
    driver, card = load_driver(), list_gpus()[0]
    part = read_facts(driver, card, None)
    emulation.size(132, 60 * MIB, 64 * MIB)
    whole_gpu = read_facts(driver, card, 650.0)
    assert "data sheet" not in part.provenance["peak_flops"]
    assert "bf16" in whole_gpu.provenance["peak_flops"].partition("data sheet")[0]
    assert whole_gpu.gpu.peak_flops["bf16"] == pytest.approx(989.4e12)
    assert (part.gpu.power_limit_w, whole_gpu.gpu.power_limit_w) == (700.0, 650.0)
    assert whole_gpu.provenance["power_limit_w"].startswith("NVML")


def test_memory_without_a_clock_is_as_fast_as_the_data_sheet_says(emulation: Emulation) -> None:
    emulation.memory_clock(0)
    known, unknown = list_gpus()
    found = read_facts(load_driver(), known, None)
    assert found.gpu.dram_bytes_per_s == 4.8e12
    assert found.provenance["dram_bytes_per_s"] == "gpperf_lite/gpus.json"
    wanted = "does not tell the dram_bytes_per_s of 'NVIDIA Unheard Of'.*add its data sheet"
    with pytest.raises(DeviceError, match=wanted):
        read_facts(load_driver(), unknown, None)


def test_a_gpu_that_nobody_knows_cannot_be_opened(emulation: Emulation) -> None:
    with pytest.raises(DeviceError, match=r"no GPU by the name 7.*NVIDIA H200"):
        open_gpu(7, CudaOptions(lambda _: b""))


def test_a_gpu_that_nothing_can_be_compiled_for_is_not_opened(emulation: Emulation) -> None:
    emulation.capability(70)
    with pytest.raises(
        ArchitectureError, match=r"^NVIDIA H200: CUDA 13 .* sm_70 \(Volta\) is older"
    ):
        open_gpu(0, CudaOptions(never_asked))


def never_asked(capability: tuple[int, int]) -> bytes:
    raise AssertionError(f"support kernels were asked for {capability}")


# -- operands --------------------------------------------------------------------------------------


def test_a_problem_gets_the_copies_that_it_asks_for(
    device: CudaDevice, emulation: Emulation
) -> None:
    gemm = Gemm(16, 24, 8, "f32", "nn")
    with bound_to(device, emulation, "tiled_sgemm_8", gemm, 5) as bound:
        assert bound.copies == 5
        assert bound.bytes_per_copy == 4 * (16 * 8 + 8 * 24 + 16 * 24)
        assert bound.gemm == gemm


def test_fewer_copies_are_given_where_the_pools_hold_no_more(
    device: CudaDevice, emulation: Emulation
) -> None:
    gemm = Gemm(256, 256, 256, "f32", "nn")
    with bound_to(device, emulation, "tiled_sgemm_8", gemm, 1000) as bound:
        # 3 % of what is free, in pairs of 256 KiB.
        assert 1 <= bound.copies <= 64 * MIB * 0.03 / (512 << 10)


def test_a_problem_that_does_not_fit_is_an_error_that_can_be_passed(
    device: CudaDevice, emulation: Emulation
) -> None:
    with device.load(SGEMM, emulation.image("tiled_sgemm_8")) as program:
        with pytest.raises(DeviceError, match="do not fit") as caught:
            program.bind(Gemm(2048, 2048, 2048, "f32", "nn"), 1)
        assert caught.value.code == 2
        assert not caught.value.is_sticky
        with program.bind(Gemm(8, 8, 8, "f32", "nn"), 1) as bound:
            assert error_of(bound) < 1e-6


def test_no_memory_is_taken_once_pools_are_filled(device: CudaDevice, emulation: Emulation) -> None:
    with device.load(SGEMM, emulation.image("tiled_sgemm_8")) as program:
        program.bind(Gemm(8, 8, 8, "f32", "nn"), 1).close()
        before = emulation.alive()
        for size in (8, 40, 100):
            program.bind(Gemm(size, size, size, "f32", "tn", beta=1.0), 9).close()
        assert emulation.alive() == before


def test_successive_problems_have_operands_of_their_own(
    device: CudaDevice, emulation: Emulation
) -> None:
    gemm = Gemm(8, 8, 8, "f32", "nn")
    with device.load(SGEMM, emulation.image("tiled_sgemm_8")) as program:
        with program.bind(gemm, 1) as one, program.bind(gemm, 1) as two:
            first, second = (bound.compare(*whole(gemm)).wanted for bound in (one, two))
        assert np.all(first != second)
    assert abs(float(np.mean(first / np.sqrt(8)))) < 1.0


# -- compiled kernels ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize(("letter", "dtype", "limit"), [("s", "f32", 1e-6), ("d", "f64", 1e-14)])
def test_a_kernel_multiplies_in_every_layout(
    device: CudaDevice, emulation: Emulation, layout: str, letter: str, dtype: str, limit: float
) -> None:
    name = f"tiled_{letter}gemm_8"
    gemm = Gemm(9, 13, 21, dtype, layout, alpha=1.5)
    with bound_to(device, emulation, name, gemm, 3) as bound:
        assert error_of(bound) < limit


def test_f16_operands_are_read_as_f16(device: CudaDevice, emulation: Emulation) -> None:
    with bound_to(device, emulation, "tiled_hgemm_8", Gemm(9, 13, 21, "f16", "nt")) as bound:
        assert 0.0 < error_of(bound) < 1e-3


@pytest.mark.parametrize("batch", [1, 3])
def test_beta_reads_a_c_that_is_not_d(device: CudaDevice, emulation: Emulation, batch: int) -> None:
    gemm = Gemm(9, 13, 21, "f32", "tn", batch=batch, alpha=2.0, beta=-0.5)
    with bound_to(device, emulation, "tiled_sgemm_8", gemm, 2) as bound:
        # Thrice: what was written must not have become what is read.
        assert [error_of(bound) < 1e-6 for _ in range(3)] == [True] * 3


def test_a_graph_rotates_over_the_copies(device: CudaDevice, emulation: Emulation) -> None:
    gemm = Gemm(8, 8, 8, "f32", "nn")
    with bound_to(device, emulation, "tiled_sgemm_8", gemm, 3) as bound:
        before = emulation.count("launches")
        with bound.graph(7) as graph:
            assert graph.launches == 7
            assert emulation.count("launches") == before
            graph.replay()
            graph.replay()
        device.wait()
        assert emulation.count("launches") == before + 14
        # Seven launches further, the second copy has its turn.
        wanted = [bound.compare(*whole(gemm)).wanted for _ in range(4)]
    assert np.array_equal(wanted[0], wanted[3])
    assert not np.array_equal(wanted[0], wanted[1])


def test_a_demanding_kernel_gets_its_cluster_its_shared_memory_and_a_clean_workspace(
    device: CudaDevice, emulation: Emulation
) -> None:
    with bound_to(device, emulation, "demanding", Gemm(5, 6, 8, "f32", "tn"), 2) as bound:
        assert error_of(bound) < 1e-6
        assert emulation.cluster() == (2, 1, 1)
        with bound.graph(3) as graph:
            before = emulation.count("memsets")
            graph.replay()
            device.wait()
            assert emulation.count("memsets") == before + 3
        assert error_of(bound) < 1e-6


@pytest.mark.parametrize("k", [7, 10])
def test_what_a_kernel_cannot_run_is_an_error_that_can_be_passed(
    device: CudaDevice, emulation: Emulation, k: int
) -> None:
    """It says so by a grid of no blocks; or asks for more than CUDA launches."""
    with device.load(DEMANDING, emulation.image("demanding")) as program:
        with pytest.raises(DeviceError, match="cannot run") as caught:
            program.bind(Gemm(5, 6, k, "f32", "tn"), 1)
        assert not caught.value.is_sticky


def test_workspaces_of_programs_that_are_bound_at_a_time_are_apart(
    device: CudaDevice, emulation: Emulation
) -> None:
    """64 KiB hold 64 workspaces of 1000 bytes; what is closed can be had again."""
    gemm = Gemm(4, 4, 4, "f32", "tn")
    with device.load(DEMANDING, emulation.image("demanding")) as program:
        bounds = [program.bind(gemm, 1) for _ in range(64)]
        with pytest.raises(DeviceError, match="workspace"):
            program.bind(gemm, 1)
        for bound in bounds[10:20]:
            bound.close()
            bound.close()
        bounds[10:20] = [program.bind(gemm, 1) for _ in range(10)]
        assert all(error_of(bound) < 1e-6 for bound in bounds)


def test_a_workspace_is_given_back_where_binding_fails_after_it_was_taken(
    device: CudaDevice, emulation: Emulation
) -> None:
    gemm = Gemm(4, 4, 4, "f32", "tn")
    with device.load(DEMANDING, emulation.image("demanding")) as program:
        emulation.fail("cuTensorMapEncodeTiled", 1)
        for _ in range(70):
            with pytest.raises(DeviceError, match="cuTensorMapEncodeTiled"):
                program.bind(gemm, 1)
        emulation.recover()
        with program.bind(gemm, 1) as bound:
            assert error_of(bound) < 1e-6


def test_a_kernel_that_is_not_compiled_is_refused(device: CudaDevice) -> None:
    with pytest.raises(DeviceError, match="must be compiled"):
        device.load(SGEMM, None)


def test_what_is_no_cubin_is_refused(device: CudaDevice) -> None:
    with pytest.raises(DeviceError, match="cuModuleLoadData"):
        device.load(SGEMM, b"nonsense\0")


def test_a_cubin_of_a_later_cuda_is_refused_with_advice(
    device: CudaDevice, emulation: Emulation
) -> None:
    with pytest.raises(DeviceError, match="later CUDA than the driver's: install") as caught:
        device.load(SGEMM, emulation.image("tiled_sgemm_8", 13010))
    assert caught.value.code == 200


def test_a_driver_that_is_too_old_is_refused_before_anything_is_opened(
    emulation: Emulation,
) -> None:
    emulation.supports(12080)
    wanted = r"supports CUDA 12\.8, these kernels need 13\.0: install a driver of release 580"
    for opens in (list_gpus, lambda: open_gpu(0, CudaOptions(lambda _: b""))):
        with pytest.raises(DeviceError, match=wanted):
            opens()
    assert emulation.alive() == {}


def test_a_kernel_gets_exactly_the_arguments_that_it_has(
    device: CudaDevice, emulation: Emulation
) -> None:
    """The emulated driver counts them, which the real one cannot."""
    with Module(load_driver(), emulation.image("support")) as module:
        fill = module.function("fill_nan")
        launcher = Launcher(load_driver())
        values = [ctypes.c_void_p(0), ctypes.c_longlong(0), ctypes.c_int(0)]
        for given in (values, values[:2], [*values, ctypes.c_int(0)]):
            arguments = Arguments(given)
            shape = LaunchShape((1, 1, 1), (32, 1, 1))
            if given is values:
                launcher.launch(fill, shape, arguments.address)
                launcher.wait()
                continue
            with pytest.raises(DeviceError, match="cuLaunchKernel"):
                launcher.launch(fill, shape, arguments.address)
        launcher.close()


def test_a_code_that_the_bindings_do_not_know_is_an_error_of_ours(
    device: CudaDevice, emulation: Emulation
) -> None:
    mark = device.mark()
    device.wait()
    emulation.fail("cuEventQuery", 12345)
    with pytest.raises(DeviceError, match="cuda-python does not know: install a newer") as caught:
        device.reached(mark)
    assert caught.value.code == 12345
    emulation.recover()


# -- the library -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f32", "bf16", "s8", "fp8"])
def test_the_library_multiplies_what_lies_in_the_pools(device: CudaDevice, dtype: str) -> None:
    gemm = Gemm(16, 32, 48, dtype, "tn", batch=2, beta=1.0)
    with device.load(LIBRARY, None) as program, program.bind(gemm, 3) as bound:
        assert error_of(bound) <= {"s8": 0.0, "f32": 1e-6}.get(dtype, 5e-3)
        assert bound.algorithm is not None
        assert bound.algorithm["id"] == 66
        with bound.graph(2) as graph:
            graph.replay()
        device.wait()


def test_a_kernel_of_the_library_is_loaded_before_power_is_measured_in_graphs(
    device: CudaDevice,
) -> None:
    """Its first launch within a capture fails, as after a worker was started anew."""
    missing = tuple(SourceCheck(source.name, "none here") for source in SOURCES)
    check = SensorCheck(missing, (), (), None, None, None, None, 0.0)
    brief = Protocol(power=PowerRules(settle_s=0.01, counter_window_s=0.05))
    with device.load(LIBRARY, None) as program, program.bind(Gemm(8, 8, 8, "f64"), 2) as bound:
        with pytest.raises(DeviceError, match="cublasLtMatmul"):
            bound.graph(2)
        found = measure_sustained(device, bound, brief, check, 1e-3)
    assert found.replays > 0


def test_what_the_library_cannot_run_is_an_error_that_can_be_passed(device: CudaDevice) -> None:
    with device.load(LIBRARY, None) as program:
        with pytest.raises(DeviceError, match="no kernel for s8 nn") as caught:
            program.bind(Gemm(16, 16, 16, "s8", "nn"), 1)
        assert caught.value.code == 0


# -- clocks, marks and loads -----------------------------------------------------------------------


def test_work_is_queued_and_the_host_goes_on(device: CudaDevice) -> None:
    device.spin(0.5)
    last = device.mark()
    assert not device.reached(last)
    device.wait()
    assert device.reached(last)


def test_marks_are_reached_in_order_and_time_passes_between_them(device: CudaDevice) -> None:
    first = device.mark()
    device.spin(1e-3)
    last = device.mark()
    device.wait()
    assert device.reached(first)
    assert device.reached(last)
    assert device.elapsed_s(first, last) > 0.0
    assert device.elapsed_s(first, first) == 0.0


def test_the_clock_is_that_of_the_same_sms_between_two_stamps(device: CudaDevice) -> None:
    first = device.stamp()
    device.spin(1e-3)
    last = device.stamp()
    device.wait()
    # The emulated SMs run at 1.5 GHz.
    assert device.clock_hz(first, last) == pytest.approx(1.5e9, rel=0.05)


def test_a_clock_without_time_or_too_early_or_between_marks_is_an_error(device: CudaDevice) -> None:
    device.spin(0.5)
    stamp = device.stamp()
    with pytest.raises(DeviceError, match="not reached"):
        device.clock_hz(stamp, stamp)
    device.wait()
    with pytest.raises(DeviceError, match="more time"):
        device.clock_hz(stamp, stamp)
    with pytest.raises(DeviceError, match="stamps, not marks"):
        device.clock_hz(device.mark(), stamp)


def test_marks_and_stamps_are_forgotten_in_the_end(device: CudaDevice) -> None:
    old = device.stamp()
    for _ in range(4096):
        stamp = device.stamp()
    with pytest.raises(DeviceError, match="ask earlier"):
        device.clock_hz(old, stamp)
    for _ in range(8192):
        device.mark()
    with pytest.raises(DeviceError, match="ask earlier"):
        device.reached(stamp)


def test_an_empty_kernel_is_timed_like_any_other(device: CudaDevice, emulation: Emulation) -> None:
    with device.empty() as empty:
        before = emulation.count("launches")
        with empty.graph(5) as graph:
            graph.replay()
        empty.launch()
        assert emulation.count("launches") == before + 6
        with pytest.raises(DeviceError, match="no result"):
            empty.compare(np.zeros(1, np.int64), np.zeros(1, np.int64))


def test_the_hosts_clock_goes_on(device: CudaDevice) -> None:
    before = device.now_s()
    device.sleep(-1.0)
    assert device.now_s() >= before


def test_sensors_that_are_missing_do_not_keep_a_gpu_from_being_opened(device: CudaDevice) -> None:
    with pytest.raises(SensorError, match="none here"):
        device.sensor.total_energy_j()
    assert device.gpu.power_limit_w == 700.0  # of the data sheet


# -- faults ----------------------------------------------------------------------------------------


def everything(emulation: Emulation, cublaslt: str) -> None:
    """Use all of a device once."""
    options = {"library": lambda: CublasLt(ctypes.CDLL(cublaslt), "")}
    gemm = Gemm(2, 2, 2, "f32", "tn")
    with opened(emulation, **options) as device:
        first = device.stamp()
        with bound_to(device, emulation, "demanding", gemm, 2) as bound:
            bound.compare(np.zeros(1, np.int64), np.zeros(1, np.int64))
            with bound.graph(2) as graph:
                graph.replay()
        with device.load(LIBRARY, None).bind(gemm, 2) as bound:
            bound.launch()
            with bound.graph(1) as graph:
                graph.replay()
        last = device.stamp()
        device.wait()
        device.clock_hz(first, last)
        device.elapsed_s(first, last)


def error_of_everything(emulation: Emulation, cublaslt: str) -> DeviceError | None:
    """Return what ended the use of a device, None where nothing did."""
    try:
        everything(emulation, cublaslt)
    except DeviceError as error:
        return error
    return None


@pytest.mark.parametrize("code", [1, 700])
def test_whatever_call_fails_is_named_and_nothing_leaks(
    emulation: Emulation, cublaslt: str, code: int
) -> None:
    emulation.size(1, MIB // 16, 32 * MIB)
    before = emulation.count("calls")
    everything(emulation, cublaslt)
    n_calls = emulation.count("calls") - before
    errors = []
    for call in range(1, n_calls + 1):
        emulation.fail_at(call, code)
        error = error_of_everything(emulation, cublaslt)
        errors += [error] if error is not None else []
        emulation.recover()
        assert emulation.alive() == {}, f"call {call}: {error}"
    assert {error.code for error in errors} == {code}
    assert {error.is_sticky for error in errors} == {code in STICKY_FAULTS}
    assert all(error.call.startswith("cu") for error in errors)
    # All calls but those that give something back: the emulated driver never fails these.
    assert len(errors) > 0.7 * n_calls > 70


def test_an_illegal_address_is_told_by_its_code_and_everything_can_still_be_closed(
    emulation: Emulation,
) -> None:
    gemm = Gemm(4, 4, 4, "f32", "nn")
    with opened(emulation) as device, device.load(SGEMM, emulation.image("broken")) as program:
        bound = program.bind(gemm, 1)
        with pytest.raises(DeviceError) as caught:
            bound.compare(*whole(gemm))
        assert caught.value.code == 700
        assert caught.value.is_sticky
        with pytest.raises(DeviceError):
            device.wait()


def test_a_device_may_be_closed_twice(emulation: Emulation) -> None:
    device = opened(emulation)
    device.close()
    device.close()


def test_too_little_memory_to_open_says_what_to_do(emulation: Emulation) -> None:
    emulation.size(4, MIB // 4, 8 * MIB)
    with pytest.raises(DeviceError, match="end other processes") as caught:
        opened(emulation)
    assert caught.value.code == 2
