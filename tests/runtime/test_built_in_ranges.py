"""The ranges of the built-in models: none speaks of the host, or far beyond what was measured."""

from __future__ import annotations

import pytest
from stand_ins.built_in import built_in

import gpperf_lite as gp
from gpperf_lite._artefact import read
from gpperf_lite._builtin import built_in_path

CASES = [(name, dtype) for name in gp.available() for dtype in built_in(name).dtypes]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_a_long_gemm_takes_over_twice_as_long_as_a_short_one(name: str, dtype: str) -> None:
    """Else the time is that of the host, which a note must then say."""
    model = built_in(name)
    layouts = {one["dtype"]: one["domain"]["layouts"] for one in model.card["estimators"]}
    layout = layouts.get(dtype, ["tn"])[-1]
    for kernel in model.back_ends(dtype) or [None]:
        short, long = (
            model.predict(gp.Gemm(m, 7168, 2048, dtype, layout), kernel) for m in (8, 4096)
        )
        is_of_gpu = short.runtime_s < 0.5 * long.runtime_s
        assert is_of_gpu or any("the host's time for a launch" in note for note in short.notes)


@pytest.mark.parametrize("name", gp.available())
def test_a_range_that_is_narrow_has_wide_intervals_outside(name: str) -> None:
    """Calibrated models have everywhere the generic model's."""
    for one in read(built_in_path(name)).estimators:
        pairs = one.accuracy.get("pairs")
        if one.target != "runtime" or one.remarks or "generic" in one.accuracy:
            continue
        is_small = min(one.domain.n[1], one.domain.k[1]) < 4096
        is_narrow = is_small or (pairs is not None and pairs < 20)  # older files count none
        assert bool(one.interval.outside) == is_narrow, (name, one.dtype)
