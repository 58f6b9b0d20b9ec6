"""Ranking asks all kernels at once, and says of each what `predict` says, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU, estimator
from stand_ins.strategies import sizes

import gpperf_lite as gp
from gpperf_lite._artefact import Artefact, decode, encode
from gpperf_lite._kernel import LIBRARY, Kernel, Tile
from gpperf_lite._model import Model

POWER = ("runtime", "sustained", "power")


def kernels() -> tuple[Kernel, ...]:
    """Return the library and kernels that differ in all that a compiler and a template say."""
    dice = np.random.default_rng(7)
    several = []
    for number in range(24):
        sides = [int(dice.choice([32, 64, 128])) for _ in range(2)]
        name = f"cutlass_simt_sgemm_{sides[0]}x{sides[1]}_8x2_{number}"
        several.append(
            Kernel(
                name, "cutlass2", "f32",
                "nn" if number % 3 else "tn",
                int(dice.choice([1, 4])),
                Tile(*sides, 8),
                Tile(32, 32, 8),
                Tile(1, 1, 1),
                stages=2,
                split_k=int(dice.choice([1, 1, 4])),
                threads=int(dice.choice([64, 128, 256])),
                registers=int(dice.integers(32, 200)),
                shared_bytes=int(dice.integers(1, 40)) * 1024,
            )
        )  # fmt: skip
    return (LIBRARY, *several)


def model() -> Model:
    """Return a model with power and sustained runtime, of kernels in two groups and the library."""
    dice = np.random.default_rng(3)
    known = kernels()
    groups = [((0,), "library"), (range(1, 13), "kernel"), (range(13, len(known)), "kernel")]
    estimators = tuple(
        estimator(dice, target, "f32", indices, physics, 8, 4)
        for indices, physics in groups
        for target in POWER
    )
    artefact = Artefact("ranking", "1", GPU, known, estimators, {}, {})
    return Model(decode(encode(artefact)))


MODEL = model()


@given(
    m=sizes, n=sizes, k=sizes,
    layout=st.sampled_from(["nn", "tn", "nt"]),
    beta=st.sampled_from([0.0, 1.0]),
    objective=st.sampled_from(["runtime", "energy", "edp", "power"]),
)  # fmt: skip
def test_each_kernel_of_a_ranking_is_its_own_prediction(
    m: int, n: int, k: int, layout: str, beta: float, objective: str
) -> None:
    """Every kernel that can run the GEMM is there once, with the very answer of `predict`."""
    gemm = gp.Gemm(m, n, k, "f32", layout, beta=beta)
    ranked = MODEL.rank(gemm, objective)
    able = [
        one for one in MODEL.kernels if one.obstacle(gemm) is None and one.layout in (None, layout)
    ]
    assert {one.kernel.name for one in ranked} == {one.name for one in able}
    assert len(ranked) == len(able)
    for one in ranked:
        assert one == MODEL.predict(gemm, one.kernel)


@given(m=sizes, n=sizes, k=sizes)
def test_lasting_load_is_never_faster_and_energy_follows_it(m: int, n: int, k: int) -> None:
    p = MODEL.predict(gp.Gemm(m, n, k, "f32", "nn"))
    assert p.sustained_runtime_s >= p.runtime_s
    assert p.energy_j == p.power_w * p.sustained_runtime_s  # type: ignore[operator]
    batch = MODEL.predict_batch([m], [n], [k], "f32", "nn", kernel=p.kernel)
    assert batch.sustained_runtime_s[0] == p.sustained_runtime_s
    assert batch.energy_j is not None
    assert batch.energy_j[0] == p.energy_j


def test_only_the_kernels_asked_for_are_ranked() -> None:
    gemm = gp.Gemm(256, 256, 256, "f32", "nn")
    names = [one.kernel.name for one in MODEL.rank(gemm)][:3]
    assert sorted(one.kernel.name for one in MODEL.rank(gemm, kernels=names)) == sorted(names)
    with pytest.raises(gp.UnknownKernelError):
        MODEL.rank(gemm, kernels=["tiled_sgemm_16"])
    with pytest.raises(gp.UnknownKernelError):
        MODEL.rank(gemm, kernels=[])


def test_a_kernel_that_the_gpu_cannot_hold_is_refused_with_the_builders_reason() -> None:
    """An artefact may name it, but neither `predict` nor `rank` answers for it."""
    dice = np.random.default_rng(5)
    good, bad = kernels()[1:3]
    bad = replace(bad, shared_bytes=400_000, layout=good.layout, alignment=1)
    estimators = (estimator(dice, "runtime", "f32", (0, 1), "kernel"),)
    mixed = Model(Artefact("mixed", "1", GPU, (good, bad), estimators, {}, {}))
    gemm = gp.Gemm(256, 256, 256, "f32", str(good.layout))
    assert [one.kernel for one in mixed.rank(gemm)] == [good]
    with pytest.raises(gp.UnknownKernelError, match="shared memory"):
        mixed.predict(gemm, bad)
