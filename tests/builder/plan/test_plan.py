"""The plan: what a sweep comes to on a GPU, and what it leaves out."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.dataset import points_of
from builder.importers import import_table
from builder.kernels import Build, select
from builder.kernels.catalogue import catalogue
from builder.kernels.cutlass2 import SERIES
from builder.plan import (
    Costs,
    Plan,
    Point,
    Sweep,
    guess_runtime_s,
    plan_json,
    plan_lines,
    read_sweep,
    shares,
)
from builder.plan.plan import plan_of
from builder.plan.sweep import Group, Range, Shapes, Size, SweepError
from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gemm import footprint_bytes
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._occupancy import least_capability, obstacle_on

SWEEPS = Path(__file__).parents[3] / "cuda" / "sweeps"
BUILDS = tuple(catalogue().values())
H200 = known_gpus()["h200_sxm"]
T4 = Gpu(
    "Tesla T4", (7, 5), 40, 1.59e9, 16e9, 4 * 2**20, 320e9,
    {"f64": 0.25e12, "f32": 8.1e12, "f16": 65e12, "s8": 130e12}, 70.0,
)  # fmt: skip
SIMT = "cutlass_simt_sgemm_128x128_8x2_{}_align1"


@lru_cache
def planned(name: str, gpu: str = "h200_sxm") -> Plan:
    """Return the plan of a sweep that is shipped; of a very long one, of its beginning."""
    facts = T4 if gpu == "t4" else known_gpus()[gpu]
    sweep = read_sweep(SWEEPS / f"{name}.toml")
    points = None if sweep.points is None else min(sweep.points, 8000)
    return plan_of(replace(sweep, points=points), BUILDS, facts)


def small(names: list[str], **options: object) -> Sweep:
    """Return a sweep of 60 drawn shapes on some kernels."""
    shapes = Shapes((Range(4.0, 12.0),) * 3)
    group = Group(tuple(names), shapes, dtypes=("f16", "fp8", "nvfp4"))
    return Sweep("small", (group,), **{"points": 60, **options})  # type: ignore[arg-type]


def listed(*sizes: Size, **options: object) -> Sweep:
    """Return a sweep of some shapes on one SIMT kernel."""
    group = Group((SIMT.format("tn"),), Shapes(None, sizes))
    return Sweep("listed", (group,), **options)  # type: ignore[arg-type]


SHIPPED = [
    *((name, "h200_sxm") for name in ("study", "quick", "full", "h200_nine_minutes")),
    ("study", "rtx4070"),
    ("quick", "rtx4070"),
    ("quick", "t4"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gpu"), SHIPPED)
def test_every_point_of_a_plan_can_be_measured(name: str, gpu: str) -> None:
    plan = planned(name, gpu)
    builds = {build.kernel.name: build for build in plan.builds}
    limit_bytes = min(
        plan.sweep.memory_share * plan.gpu.memory_bytes,
        plan.sweep.largest_bytes or float("inf"),
    )
    for point in plan.points:
        build = builds[point.kernel]
        assert build.obstacle(point.gemm) is None
        assert obstacle_on(build.kernel, plan.gpu) is None
        assert point.gemm.dtype in plan.gpu.peak_flops
        assert footprint_bytes(point.gemm) <= limit_bytes
        guess_s = guess_runtime_s(build.kernel, point.gemm, plan.gpu)
        assert guess_s <= (plan.sweep.longest_s or float("inf"))
    assert len({point.key for point in plan.points}) == len(plan.points)
    assert {point.kernel for point in plan.points} == set(builds)


@pytest.mark.parametrize(("name", "gpu"), SHIPPED)
def test_a_kernel_is_left_out_just_if_the_gpu_cannot_run_it(name: str, gpu: str) -> None:
    plan = planned(name, gpu)
    left_out = dict(plan.left_out)
    named = [build for build in select(plan.sweep.kernels) if build.kernel.dtype]
    taken = set(plan.builds)
    for build in named:
        reason = obstacle_on(build.kernel, plan.gpu)
        assert (build in taken) == (reason is None)
        assert left_out.get(build.kernel.name) == reason


@pytest.mark.parametrize("gpu", ["h200_sxm", "rtx4070"])
def test_the_study_is_measured_whole_but_for_what_is_said(gpu: str) -> None:
    """5 tiles on 39 shapes, and 4 layouts of one kernel on 26 shapes and 4 pairs of scalars."""
    plan = planned("study", gpu)
    keys = [point.key for point in plan.points]
    missing = [what for what, _ in plan.left_out]
    counts = Counter(key.startswith("tiled") for key in [*keys, *missing])
    assert counts == {True: 5 * 39, False: 4 * 26 * 4}
    assert len(set(keys) | set(missing)) == len(keys) + len(missing)
    assert plan.power_points == plan.points


def test_the_study_has_the_shapes_and_scalars_of_its_raw_file(shared_data: Path) -> None:
    dataset, _ = import_table(shared_data / "gpperf" / "rtx4070_results.csv", "gpperf")
    points = points_of(dataset)
    columns = (points.kernel, points.m, points.n, points.k, points.alpha, points.beta)
    plan = planned("study")
    ours = {
        (one.kernel, one.gemm.m, one.gemm.n, one.gemm.k, one.gemm.alpha, one.gemm.beta)
        for one in plan.points
        if one.kernel.startswith("cutlass")
    }
    assert ours == set(zip(*columns, strict=True))


def test_the_quick_sweep_has_something_of_each_kind_for_turing() -> None:
    plan = planned("quick", "t4")
    kernels = [build.kernel for build in plan.builds]
    assert all(least_capability(kernel) <= (7, 5) for kernel in kernels)
    kinds = {(kernel.family, kernel.dtype) for kernel in kernels}
    assert {("library", None), ("tiled", "f32")} <= kinds
    assert {("cutlass2", dtype) for dtype in ("f32", "f16", "s8")} <= kinds
    assert len(plan.points) == 1500
    reasons = dict(plan.left_out)
    assert reasons["library bf16"] == "Tesla T4 does not multiply bf16"
    newer = "cutlass_tensorop_bf16_s16816gemm_bf16_128x128_32x4_tn_align8"
    assert reasons[newer] == "it needs compute capability 8.0, Tesla T4 has 7.5"
    assert plan.total_s < 300.0


def test_the_full_sweep_has_kernels_of_every_series() -> None:
    chosen = {build.kernel.name for build in select(read_sweep(SWEEPS / "full.toml").kernels)}
    for series in SERIES:
        assert chosen & {build.kernel.name for build in series.builds()}
    assert 300 <= len(chosen) <= 700
    assert {"library", "tiled_sgemm_16"} <= chosen


def test_nine_minutes_of_an_h200_are_used() -> None:
    """About 7,300 timings and 260 windows of power, as guessed without a GPU."""
    plan = planned("h200_nine_minutes")
    assert plan.n_in_budget is not None
    assert plan.n_in_budget >= 6000
    assert len(plan.points) == 7300
    assert 200 <= len(plan.power_points) <= 400
    assert plan.total_s == pytest.approx(540.0, rel=0.15)


def by_gemm(points: Sequence[Point]) -> list[list[int]]:
    """Return where each GEMM is that at least 3 kernels run."""
    found: defaultdict[Gemm, list[int]] = defaultdict(list)
    for place, point in enumerate(points):
        found[point.gemm].append(place)
    return [places for places in found.values() if len(places) >= 3]


@pytest.mark.parametrize(("name", "least"), [("h200_nine_minutes", 150), ("full", 150)])
def test_many_gemms_are_run_by_several_kernels_soon_after_each_other(name: str, least: int) -> None:
    """Within the budget; of the full sweep, within its first 8000 points."""
    plan = planned(name)
    chosen = plan.points[: plan.n_in_budget]
    met = by_gemm(chosen)
    assert len(met) >= least
    assert np.mean([places[-1] - places[0] <= 250 for places in met]) > 0.97
    with_library = [any(chosen[place].kernel == "library" for place in places) for places in met]
    assert np.mean(with_library) > 0.6
    whole = f"  {len(by_gemm(plan.points))} GEMMs on 3 kernels or more"
    assert whole in plan_lines(plan)


def test_a_sweep_without_head_to_heads_says_nothing_of_them() -> None:
    assert not any("kernels or more" in line for line in plan_lines(planned("quick", "t4")))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_gpus_get_equal_shares_and_each_gemm_is_on_one_of_them(count: int) -> None:
    """Equal within 3 %; in order, and with all of a sweep's kernels, where each has many points."""
    plan = planned("h200_nine_minutes")
    parts = shares(plan, count)
    places = {point: place for place, point in enumerate(plan.points)}
    assert Counter(point for part in parts for point in part.points) == Counter(plan.points)
    gpus: defaultdict[Gemm, set[int]] = defaultdict(set)
    for number, part in enumerate(parts):
        assert len(part.points) == pytest.approx(len(plan.points) / count, rel=0.03)
        order = [places[point] for point in part.points]
        assert order == sorted(order)
        assert part.power_points == part.points[: len(part.power_points)]
        for point in part.points:
            gpus[point.gemm].add(number)
    assert all(len(numbers) == 1 for numbers in gpus.values())
    assert sum(len(part.power_points) for part in parts) == len(plan.power_points)
    often = {name for name, n in Counter(p.kernel for p in plan.points).items() if n > 25 * count}
    assert all(often <= {point.kernel for point in part.points} for part in parts)
    assert shares(plan, count) == parts


@pytest.mark.parametrize("name", ["quick", "full", "h200_nine_minutes"])
def test_any_prefix_of_a_plan_is_a_good_sample_of_it(name: str) -> None:
    """Of families, and of small and large m, n and k, it has as much as the whole, within 12 %."""
    plan = planned(name)
    family = {build.kernel.name: build.kernel.family for build in plan.builds}
    gemms = [point.gemm for point in plan.points]
    log2 = np.log2([[gemm.m, gemm.n, gemm.k] for gemm in gemms])
    upper = [log2[:, axis] > np.median(log2[:, axis]) for axis in range(3)]
    families = [np.array([family[p.kernel] == one for p in plan.points]) for one in family.values()]
    for mark in [*upper, *families]:
        for n_points in (64, 128, 256, 512, 1024):
            assert abs(np.mean(mark[:n_points]) - np.mean(mark)) < 0.12


@settings(max_examples=25)
@given(
    share=st.floats(0.0, 0.95),
    power_s=st.floats(0.1, 2.0),
    timing_s=st.floats(0.001, 0.1),
)
def test_power_gets_its_part_of_the_time(share: float, power_s: float, timing_s: float) -> None:
    costs = Costs(timing_s=timing_s, power_s=power_s)
    sweep = small(["tiled_hgemm_16"], power_share=share)
    plan = plan_of(sweep, BUILDS, H200, costs)
    assert plan.power_points == plan.points[: len(plan.power_points)]
    allowed_s = plan.timing_s * share / (1.0 - share)
    assert plan.power_s <= allowed_s * (1.0 + 1e-9)
    if len(plan.power_points) < len(plan.points):
        assert plan.power_s + costs.of_power_s(1.0) > allowed_s


def test_the_time_is_that_of_timings_power_and_the_rest() -> None:
    costs = Costs(0.5, 2.0, 0, 0, 1.0, 0, 0.25, 10.0, 7.0)
    plan = plan_of(small(["tiled_hgemm_16"], power_share=0.5), BUILDS, H200, costs)
    assert (plan.timing_s, plan.power_s) == (30.0, 30.0)
    assert plan.rest_s == 7.0 + 0.25 + 6.0 * 2.5
    assert plan.total_s == 60.0 + plan.rest_s


def test_a_budget_says_how_many_points_fit() -> None:
    costs = Costs(0.5, 2.0, 0, 0, 1.0, 0, 0.0, 1e9, 10.0)
    sweep = small(["tiled_hgemm_16"], power_share=0.5, budget_s=40.1)
    plan = plan_of(sweep, BUILDS, H200, costs)
    assert plan.n_in_budget == 30
    assert "budget 40 s: about the first 30 points fit" in plan_lines(plan)
    whole = plan_of(replace(sweep, budget_s=100.0), BUILDS, H200, costs)
    assert "budget 1 min 40 s: all of it fits" in plan_lines(whole)
    none = plan_of(replace(sweep, budget_s=5.0), BUILDS, H200, costs)
    assert none.n_in_budget == 0


def test_points_that_are_too_large_are_left_out_with_the_reason() -> None:
    fits, too_large = Size(64, 64, 64), Size(4096, 4096, 64)
    plan = plan_of(listed(fits, too_large, largest_bytes=1e6), BUILDS, H200)
    assert [point.gemm.m for point in plan.points] == [64]
    assert [reason for _, reason in plan.left_out] == ["A, B and C take more than 1e+06 bytes"]
    tight = plan_of(listed(fits, too_large, memory_share=1e-4), BUILDS, H200)
    assert [point.gemm.m for point in tight.points] == [64]
    reason = "A, B and C take more than 0.01 % of the memory of NVIDIA H200"
    assert [reason for _, reason in tight.left_out] == [reason]


def test_points_that_would_take_too_long_are_left_out_with_the_reason() -> None:
    plan = plan_of(listed(Size(64, 64, 64), Size(8192, 8192, 8192), longest_s=1e-3), BUILDS, H200)
    assert [point.gemm.m for point in plan.points] == [64]
    name = SIMT.format("tn")
    key = f"{name} 8192x8192x8192x1 f32 tn 1.0 0.0"
    assert plan.left_out == ((key, "it is guessed to take more than 0.001 s"),)


def test_a_library_is_left_out_in_a_dtype_that_the_gpu_does_not_multiply() -> None:
    plan = plan_of(small(["library"]), BUILDS, H200)
    assert {point.gemm.dtype for point in plan.points} == {"f16", "fp8"}
    assert ("library nvfp4", "NVIDIA H200 does not multiply nvfp4") in plan.left_out


def test_a_kernel_that_does_not_fit_on_the_gpu_once_compiled_is_left_out() -> None:
    name = "cutlass_tensorop_f16_s16816gemm_f16_256x128_64x3_tn_align8"
    build = catalogue()[name]
    large = replace(build, kernel=replace(build.kernel, shared_bytes=200_000))
    sweep = small([name, "tiled_hgemm_16"])
    plan = plan_of(sweep, [large, catalogue()["tiled_hgemm_16"]], known_gpus()["rtx4070"])
    assert {point.kernel for point in plan.points} == {"tiled_hgemm_16"}
    assert "200000 bytes of shared memory" in dict(plan.left_out)[name]


def test_a_kernel_that_has_no_turn_is_named() -> None:
    plan = plan_of(small(["tiled_hgemm_1?"], points=4), BUILDS, H200)
    idle = [what for what, reason in plan.left_out if "too few points" in reason]
    assert len(idle) == 10 - 4


def test_a_kernel_is_in_the_first_group_that_names_it() -> None:
    first, second = Shapes(None, (Size(8, 8, 8),)), Shapes(None, (Size(9, 9, 9),))
    groups = (Group(("tiled_sgemm_16",), first), Group(("tiled_sgemm_*",), second))
    plan = plan_of(Sweep("s", groups), BUILDS, H200)
    sizes = {(point.kernel, point.gemm.m) for point in plan.points}
    assert ("tiled_sgemm_16", 8) in sizes
    assert ("tiled_sgemm_16", 9) not in sizes
    assert ("tiled_sgemm_8", 9) in sizes


def test_a_kernel_never_seen_to_run_is_taken_by_its_own_kind_of_pattern_alone() -> None:
    kernel = Kernel("cutlass3x_new", "cutlass3", "f16", "tn")
    new = Build(replace(kernel, name="cutlass3x_sm90_new"), "x.cu", (), "f16", "f32", 1, True)
    builds = [catalogue()["tiled_hgemm_16"], new]
    assert {p.kernel for p in plan_of(small(["*"]), builds, H200).points} == {"tiled_hgemm_16"}
    assert {p.kernel for p in plan_of(small(["cutlass3x_*"]), builds, H200).points} == {
        "cutlass3x_sm90_new"
    }


def test_a_pattern_that_names_no_kernel_is_refused_with_the_nearest() -> None:
    with pytest.raises(SweepError, match="number 1: names .*'tiled_sgem_16'.* did you mean"):
        plan_of(small(["tiled_sgem_16"]), BUILDS, H200)


def test_a_library_needs_its_dtypes_said() -> None:
    sweep = Sweep("s", (Group(("library",), Shapes((Range(4, 8),) * 3)),), points=5)
    with pytest.raises(SweepError, match="dtypes must be said for library"):
        plan_of(sweep, BUILDS, H200)


def test_a_sweep_of_which_nothing_can_be_measured_is_refused_with_the_reasons() -> None:
    name = "cutlass_tensorop_bf16_s16816gemm_bf16_128x128_32x4_tn_align8"
    with pytest.raises(SweepError, match="Tesla T4 can run .*needs compute capability 8.0"):
        plan_of(small([name]), BUILDS, T4)
    with pytest.raises(SweepError, match="guessed to take more than 1e-09 s"):
        plan_of(listed(Size(8, 8, 8), longest_s=1e-9), BUILDS, H200)


def test_the_hash_is_that_of_points_and_order() -> None:
    sweep = small(["tiled_hgemm_16"])
    plan = plan_of(sweep, BUILDS, H200)
    assert plan.hash == plan_of(sweep, BUILDS[::-1], H200).hash
    assert len(plan.hash) == 16
    others = [replace(sweep, seed=1), replace(sweep, points=59), replace(sweep, power_share=0.0)]
    assert len({plan.hash, *(plan_of(one, BUILDS, H200).hash for one in others)}) == 4


def test_a_plan_as_json_holds_what_its_lines_say() -> None:
    plan = planned("quick", "t4")
    values = json.loads(json.dumps(plan_json(plan)))
    assert values["points"] == [point.key for point in plan.points]
    assert values["n_power_points"] == len(plan.power_points)
    assert values["left_out"][0] == dict(zip(("what", "reason"), plan.left_out[0], strict=True))
    lines = plan_lines(plan)
    assert lines[0].startswith("quick on Tesla T4: 1500 points on ")
    assert lines[-1] == f"plan {values['hash']}"
    assert sum(values["expected_s"][part] for part in ("timing", "power", "rest")) == (
        pytest.approx(values["expected_s"]["total"])
    )


def test_lines_count_what_each_family_gets() -> None:
    lines = plan_lines(plan_of(small(["tiled_hgemm_1?", "library"]), BUILDS, H200))
    assert "  tiled f16         50 points on 10 kernels" in lines
    assert "  library fp8       5 points on 1 kernel" in lines


@given(
    size=st.tuples(*[st.integers(1, 30_000)] * 3),
    name=st.sampled_from(["library", "tiled_hgemm_1", next(SERIES[10].builds()).kernel.name]),
)
def test_a_guess_is_never_faster_than_the_speed_of_light(
    size: tuple[int, int, int], name: str
) -> None:
    gemm = Gemm(*size)
    guess_s = guess_runtime_s(catalogue()[name].kernel, gemm, H200)
    assert guess_s > gemm.flops / H200.peak_flops["f16"]
    assert guess_s > footprint_bytes(gemm) / H200.dram_bytes_per_s


def test_guesses_of_the_study_are_within_a_factor_of_three(shared_data: Path) -> None:
    dataset, _ = import_table(shared_data / "gpperf" / "rtx4070_results.csv", "gpperf")
    points, gpu = points_of(dataset), known_gpus()["rtx4070"]
    kernels = [Kernel.from_name(name) for name in points.kernel]
    sizes = zip(points.m, points.n, points.k, strict=True)
    gemms = [Gemm(int(m), int(n), int(k), "f32") for m, n, k in sizes]
    guesses_s = [guess_runtime_s(*one, gpu) for one in zip(kernels, gemms, strict=True)]
    ratio = np.array(guesses_s) / points.runtime_s
    assert 0.33 < ratio.min() <= ratio.max() < 3.0
