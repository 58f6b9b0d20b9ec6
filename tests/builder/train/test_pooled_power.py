"""Power of all kernels of a GPU together: what it finds, who gets it, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import GPU, GRID, QUICK_TRAINING, dataset_of, gemm_ms

import gpperf_lite as gp
from builder.dataset import Dataset, Floats, concatenate
from builder.train.model_files import write_and_report
from builder.train.pooled_shares import PooledUse, fit_pooled_shares
from builder.train.power_fit import power_of_shares
from builder.train.strata_power import ENOUGH_POINTS
from builder.train.training import train
from gpperf_lite._artefact import Artefact
from gpperf_lite._cli import main as gpperf
from gpperf_lite._estimator import Estimator
from gpperf_lite._physics import CONSTANTS

TRUE = {"share_at_rest": 0.1, "share_per_compute": 0.8, "share_per_dram": 0.4}
LARGER = [(64 * a, 128 * b, 256 * c) for a in range(1, 8) for b in range(1, 7) for c in range(1, 7)]
OPTIONS = replace(QUICK_TRAINING, name="pooled", split="shape", n_folds=3)


def use_of(dtype: str, factor: float, seed: int, n_points: int = 60) -> PooledUse:
    """Return what a stratum achieved, and its power; factor: on what an operation costs."""
    compute, dram = np.random.default_rng(seed).uniform(0.0, 0.6, (2, n_points))
    return PooledUse(dtype, compute, dram, power_of_shares(GPU, TRUE, compute * factor, dram))


def test_what_an_operation_costs_is_the_dtypes_and_the_rest_is_the_boards() -> None:
    uses = [use_of("bf16", 1.0, 1), use_of("f32", 0.5, 2), use_of("f32", 0.5, 3)]
    bf16, f32, other, unread = fit_pooled_shares(GPU, [*uses, use_of("f32", 0.5, 4, n_points=0)])
    for name in ("share_at_rest", "share_per_dram"):
        assert len({one[name] for one in (bf16, f32, other, unread)}) == 1
        assert bf16[name] == pytest.approx(TRUE[name], abs=0.02)
    assert bf16["share_per_compute"] == pytest.approx(0.8, abs=0.02)
    for one in (f32, other, unread):
        assert one["share_per_compute"] == pytest.approx(0.4, abs=0.02)


def test_a_kind_of_kernel_that_draws_more_keeps_that_to_itself() -> None:
    uses = [use_of("f32", 0.5, 1), use_of("f32", 1.5, 2), use_of("bf16", 1.0, 3)]
    usual, hungry, _ = fit_pooled_shares(GPU, uses)
    assert hungry["share_per_compute"] > 2.5 * usual["share_per_compute"]


def test_a_single_reading_moves_the_factor_of_its_kernels_only_a_part_of_the_way() -> None:
    one, many = (
        fit_pooled_shares(GPU, [use_of("bf16", 1.0, 1), use_of("bf16", 2.0, 2, n_points)])[1]
        for n_points in (1, 60)
    )
    assert 0.9 < one["share_per_compute"] < many["share_per_compute"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["bf16", "f32", "s8"]),
            st.lists(
                st.tuples(st.floats(0.0, 50.0), st.floats(0.0, 50.0), st.floats(1.0, 2000.0)),
                max_size=6,
            ),
        ),
        min_size=1,
        max_size=4,
    ).filter(lambda strata: any(rows for _, rows in strata))
)
def test_whatever_was_read_the_constants_are_those_that_an_artefact_may_hold(
    strata: list[tuple[str, list[tuple[float, float, float]]]],
) -> None:
    uses = [PooledUse(dtype, *np.array(rows, float).reshape(-1, 3).T) for dtype, rows in strata]
    for constants in fit_pooled_shares(GPU, uses):
        for name, low, high in CONSTANTS["power"]:
            assert low <= constants[name] <= high


def rows_of(
    dtype: str, n_read: int, factor: float = 1.0, sizes: Sequence[tuple[int, int, int]] = GRID
) -> Dataset:
    """Return measured runtimes of one dtype, and the power of some of them under lasting load."""
    m, n, k = (np.array(axis, float) for axis in zip(*sizes, strict=True))
    runtime_s = np.array([gemm_ms(*size) / 1e3 for size in sizes])
    compute = 2.0 * m * n * k / runtime_s / GPU.peak_flops[dtype]
    dram = 2.0 * (m * k + n * k + m * n) / runtime_s / GPU.dram_bytes_per_s
    power_w = power_of_shares(GPU, TRUE, compute * factor, dram)
    columns: dict[str, Any] = {"dtype": dtype, "m": m.astype(int), "n": n.astype(int)}
    columns |= {"k": k.astype(int), "runtime_s": runtime_s}
    # Drawn, so that each size is as likely as another.
    read = np.sort(np.random.default_rng(n_read).permutation(len(sizes))[:n_read])
    lasting = {
        name: np.asarray(one)[read] if np.ndim(one) else one for name, one in columns.items()
    }
    lasting |= {"regime": "sustained", "power_w": power_w[read], "power_window_s": 0.3}
    lasting |= {"power_source": "energy_counter"}
    return concatenate([dataset_of(len(sizes), **columns), dataset_of(n_read, **lasting)])


def trained(*datasets: Dataset) -> Artefact:
    return train([concatenate(datasets)], [], OPTIONS)


def power_by_dtype(artefact: Artefact) -> dict[str, Estimator]:
    return {one.dtype: one for one in artefact.estimators if one.target == "power"}


@pytest.fixture(scope="module")
def pooled() -> Artefact:
    """A model of three dtypes, of which none has enough readings for itself, and one has none."""
    return trained(rows_of("bf16", 15), rows_of("f16", 12), rows_of("s8", 0))


def test_few_readings_of_each_dtype_are_enough_together(pooled: Artefact) -> None:
    found = power_by_dtype(pooled)
    assert set(found) == {"bf16", "f16", "s8"}
    for dtype, n_own in (("bf16", 15), ("f16", 12)):
        accuracy = found[dtype].accuracy
        assert (accuracy["split"], accuracy["n"], accuracy["own"]["n"]) == ("shape", 27, n_own)
        assert accuracy["mean_ape"] < 0.1
        assert found[dtype].notes == (
            "power follows from all 27 points of this GPU that have it together",
        )
    assert pooled.provenance["left_out"] == {}
    assert pooled.provenance["power_window_s"] is None


def test_what_has_no_reading_follows_from_the_others_and_is_judged_by_leaving_them_out(
    pooled: Artefact,
) -> None:
    unread = power_by_dtype(pooled)["s8"]
    assert (unread.accuracy["split"], unread.accuracy["n"]) == ("stratum", 27)
    (note,) = unread.notes
    assert "power of s8 library was not measured" in note
    prediction = gp.Model(pooled).predict(gp.Gemm(4096, 4096, 4096, "s8"))
    assert prediction.power_w is not None
    assert note in prediction.notes
    assert prediction.in_domain


def test_kernels_left_out_are_not_known_to_the_fit_that_judges_them() -> None:
    """Where an operation costs a third in one dtype, the others cannot foresee it."""
    found = power_by_dtype(
        trained(rows_of("bf16", 19), rows_of("f16", 19, factor=0.3), rows_of("s8", 0))
    )
    assert found["s8"].accuracy["mean_ape"] > 2.0 * found["f16"].accuracy["mean_ape"]


def test_groups_that_are_held_out_are_held_out_of_every_dtype() -> None:
    """Shapes that draw half as much in both are not foreseen as they are once they were seen."""

    def odd(power_w: Floats, m: Floats) -> Floats:
        return np.where(m == 4096, power_w / 2.0, power_w)

    rows = [with_power(rows_of(dtype, 19), odd) for dtype in ("bf16", "f16")]
    artefact = trained(*rows)
    model, held_out = gp.Model(artefact), power_by_dtype(artefact)["bf16"].accuracy
    lasting = rows[0].sustained()
    known = [
        model.predict(gp.Gemm(*(int(one) for one in size), "bf16")).power_w
        for size in zip(*(lasting.column(name) for name in "mnk"), strict=True)
    ]
    seen = np.abs(np.array(known, float) / lasting.column("power_w").astype(float) - 1.0)
    assert seen.mean() < 0.1 < held_out["own"]["mean_ape"]


def test_below_the_shortest_runtime_with_power_the_interval_is_wider(pooled: Artefact) -> None:
    for one in power_by_dtype(pooled).values():
        below, above = one.interval.half_widths
        assert below == tuple(3 * width for width in above)
        assert one.interval.runtime_edges_s[0] == one.domain.runtime_s[0]


def test_where_one_kind_of_kernel_alone_was_read_the_others_get_three_times_its_interval() -> None:
    found = power_by_dtype(trained(rows_of("bf16", 30), rows_of("s8", 0)))
    seen, unseen = found["bf16"], found["s8"]
    assert "own" in seen.accuracy or not seen.notes
    assert unseen.accuracy["split"] == "shape"
    judged = [width for row in unseen.interval.half_widths for width in row]
    assert all(width % 3 == 0 for width in judged)


def with_power(dataset: Dataset, change: Callable[[Floats, Floats], Floats]) -> Dataset:
    """Return rows whose power is changed where it was read; change: of power in W, and of m."""
    columns = dataset.table.to_pydict()
    power_w = change(dataset.column("power_w").astype(float), dataset.column("m").astype(float))
    columns["power_w"] = [float(one) if np.isfinite(one) else None for one in power_w]
    return dataset_of(len(dataset), **columns)


def noisy(dataset: Dataset, noise: float) -> Dataset:
    dice = np.random.default_rng(3)
    return with_power(dataset, lambda watts, _: watts * np.exp(dice.normal(0.0, noise, len(watts))))


def test_many_readings_of_a_dtype_decide_alone_bit_for_bit() -> None:
    """What all kernels together say is not asked, though here it would be the more accurate."""
    many = noisy(rows_of("bf16", ENOUGH_POINTS, sizes=LARGER), 0.3)
    others = [rows_of(dtype, 250, sizes=LARGER) for dtype in ("f16", "s8", "fp8")]
    alone, together = (
        power_by_dtype(trained(*datasets))["bf16"] for datasets in ([many], [many, *others])
    )
    assert alone == together
    assert together.notes == ()


def test_between_few_and_many_the_smaller_error_on_what_was_held_out_decides() -> None:
    """Few noisy readings learn more from many others than from each other."""
    few = noisy(rows_of("bf16", 21), 0.05)
    others = [rows_of(dtype, 200, sizes=LARGER) for dtype in ("f16", "s8")]
    alone, together = (
        power_by_dtype(trained(*datasets))["bf16"] for datasets in ([few], [few, *others])
    )
    assert "own" not in alone.accuracy
    assert together.accuracy["own"]["n"] == alone.accuracy["n"] == 21
    assert together.accuracy["own"]["mean_ape"] < alone.accuracy["mean_ape"]


def test_kernels_that_contradict_all_others_keep_what_is_their_own() -> None:
    def law_of_its_own(power_w: Floats, m: Floats) -> Floats:
        return np.where(np.isfinite(power_w), np.where(m > 64, 200.0, 600.0), np.nan)

    odd = with_power(rows_of("bf16", 40), law_of_its_own)
    alone, together = (
        power_by_dtype(trained(*datasets))["bf16"]
        for datasets in ([odd], [odd, rows_of("f16", 40)])
    )
    assert "own" not in together.accuracy
    assert together.notes == ()
    assert together == alone


@pytest.mark.parametrize(
    ("n_read", "power_w", "why"),
    [
        (9, 300.0, "9 points have it, and 20 in two folds by shape are the least"),
        (30, None, "no usable row holds power averaged over 0.9 s or longer"),
        (0, None, "no row with power was given"),
    ],
)
def test_too_little_power_is_said_and_the_model_is_made(
    n_read: int,
    power_w: float | None,
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Printed when it is made, and on its card."""
    rows = rows_of("bf16", n_read)
    cold = dataset_of(3, m=[1, 2, 3], power_w=300.0, power_window_s=0.2)
    power = [rows if power_w else cold] if n_read else []
    artefact = train([rows.not_sustained()], power, OPTIONS)
    assert {one.target for one in artefact.estimators} == {"runtime"}
    assert artefact.provenance["power"] == []
    path = tmp_path / "runtime.safetensors"
    told = []
    for says in (lambda: write_and_report(artefact, path), lambda: gpperf(["card", str(path)])):
        says()
        # The card's lines are wrapped.
        told.append(" ".join(capsys.readouterr().out.partition("no power: ")[2].split()))
    assert told[0] == told[1]
    assert why in told[0]
    assert ("--power" in told[0]) == (n_read > 0)


def test_a_gpu_whose_limits_are_not_known_has_a_model_of_runtimes() -> None:
    unknown = replace(rows_of("bf16", 30), gpus={"h200_sxm": replace(GPU, idle_power_w=None)})
    artefact = train([unknown], [], OPTIONS)
    assert power_by_dtype(artefact) == {}
    assert "the idle power or the limit of NVIDIA H200" in artefact.provenance["power_missing"]
