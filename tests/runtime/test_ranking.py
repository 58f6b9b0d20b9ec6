"""Ranking asks all kernels at once, and says of each what `predict` says, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
    for number in range(90):
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
    """Return a model with power and sustained runtime, of the library and kernels in three groups.

    The last is one of few, which are asked one by one.
    """
    dice = np.random.default_rng(3)
    known = kernels()
    groups: list[tuple[Sequence[int], str]] = [((0,), "library")]
    groups += [(range(1, 41), "kernel"), (range(41, 85), "kernel"), (range(85, 91), "kernel")]
    estimators = [
        estimator(dice, target, "f32", indices, physics, 8, 4)
        for indices, physics in groups
        for target in POWER
    ]
    # The power of many kernels was not measured, so that a note says so.
    estimators = [
        one._replace(domain=one.domain._replace(runtime_s=(1e-4, 1.0)))
        if one.target == "power"
        else one
        for one in estimators
    ]
    artefact = Artefact("ranking", "1", GPU, known, tuple(estimators), {}, {})
    return Model(decode(encode(artefact)))


def model_of_dtypes() -> Model:
    """Return a model of kernels that answer for f32 and f16, for which bf16 stands in.

    One group timed `layer` in f16, everything else `gemm`.
    """
    dice = np.random.default_rng(4)
    known = tuple(replace(one, dtype=None, layout=None, alignment=1) for one in kernels())
    groups = [("f32", range(1, 31)), ("f16", range(1, 31)), ("f32", range(31, 41)), ("f16", (41,))]
    estimators = [
        estimator(dice, target, dtype, indices, "kernel", 8, 4)._replace(
            timed="layer" if indices == (41,) else "gemm"
        )
        for dtype, indices in groups
        for target in POWER
    ]
    stand_ins = {"bf16": "f16"}
    return Model(Artefact("dtypes", "1", GPU, known, tuple(estimators), stand_ins, {}))


MODEL = model()
DTYPES = model_of_dtypes()
FIELDS = {"runtime": "runtime_s", "energy": "energy_j", "edp": "edp_js", "power": "power_w"}
objectives = st.sampled_from(list(FIELDS))


@given(
    m=sizes, n=sizes, k=sizes,
    layout=st.sampled_from(["nn", "tn", "nt"]),
    beta=st.sampled_from([0.0, 1.0]),
    objective=objectives,
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
        alone = MODEL.predict(gemm, one.kernel)
        assert one == alone
        assert list(map(type, one)) == list(map(type, alone))
    field = FIELDS[objective]
    assert ranked == sorted(ranked, key=lambda one: (getattr(one, field), one.kernel.name))


@given(m=sizes, n=sizes, k=sizes, top=st.integers(1, 100), objective=objectives)
def test_the_first_of_a_ranking_are_those_that_top_asks_for(
    m: int, n: int, k: int, top: int, objective: str
) -> None:
    gemm = gp.Gemm(m, n, k, "f32", "nn")
    ranked = MODEL.rank(gemm, objective)
    assert MODEL.rank(gemm, objective, top=top) == ranked[:top]
    assert MODEL.best(gemm, objective) == ranked[0]


@given(
    m=sizes, n=sizes, k=sizes,
    names=st.sets(st.sampled_from([one.name for one in kernels()])),
    objective=objectives,
    by_name=st.booleans(),
)  # fmt: skip
def test_a_predicate_leaves_what_it_is_true_of(
    m: int, n: int, k: int, names: set[str], objective: str, by_name: bool
) -> None:
    """As if all others were not there, beside a choice by name and without one."""
    gemm = gp.Gemm(m, n, k, "f32", "nn")
    some = [one.name for one in MODEL.kernels][::2] if by_name else None
    expected = [one for one in MODEL.rank(gemm, objective, some) if one.kernel.name in names]

    def where(kernel: gp.Kernel) -> bool:
        return kernel.name in names

    if expected:
        assert MODEL.rank(gemm, objective, some, where=where) == expected
        assert MODEL.best(gemm, objective, kernels=some, where=where) == expected[0]
    else:
        with pytest.raises(gp.UnknownKernelError, match="where must be True of"):
            MODEL.rank(gemm, objective, some, where=where)


@given(
    m=sizes, n=sizes, k=sizes,
    dtypes=st.lists(st.sampled_from(["f32", "f16", "bf16"]), min_size=1, unique=True),
    top=st.one_of(st.none(), st.integers(1, 99)),
    objective=objectives,
)  # fmt: skip
def test_several_dtypes_are_ranked_as_one_list(
    m: int, n: int, k: int, dtypes: list[str], top: int | None, objective: str
) -> None:
    """It is all their rankings together, and each prediction has its dtype."""
    gemm, field = gp.Gemm(m, n, k, "fp8", "nt"), FIELDS[objective]
    together = DTYPES.rank(gemm, objective, top=top, dtypes=dtypes)
    alone = [one for dtype in dtypes for one in DTYPES.rank(replace(gemm, dtype=dtype), objective)]
    alone.sort(key=lambda one: (getattr(one, field), one.kernel.name))
    assert together == alone[:top]
    assert {one.gemm.dtype for one in alone} == set(dtypes)


def test_equals_come_in_the_order_of_their_names_and_then_of_the_dtypes() -> None:
    """Kernels that differ in their names alone, in whatever order an artefact has them."""
    dice = np.random.default_rng(6)
    one = replace(kernels()[1], layout=None, alignment=1, dtype=None)
    names = [f"kernel_{number:02}" for number in dice.permutation(40)]
    some = tuple(replace(one, name=name) for name in names)
    estimators = (estimator(dice, "runtime", "f16", range(40), "kernel"),)
    alike = Model(Artefact("alike", "1", GPU, some, estimators, {"bf16": "f16"}, {}))
    gemm = gp.Gemm(256, 256, 256, "f16")
    ranked = alike.rank(gemm)
    assert len({one.runtime_s for one in ranked}) == 1
    assert [one.kernel.name for one in ranked] == sorted(names)
    for dtypes in (["bf16", "f16"], ["f16", "bf16"], ["half", "bfloat16", "f16"]):
        first, second, third = alike.rank(gemm, dtypes=dtypes, top=3)
        assert [first.gemm.dtype, second.gemm.dtype] == [
            gp.Gemm(1, 1, 1, d).dtype for d in dtypes[:2]
        ]
        assert [one.kernel.name for one in (first, second, third)] == [
            *["kernel_00"] * 2,
            "kernel_01",
        ]


def test_dtypes_that_timed_different_things_are_not_ranked_together() -> None:
    gemm, only = gp.Gemm(256, 256, 256), [DTYPES.kernels[1], DTYPES.kernels[41]]
    text = (
        f"kernels must all have timed the same (got '{only[0].name}' in f32, which timed gemm, and "
        f"'{only[1].name}' in f16, which timed layer): see docs/backends.md"
    )
    with pytest.raises(gp.InputError) as error:
        DTYPES.rank(gemm, dtypes=["f32", "f16"], kernels=only)
    assert str(error.value) == text
    last = DTYPES.rank(gemm, dtypes=["f32", "f16"], kernels=only[1:])
    assert [(one.kernel, one.gemm.dtype, one.timed) for one in last] == [(only[1], "f16", "layer")]


def fails(kernel: gp.Kernel) -> bool:
    assert kernel.tile is not None
    return kernel.tile.m > 64


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"top": 0}, "top must be an integer from 1"),
        ({"top": True}, "top must be an integer, not a boolean"),
        ({"top": 1.5}, "top must be a whole number"),
        ({"top": "3"}, "top must be an integer"),
        ({"where": "library"}, "where must be a function of a Kernel"),
        ({"where": lambda kernel: kernel.tile}, "where must return True or False .*'library'"),
        ({"where": lambda kernel: kernel.tile.m > 64}, "where must answer .*AttributeError"),
        ({"where": fails}, "where must answer for each kernel.*AssertionError for 'library'"),
        ({"dtypes": []}, "dtypes must have one dtype at least"),
        ({"dtypes": "f32"}, "dtypes must be a list of dtypes"),
        ({"dtypes": 3}, "dtypes must be a list of dtypes"),
        ({"dtypes": ["f23"]}, "did you mean 'f32'"),
        ({"dtypes": ["f32", "f64"]}, r"answers for: f32 \(got 'f64'\)"),
        ({"kernels": "library"}, "kernels must be a list of kernels or names"),
        ({"kernels": LIBRARY}, "kernels must be a list of kernels or names"),
        ({"kernels": 3}, "kernels must be a list of kernels or names"),
    ],
)
def test_a_bad_choice_is_refused_with_what_is_allowed(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(gp.InputError, match=text):
        MODEL.rank(gp.Gemm(64, 64, 64, "f32"), **arguments)


def test_what_no_kernel_can_run_in_any_dtype_is_said_of_all_of_them() -> None:
    gemm = gp.Gemm(64, 64, 64)
    with pytest.raises(gp.UnknownKernelError, match="f32 or f16 tn .*it was not measured for f32"):
        DTYPES.rank(gemm, dtypes=["f32", "f16"], kernels=[DTYPES.kernels[90]])


def test_kernels_that_share_their_estimators_share_one_layout_of_the_trees() -> None:
    """It takes a quarter of a megabyte, which a thousand kernels would each have."""
    gemm = gp.Gemm(64, 64, 64, "f32", "nn")
    able = [one.kernel for one in MODEL.rank(gemm)]
    models = [MODEL._models.find(one, gemm) for one in able]
    assert len({id(one._forests) for one in models if one is not None}) == 4


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
        MODEL.rank(gemm, kernels=["a_kernel_that_nothing_describes"])
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
