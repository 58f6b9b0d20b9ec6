"""Kernels that a model did not measure: ranked, predicted, marked as such, or refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stand_ins.artefacts import GPU, KERNEL_NAMES, constants, kernels_artefact
from stand_ins.built_in import built_in
from stand_ins.strategies import batches, betas, sizes, usual_sizes

import gpperf_lite as gp
from gpperf_lite._arithmetic import SCALARS
from gpperf_lite._features import KERNEL_FEATURES, describe
from gpperf_lite._forest import power_of_two
from gpperf_lite._interval import Interval
from gpperf_lite._kernel import Tile
from gpperf_lite._physics import View

A100 = built_in("a100_sxm")
KNOWING = gp.Model(kernels_artefact())
"""A model of four kernels, which knows how slow others of f32 are."""

SMALL = "cutlass_simt_sgemm_64x64_8x2_nn_align1"
LARGE = "cutlass_simt_sgemm_256x128_8x5_nn_align1"
GEMM = gp.Gemm(1024, 768, 512, "f32", "nn")
MINE = gp.Kernel("mine", "cutlass2", "f32", tile=Tile(64, 128, 8), threads=128)


@st.composite
def described(draw: st.DrawFn) -> gp.Kernel:
    """Any kernel of f32 that a GPU can hold, with few of its facts or all."""
    extents = st.sampled_from([8, 16, 32, 64, 96, 128, 192, 256])
    tile = Tile(draw(extents), draw(extents), draw(st.sampled_from([8, 16, 32])))
    return gp.Kernel(
        draw(st.text("abc_0123", min_size=1, max_size=8)),
        draw(st.sampled_from(["tiled", "cutlass2", "cublas"])),
        draw(st.sampled_from([None, "f32"])),
        None,
        draw(st.sampled_from([1, 2, 4, 8])),
        tile,
        draw(st.sampled_from([None, Tile(32, 32, 8)])),
        stages=draw(st.sampled_from([None, 2, 5])),
        swizzle=draw(st.sampled_from([None, 1, 8])),
        split_k=draw(st.sampled_from([1, 2, 16])),
        threads=draw(st.sampled_from([None, 32, 64, 128, 256, 512])),
        registers=draw(st.sampled_from([None, 32, 128])),
        shared_bytes=draw(st.sampled_from([None, 0, 48_000])),
        spill_bytes=draw(st.sampled_from([None, 0, 8, 5_000])),
    )


@st.composite
def questions(draw: st.DrawFn, size: st.SearchStrategy[int] = sizes) -> gp.Gemm:
    """Any GEMM of f32 that every kernel of `described` can run."""
    m, n, k = (max(8, draw(size) // 8 * 8) for _ in "mnk")
    layout = draw(st.sampled_from(["nn", "nt", "tn", "tt"]))
    return gp.Gemm(m, n, k, "f32", layout, draw(batches), beta=draw(betas))


models = st.sampled_from([A100, KNOWING])


# --- what they are answered --------------------------------------------------------------------


@given(st.lists(described(), min_size=1, max_size=4, unique_by=lambda one: one.name), questions())
def test_a_kernel_that_nobody_measured_is_ranked_and_marked(
    kernels: list[gp.Kernel], gemm: gp.Gemm
) -> None:
    ranking = A100.rank(gemm, kernels=kernels)
    assert sorted(one.kernel.name for one in ranking) == sorted(one.name for one in kernels)
    for one in ranking:
        low_s, high_s = one.runtime_interval_s
        assert 0.0 < low_s <= one.runtime_s <= high_s < math.inf
        assert not one.in_domain
        assert one.notes[0].startswith(f"{one.kernel.name} was not measured, nor any kernel like")
        assert (one.power_w, one.timed) == (None, "gemm")
    assert A100.best(gemm, kernels=kernels) == ranking[0]


@given(models, described(), questions())
def test_one_in_a_batch_and_in_a_ranking_have_the_same_bits(
    model: gp.Model, kernel: gp.Kernel, gemm: gp.Gemm
) -> None:
    one = model.predict(gemm, kernel)
    assert model.rank(gemm, kernels=[kernel]) == [one]
    many = model.predict_batch(
        *([gemm.m, 64], [gemm.n, 64], [gemm.k, 64], "f32", gemm.layout, [gemm.batch, 1]),
        beta=gemm.beta,
        kernel=kernel,
    )
    assert many.runtime_s[0] == one.runtime_s
    assert tuple(many.runtime_interval_s[0]) == one.runtime_interval_s
    assert (many.notes[0], many.bound[0], many.in_domain[0]) == (one.notes, one.bound, False)


@pytest.mark.parametrize("model", [A100, KNOWING], ids=["a100", "kernels"])
def test_a_name_says_as_much_as_the_kernel_that_it_describes(model: gp.Model) -> None:
    kernel = gp.Kernel.from_name(LARGE)
    one = model.predict(GEMM, LARGE)
    assert one.kernel == kernel
    assert one == model.predict(GEMM, kernel) == model.rank(GEMM, kernels=[LARGE])[0]
    many = model.predict_batch(GEMM.m, GEMM.n, GEMM.k, "f32", "nn", kernel=LARGE)
    assert (many.runtime_s[0], many.kernel[0]) == (one.runtime_s, LARGE)


def test_a_measured_model_answers_with_the_slowness_that_its_forest_predicts() -> None:
    estimator = KNOWING._artefact.estimators[0]
    assert estimator.unmeasured is not None
    tiles = [Tile(8 << i, 256 >> i, 8) for i in range(5)]
    kernels = [
        replace(MINE, name=f"k{i}", tile=tile, threads=32 << i, registers=16 * i, alignment=1 << i)
        for i, tile in enumerate(tiles)
    ]
    for kernel in kernels:
        units = estimator.unmeasured.slowness_of(kernel, GPU)
        slowness = power_of_two(units)
        view = View(GPU, "f32", "nn", kernel, estimator.constants, slowness)
        found = KNOWING._models.find(kernel, GEMM)
        assert found is not None
        assert found.view.own == view.own
        one = KNOWING.predict(GEMM, kernel)
        base = describe(1024.0, 768.0, 512.0, 1.0, 0.0, view, SCALARS)
        columns = np.array(base.row, np.float32).reshape(-1, 1)
        factor = power_of_two(int(estimator.forest.sums_of(columns)[0]))
        assert one.runtime_s == max(base.base_s * factor, base.light_s)
        assert one.notes[0].endswith("was not measured: predicted from kernels like it on this GPU")
        assert not one.in_domain
    assert len({estimator.unmeasured.slowness_of(one, GPU) for one in kernels}) > 1


def test_the_interval_is_that_of_kernels_held_out() -> None:
    artefact = kernels_artefact()
    first, second = artefact.estimators
    assert first.unmeasured is not None
    wide = Interval((1e-5, 1e-3), (0.5, 0.9, 0.99), ((8192,) * 3,) * 3)
    first = first._replace(unmeasured=first.unmeasured._replace(interval=wide))
    model = gp.Model(artefact._replace(estimators=(first, second)))
    inside = replace(GEMM, m=1024, n=1024, k=1024, layout="nt")
    other = model.predict(inside, replace(MINE, layout="nt"), confidence=0.9)
    assert other.runtime_interval_s[1] == pytest.approx(2.0 * other.runtime_s)
    own = model.predict(replace(inside, layout="nn"), KERNEL_NAMES[0], confidence=0.9)
    assert own.runtime_interval_s[1] < 1.3 * own.runtime_s


def test_measured_and_other_kernels_in_one_ranking_keep_their_bits_and_their_order() -> None:
    kernels: list[gp.Kernel | str] = [LARGE, *KERNEL_NAMES[:2], MINE, replace(MINE, name="more")]
    ranking = KNOWING.rank(GEMM, kernels=kernels)
    assert len(ranking) == len(kernels)
    assert ranking == sorted(ranking, key=lambda one: (one.runtime_s, one.kernel.name))
    by_name = {one.kernel.name: one for one in ranking}
    for kernel in kernels:
        name = kernel if isinstance(kernel, str) else kernel.name
        assert by_name[name] == KNOWING.predict(GEMM, kernel)
    own = {one.kernel.name: one for one in KNOWING.rank(GEMM)}
    assert {name: by_name[name] for name in own} == own
    noted = {name for name, one in by_name.items() if f"{name} was not" in " ".join(one.notes)}
    assert noted == {LARGE, "mine", "more"}


def test_a_thousand_kernels_of_the_caller_rank_as_they_are_predicted_one_by_one() -> None:
    dice = np.random.default_rng(3)
    kernels = [
        replace(
            MINE,
            name=f"k{number}",
            tile=Tile(*(8 * dice.integers(1, 33, 3)).tolist()),
            alignment=int(dice.choice([1, 2, 4, 1024])),
            threads=int(dice.choice([64, 128, 256])),
            spill_bytes=int(dice.choice([0, 0, 64, 1024])),
        )
        for number in range(1000)
    ]
    for model in (A100, KNOWING):
        ranking = model.rank(GEMM, kernels=kernels)
        able = [kernel for kernel in kernels if kernel.obstacle(GEMM) is None]
        assert 700 < len(able) < 1000
        alone = [model.predict(GEMM, kernel) for kernel in able]
        assert ranking == sorted(alone, key=lambda one: (one.runtime_s, one.kernel.name))


def test_the_kernels_of_a_caller_may_be_asked_again_and_in_any_order() -> None:
    others = [replace(MINE, name=f"k{i}", tile=Tile(16 << i, 64, 8)) for i in range(5)]
    ranking = A100.rank(GEMM, kernels=others)
    assert A100.rank(GEMM, kernels=others) == ranking
    assert A100.rank(GEMM, kernels=[*others[::-1], others[0]]) == ranking
    assert A100.rank(GEMM, kernels=iter(others), top=2) == ranking[:2]
    assert A100.rank(replace(GEMM, m=64), kernels=others) != ranking


def test_a_kernel_with_the_name_of_a_measured_one_is_that_one() -> None:
    other = replace(MINE, name=KERNEL_NAMES[0])
    assert KNOWING.predict(GEMM, other) == KNOWING.predict(GEMM, KERNEL_NAMES[0])


def test_the_generic_model_ranks_kernels_on_a_gpu_of_the_caller() -> None:
    gpu = replace(A100.gpu, name="NVIDIA Dream")
    ranking = gp.load("generic", gpu=gpu).rank(GEMM, kernels=[SMALL, LARGE])
    assert [one.runtime_s for one in ranking] == [
        one.runtime_s for one in A100.rank(GEMM, kernels=[SMALL, LARGE])
    ]
    assert all("on NVIDIA Dream" in " ".join(one.notes) for one in ranking)


# --- the promises ------------------------------------------------------------------------------


@given(models, described(), questions(usual_sizes), st.sampled_from("mnk"))
def test_twice_the_size_is_never_substantially_faster(
    model: gp.Model, kernel: gp.Kernel, gemm: gp.Gemm, axis: str
) -> None:
    """Promise 5; where physics is all that is known, it is never faster at all."""
    doubled = replace(gemm, **{axis: 2 * getattr(gemm, axis)})
    before, after = (model.predict(one, kernel).runtime_s for one in (gemm, doubled))
    assert after >= before * (0.125 if model is KNOWING else 1.0 - 1e-12)


@given(models, described(), questions())
def test_no_other_kernel_is_faster_than_light(
    model: gp.Model, kernel: gp.Kernel, gemm: gp.Gemm
) -> None:
    """Promise 2."""
    one = model.predict(gemm, kernel)
    gpu = model.gpu
    outputs = gemm.m * gemm.n * (2 if gemm.beta else 1)
    moved = 4.0 * gemm.batch * (gemm.m * gemm.k + gemm.n * gemm.k + outputs)
    bandwidth = gpu.l2_bytes_per_s if moved <= gpu.l2_bytes else gpu.dram_bytes_per_s
    light_s = max(gemm.flops / gpu.peak_flops["f32"], moved / bandwidth)
    for runtime_s in (one.runtime_s, *one.runtime_interval_s):
        assert runtime_s >= light_s * (1 - 1e-12)


def seen(kernel: gp.Kernel, **changes: float) -> View:
    """Return a view of a kernel, whose own facts are changed."""
    view = View(GPU, "f32", "nn", kernel, constants("kernel"))
    assert view.own is not None
    view.own = view.own._replace(**changes)
    return view


@given(described(), questions(), st.integers(0, 5000), st.integers(1, 5000))
def test_more_spilled_bytes_never_make_a_kernel_faster(
    kernel: gp.Kernel, gemm: gp.Gemm, spilled: int, more: int
) -> None:
    asked = (float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch), 0.0)
    few, many = (
        describe(*asked, seen(kernel, spill_bytes=float(n)), SCALARS).base_s
        for n in (spilled, spilled + more)
    )
    assert few <= many


@given(described(), questions(), st.integers(1, 31), st.integers(1, 31))
def test_fewer_warps_never_make_a_kernel_faster(
    kernel: gp.Kernel, gemm: gp.Gemm, warps: int, more: int
) -> None:
    """As many blocks being side by side, and nothing spilled."""
    asked = (float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch), 0.0)
    few, many = (
        describe(*asked, seen(kernel, threads=32.0 * n, spill_bytes=0.0), SCALARS).base_s
        for n in (warps, warps + more)
    )
    assert many <= few


@given(described(), questions(), st.floats(0.01, 100.0), st.floats(1.0, 10.0))
def test_a_slower_kernel_is_never_faster(
    kernel: gp.Kernel, gemm: gp.Gemm, slowness: float, more: float
) -> None:
    asked = (float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch), 0.0)
    fast, slow = (
        describe(*asked, seen(kernel, slowness=one), SCALARS).base_s
        for one in (slowness, slowness * more)
    )
    assert fast <= slow


def test_warps_that_are_not_known_are_taken_to_be_eight() -> None:
    asked = (512.0, 512.0, 512.0, 1.0, 0.0)
    unknown, eight = (
        describe(*asked, seen(MINE, threads=threads), SCALARS) for threads in (0.0, 256.0)
    )
    assert unknown.base_s == eight.base_s
    names = list(KERNEL_FEATURES)
    sums = [
        one.row[len(one.row) - len(names) + names.index("own_sums")] for one in (unknown, eight)
    ]
    assert sums == [0.0, 64.0 * 128.0 / 256.0]


def test_the_features_of_a_kernel_s_own_are_what_they_are_said_to_be() -> None:
    kernel = replace(MINE, split_k=2, spill_bytes=24)
    row = describe(512.0, 512.0, 512.0, 1.0, 0.0, seen(kernel, slowness=1.5), SCALARS).row
    own = dict(zip(KERNEL_FEATURES, row[-len(KERNEL_FEATURES) :], strict=True))
    assert (own["own_spill_bytes"], own["own_slowness"], own["own_slices"]) == (24.0, 1.5, 2.0)
    assert own["own_strip_bytes"] == (64 + 128) * 4 * 512 / 2
    assert own["own_stream_share"] > 0.0


@settings(max_examples=20)
@given(described(), questions(usual_sizes))
def test_where_power_was_measured_it_is_predicted_of_other_kernels_too(
    kernel: gp.Kernel, gemm: gp.Gemm
) -> None:
    assume(kernel.dtype is None)
    gemm = replace(gemm, dtype="bf16")
    one = A100.rank(gemm, "energy", kernels=[kernel])[0]
    assert one.power_w is not None
    assert A100.gpu.idle_power_w <= one.power_w <= A100.gpu.power_limit_w  # type: ignore[operator]


class Forgetful(dict[Any, Any]):
    """A store of which another thread throws all away as soon as something is put in."""

    def __setitem__(self, key: object, value: object) -> None:
        self.clear()


def test_an_answer_needs_nothing_that_another_thread_may_forget() -> None:
    model = gp.Model(kernels_artefact())
    models = model._models
    models._asked_rankings = Forgetful()
    models._answering_others()._models = Forgetful()
    for _ in range(2):
        assert model.predict(GEMM, MINE) == KNOWING.predict(GEMM, MINE)
        asked = [MINE, KERNEL_NAMES[0], LARGE]
        assert model.rank(GEMM, kernels=asked) == KNOWING.rank(GEMM, kernels=asked)
