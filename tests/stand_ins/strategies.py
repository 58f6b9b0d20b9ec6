"""Hypothesis strategies for the questions that a model can be asked."""

from __future__ import annotations

from hypothesis import strategies as st

import gpperf_lite as gp

LARGEST = 2**31 - 1


def log_uniform(high: int) -> st.SearchStrategy[int]:
    """Sizes of every magnitude, and those beside powers of two and multiples of 64."""
    exponents = st.integers(0, high.bit_length() - 1)
    near_powers = st.builds(lambda e, d: (1 << e) + d, exponents, st.integers(-2, 2))
    spread = st.builds(lambda e, f: int((1 << e) * (1 + f)), exponents, st.floats(0, 0.999))
    tiles = st.builds(lambda t, d: 64 * t + d, st.integers(1, 1024), st.integers(-1, 1))
    return st.one_of(near_powers, spread, tiles).map(lambda v: min(max(v, 1), high))


sizes = log_uniform(LARGEST)
usual_sizes = log_uniform(65536)
batches = st.one_of(st.just(1), log_uniform(1024))
layouts = st.sampled_from(["nn", "nt", "tn", "tt"])
betas = st.sampled_from([0.0, 1.0, -0.5])


def layouts_of(model: gp.Model) -> tuple[str, ...]:
    """Return the layouts that a model answers for: all, but of kernels that each have one."""
    own = {kernel.layout for kernel in model.kernels}
    return tuple(one for one in ("nn", "nt", "tn", "tt") if own & {None, one})


def step_of(model: gp.Model) -> int:
    """Return the number that sizes must be multiples of for one of a model's kernels to run."""
    return min(kernel.alignment for kernel in model.kernels)


def aligned(model: gp.Model, size: int) -> int:
    """Return the nearest size below that a kernel of a model can run, or else the least."""
    step = step_of(model)
    return max(step, size // step * step)


@st.composite
def gemms(draw: st.DrawFn, model: gp.Model, size: st.SearchStrategy[int] = sizes) -> gp.Gemm:
    """Any GEMM that a model answers for, within its domain or far outside."""
    return gp.Gemm(
        aligned(model, draw(size)),
        aligned(model, draw(size)),
        aligned(model, draw(size)),
        draw(st.sampled_from(model.dtypes)),
        draw(st.sampled_from(layouts_of(model))),
        draw(batches),
        draw(st.sampled_from([1.0, 2.0])),
        draw(betas),
    )
