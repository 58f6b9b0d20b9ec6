"""Fitting the physical model: a synthetic machine is found again, from the same rows the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import CUTLASS_KERNEL, GPU, points_at

from builder.dataset import Points
from builder.train import Kernels, describe_points
from builder.train.physics import Constants, fit_constants
from gpperf_lite import Kernel
from gpperf_lite._arithmetic import SCALARS
from gpperf_lite._features import ALL_FEATURES, describe
from gpperf_lite._physics import CONSTANTS, View

LIBRARY = {"library": Kernel.from_name("library")}
CUTLASS = {CUTLASS_KERNEL: Kernel.from_name(CUTLASS_KERNEL)}
MACHINES = [("library", LIBRARY, "bf16", "tn"), ("kernel", CUTLASS, "f32", "nn")]

RATES = {"s_per_mac": 1.3, "s_per_l2_byte": 1.5, "s_per_dram_byte": 1.2}
"""How much slower than the peak the synthetic machine is."""


def shapes(n_rows: int, kernels: Kernels, dtype: str, layout: str) -> Points:
    """Return points of every magnitude, with a runtime that is not yet theirs."""
    random = np.random.default_rng(7)
    exponents = random.uniform([0, 6, 6], [13, 14, 14], (n_rows, 3))
    sizes = [(int(m), int(n), int(k)) for m, n, k in np.exp2(exponents)]
    return points_at(
        sizes,
        kernel=np.full(n_rows, next(iter(kernels)), object),
        dtype=np.full(n_rows, dtype, object),
        layout=np.full(n_rows, layout, object),
    )


def machine(form: str, dtype: str) -> dict[str, float]:
    """Return constants of a plausible machine: each within its limits, rates below the peaks."""
    mac_s, byte_s = 2.0 / GPU.peak_flops[dtype], 1.0 / GPU.dram_bytes_per_s
    usual = {
        "launch_s": 4e-6,
        "unhidden": 0.15,
        "resident_bytes": 0.8 * GPU.l2_bytes,
        "miss_growth": 1.5,
        "rotation": 2.0,
        "s_per_mac": RATES["s_per_mac"] * mac_s,
        "s_per_l2_byte": RATES["s_per_l2_byte"] / GPU.l2_bytes_per_s,
        "s_per_dram_byte": RATES["s_per_dram_byte"] * byte_s,
        "s_per_written_byte": 0.1 * byte_s,
        "split_s": 2e-6,
        "split_s_per_element": 4.0 * byte_s,
        "sm_s_per_mac": 1.4 * mac_s * GPU.sm_count,
    }
    constants = {}
    for name, low, high in CONSTANTS[form]:
        if name.startswith("tile_") and name.endswith("_s_per_k"):
            m, n = (int(side) for side in name.split("_")[1].split("x"))
            usual[name] = 1.5 * m * n * mac_s * GPU.sm_count
        constants[name] = usual.get(name, 1e-7 if name.endswith("_s") else 1e-12)
        assert low <= constants[name] <= high
    return constants


def measured(points: Points, kernels: Kernels, constants: Constants) -> Points:
    """Return the points as the machine with these constants would run them."""
    return replace(points, runtime_s=describe_points(points, GPU, kernels, constants).base_s)


@pytest.mark.parametrize(
    ("form", "kernels", "dtype", "layout", "median", "largest"),
    # What a library does is the fastest of many candidates, so its constants hide one another.
    [(*MACHINES[0], 0.02, 0.2), (*MACHINES[1], 1e-4, 1e-3)],
)
def test_a_synthetic_machine_is_found_again(
    form: str, kernels: Kernels, dtype: str, layout: str, median: float, largest: float
) -> None:
    points = measured(shapes(400, kernels, dtype, layout), kernels, machine(form, dtype))
    found = fit_constants(points, GPU, kernels)
    again = describe_points(points, GPU, kernels, found).base_s
    error = np.abs(again / points.runtime_s - 1.0)
    assert np.median(error) < median
    assert error.max() < largest


@pytest.mark.parametrize(("form", "kernels", "dtype", "layout"), MACHINES)
def test_constants_are_within_their_limits_and_no_rate_beats_the_hardware(
    form: str, kernels: Kernels, dtype: str, layout: str
) -> None:
    """Even where the rows themselves are faster than can be."""
    points = shapes(100, kernels, dtype, layout)
    hasty = replace(points, runtime_s=np.full(100, 1e-8))
    found = fit_constants(hasty, GPU, kernels)
    assert set(found) == {name for name, _, _ in CONSTANTS[form]}
    for name, low, high in CONSTANTS[form]:
        assert low <= found[name] <= high
        assert found[name] == float(f"{found[name]:.5g}")
    almost = 1 - 1e-4
    assert found["s_per_mac"] >= almost * 2.0 / GPU.peak_flops[dtype]
    assert found["s_per_dram_byte"] >= almost / GPU.dram_bytes_per_s
    assert found["s_per_l2_byte"] >= almost / GPU.l2_bytes_per_s


@pytest.mark.slow
def test_the_same_rows_give_the_same_constants_also_where_only_some_are_looked_at() -> None:
    points = measured(shapes(2100, CUTLASS, "f32", "nn"), CUTLASS, machine("kernel", "f32"))
    assert fit_constants(points, GPU, CUTLASS) == fit_constants(points, GPU, CUTLASS)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_a_handful_of_rows_can_be_fitted(n_rows: int) -> None:
    points = measured(shapes(n_rows, CUTLASS, "f32", "nn"), CUTLASS, machine("kernel", "f32"))
    found = fit_constants(points, GPU, CUTLASS)
    assert (describe_points(points, GPU, CUTLASS, found).base_s > 0).all()


def test_a_row_is_described_by_its_own_kernel_layout_and_beta_whatever_is_beside_it() -> None:
    """And to the bit as the runtime describes it."""
    names = [CUTLASS_KERNEL, CUTLASS_KERNEL.replace("_nn_", "_tt_")]
    kernels = {name: Kernel.from_name(name) for name in names}
    count = np.arange(24)
    points = replace(
        shapes(24, kernels, "f32", "nn"),
        kernel=np.array(names, object)[count % 2],
        layout=np.array(["nn", "tt"], object)[count % 2],
        beta=np.array([0.0, 0.0, 0.5, -1.0])[count % 4],
        batch=np.array([1.0, 1.0, 1.0, 4.0])[count % 4],
    )
    constants = machine("kernel", "f32")
    whole = describe_points(points, GPU, kernels, constants)
    assert whole.columns.shape == (len(ALL_FEATURES), 24)
    for index in range(24):
        kernel, layout = points.kernel[index], points.layout[index]
        view = View(GPU, "f32", layout, kernels[kernel], constants)
        m, n, k, batch = (float(getattr(points, x)[index]) for x in ("m", "n", "k", "batch"))
        one = describe(m, n, k, batch, float(points.beta[index] != 0.0), view, SCALARS)
        assert whole.columns[:, index].tolist() == np.array(one.row, np.float32).tolist()
        assert whole.base_s[index] == one.base_s
        assert whole.light_s[index] == one.light_s
        assert whole.macs_s[index] == one.macs_s
        assert whole.dram_s[index] == one.dram_s
