"""Numbers: every family of kernels, every dtype and layout, held against float64 on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import gpu_kernels as kernels
import numpy as np
import pytest
from gpu_children import in_child, verified

from builder.device import Bound, DeviceError, Program
from builder.device.cuda import Card
from builder.device.cuda.device import CudaDevice
from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.measure import Protocol
from builder.measure.correctness import awkward_gemms, entries
from gpperf_lite import Gemm
from gpperf_lite._gemm import LAYOUTS
from gpperf_lite._occupancy import obstacle_on

PROVEN = kernels.chosen(kernels.PROVEN)
UNPROVEN = kernels.unproven()
LIBRARY_DTYPES = ("f64", "f32", "tf32", "f16", "bf16", "s8", "fp8")
HALF_SUMS = 2e-2
"""Sums that are kept in f16 lose a bit with every doubling of k."""

Load = Callable[[Build], Program]


def names(builds: list[Build]) -> list[str]:
    return [build.kernel.name for build in builds]


def error_of(bound: Bound, count: int = 0) -> float:
    """Return the norm of the error over that of the result, of all entries or of some."""
    gemm = bound.gemm
    if count:
        rows, columns = entries(gemm, count, 1)
    else:
        rows, columns = np.divmod(np.arange(gemm.m * gemm.n, dtype=np.int64), gemm.n)
    found = bound.compare(rows, columns)
    assert found.non_finite == 0
    return float(np.linalg.norm(found.got - found.wanted) / np.linalg.norm(found.wanted))


def problems(build: Build, dtype: str | None = None) -> Iterator[Gemm]:
    """Yield awkward shapes, one that is large, one with beta, and a batch."""
    small = awkward_gemms(build.kernel, dtype)
    large = replace(small[0], m=1024, n=1536, k=2048)
    yield from (*small, large)
    yield replace(small[2], alpha=2.0, beta=-1.0)
    yield replace(small[1], batch=3)


def limit(build: Build, dtype: str, protocol: Protocol) -> float:
    return HALF_SUMS if build.accumulator == "f16" else protocol.correctness.error_limit(dtype)


@pytest.mark.parametrize("build", PROVEN, ids=names(PROVEN))
def test_a_kernel_gives_right_results(
    device: CudaDevice, load: Load, protocol: Protocol, build: Build
) -> None:
    """What this GPU cannot run is left out here as a plan leaves it out."""
    if obstacle_on(build.kernel, device.gpu) is not None:
        return
    with load(build) as program:
        gemms = [gemm for gemm in problems(build) if build.obstacle(gemm) is None]
        assert len(gemms) >= 4
        for gemm in gemms:
            with program.bind(gemm, 3) as bound:
                error = error_of(bound, 0 if gemm.m < 1000 else 4096)
                assert error <= limit(build, gemm.dtype, protocol), gemm


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", LIBRARY_DTYPES)
def test_the_library_gives_right_results_or_says_that_it_cannot(
    device: CudaDevice, load: Load, protocol: Protocol, dtype: str, layout: str
) -> None:
    """Multiples of 16, for tensor cores; s8 and fp8 must work in layout tn alone."""
    if dtype not in device.gpu.peak_flops:
        return
    with load(catalogue()["library"]) as program:
        found = bound_or_refused(program, Gemm(272, 144, 528, dtype, layout))
        if isinstance(found, DeviceError):
            assert not found.is_sticky
            assert (dtype in {"s8", "fp8"}, layout != "tn") == (True, True), found
            return
        with found:
            assert found.algorithm is not None
            print(dtype, layout, found.algorithm)
            assert error_of(found) <= protocol.correctness.error_limit(dtype)


def bound_or_refused(program: Program, gemm: Gemm) -> Bound | DeviceError:
    """Return a program bound to a GEMM, or why it cannot be."""
    try:
        return program.bind(gemm, 3)
    except DeviceError as error:
        return error


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_the_library_takes_batches_beta_and_odd_sizes(
    device: CudaDevice, load: Load, protocol: Protocol, dtype: str
) -> None:
    with load(catalogue()["library"]) as program:
        for gemm in (
            Gemm(1, 333, 77, dtype, "tn"),
            Gemm(129, 65, 33, dtype, "nn", batch=3),
            Gemm(130, 66, 34, dtype, "nt", alpha=2.0, beta=-1.0),
        ):
            with program.bind(gemm, 2) as bound:
                assert error_of(bound) <= protocol.correctness.error_limit(dtype), gemm


def test_results_do_not_depend_on_which_launch_they_are_of(device: CudaDevice, load: Load) -> None:
    """Slices along k share a workspace: it must be as clean after a graph as before."""
    name = "cutlass_simt_sgemm_64x64_8x2_nt_align1_splitk8"
    gemm = Gemm(200, 136, 1000, "f32", "nt")
    with load(catalogue()[name]) as program, program.bind(gemm, 2) as bound:
        before = error_of(bound)
        with bound.graph(64) as graph:
            for _ in range(5):
                graph.replay()
            device.wait()
        assert before < 1e-5
        assert error_of(bound) < 1e-5


@pytest.mark.parametrize("build", UNPROVEN, ids=names(UNPROVEN))
@pytest.mark.xfail(reason="cutlass3 was never seen to run", strict=False)
def test_a_kernel_of_cutlass_3_gives_right_results(
    card: Card, device: CudaDevice, reasons: dict[str, str], build: Build
) -> None:
    """To be verified: in a process of its own, because it may hang or lose the context."""
    if device.gpu.compute_capability != (9, 0):
        return
    assert build.kernel.name not in reasons, reasons[build.kernel.name]
    found = in_child(verified, card.uuid, build.kernel.name, kernels.cache(), timeout_s=15.0)
    assert found == "right"


def test_operands_are_normal_and_those_of_copies_differ(device: CudaDevice, load: Load) -> None:
    """A product with a k of 1 shows single elements."""
    gemm = Gemm(2000, 1, 1, "f32", "nn")
    rows = np.arange(gemm.m, dtype=np.int64)
    with load(catalogue()["tiled_sgemm_16"]) as program, program.bind(gemm, 2) as bound:
        first, second = (bound.compare(rows, 0 * rows).wanted for _ in range(2))
    for products in (first, second):
        ratio = float(np.std(products) / np.abs(products).mean())
        assert ratio == pytest.approx(np.sqrt(np.pi / 2), rel=0.1)
    assert not np.array_equal(first, second)
