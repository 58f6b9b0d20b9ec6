"""The operations of the C header by themselves: whole numbers divided as Python divides them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from stand_ins.exported import COMPILERS, header_file, tool

from builder.export.bounds import LARGEST_NUMERATOR, bits_of_small_sizes
from builder.export.compiled import CompiledHeader
from builder.export.contents import contents_of
from builder.export.trace import formulas_of
from gpperf_lite._model import artefact_of

_SOURCE = """
#include "{header}"
void divide(const double *one, const double *more, const double *other, int n, int is_small,
            double *told)
{{
    int i;
    for (i = 0; i < n; i++) told[i] = gpperf__floor_divide(one[i], more[i], other[i], is_small);
}}
#ifdef GPPERF__X86
GPPERF__VBMI static void divide_eight(const double *one, const double *more, const double *other,
                                      double *told)
{{
    _mm512_storeu_pd(told, gpperf__floor_divide_vbmi(_mm512_loadu_pd(one), _mm512_loadu_pd(more),
                                                     _mm512_loadu_pd(other)));
}}
int divide_vectors(const double *one, const double *more, const double *other, int n, double *told)
{{
    int i;
    if (gpperf__vectors() < 2) return 0;
    for (i = 0; i + 8 <= n; i += 8) divide_eight(one + i, more + i, other + i, told + i);
    return 1;
}}
#else
int divide_vectors(const double *one, const double *more, const double *other, int n, double *told)
{{
    return (void)one, (void)more, (void)other, (void)n, (void)told, 0;
}}
#endif
int is_small(int m, int n, int k, int batch)
{{
    gpperf__ask ask;
    gpperf_gemm gemm = gpperf_gemm_of(m, n, k, GPPERF_BF16);
    gemm.batch = batch;
    if (gpperf__find(&gemm, 0, 0.9, &ask) || gpperf__sizes(&gemm, &ask)) return -1;
    return ask.is_small;
}}
"""
FLAGS = {
    "gcc": ("-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"),
    "clang": ("-std=gnu99", "-O3", "-march=native"),
}
Numbers = NDArray[np.float64]


@pytest.fixture(scope="module", params=[(one, fast) for one in COMPILERS for fast in (False, True)])
def library(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ctypes.CDLL:
    compiler, is_fast = request.param
    folder = tmp_path_factory.mktemp("arithmetic")
    source = folder / "arithmetic.c"
    source.write_text(_SOURCE.format(header=header_file("h200_sxm", folder)))
    flags = FLAGS[compiler] if is_fast else ("-std=c99", "-O2")
    return CompiledHeader(source, folder, tool(compiler), flags).library


def numbers(below: float, dice: np.random.Generator, n: int = 8000) -> Sequence[Numbers]:
    """Return whole numbers whose sum is below a bound, beside multiples of others."""
    other = np.floor(np.exp2(dice.uniform(0, 20, n)))
    quotient = np.floor(np.exp2(dice.uniform(0, np.log2(below), n)) / other)
    last = np.floor((below - 1) / other)
    quotient = np.where(np.arange(n) % 8 == 0, last, np.minimum(quotient, last))
    total = np.clip(quotient * other + dice.integers(-1, 2, n), 0, below - 1)
    more = np.minimum(other - 1.0, total)
    return total - more, more, other


def asked(library: ctypes.CDLL, some: Sequence[Numbers], is_small: bool) -> Numbers:
    told = np.zeros(len(some[0]))
    pointers = [ctypes.c_void_p(one.ctypes.data) for one in (*some, told)]
    library.divide(*pointers[:3], len(told), int(is_small), pointers[3])
    return told


def test_numerators_that_are_not_large_are_divided_and_rounded_down(library: ctypes.CDLL) -> None:
    some = numbers(LARGEST_NUMERATOR, np.random.default_rng(1))
    whole = [one.astype(np.int64) for one in some]
    expected = (whole[0] + whole[1]) // whole[2]
    assert asked(library, some, is_small=True).tolist() == expected.tolist()
    assert asked(library, some, is_small=False).tolist() == expected.tolist()


def test_any_numerator_is_divided_as_python_divides_it(library: ctypes.CDLL) -> None:
    one, more, other = numbers(2.0**90, np.random.default_rng(2))
    triples = zip(one.tolist(), more.tolist(), other.tolist(), strict=True)
    expected = [(a + b) // c for a, b, c in triples]
    assert asked(library, (one, more, other), is_small=False).tolist() == expected
    assert asked(library, (one, more, other), is_small=True).tolist() != expected


def test_vectors_divide_as_one_by_one(library: ctypes.CDLL) -> None:
    some = numbers(LARGEST_NUMERATOR, np.random.default_rng(3))
    told = np.zeros(len(some[0]))
    pointers = [ctypes.c_void_p(one.ctypes.data) for one in (*some, told)]
    if not library.divide_vectors(*pointers[:3], len(told), pointers[3]):
        pytest.skip("this processor lacks the vectors of AVX-512 VBMI")
    assert told.tolist() == asked(library, some, is_small=True).tolist()


def test_sizes_are_small_below_the_bound_of_the_model_alone(library: ctypes.CDLL) -> None:
    contents = contents_of(artefact_of("h200_sxm"))
    bound = 1 << bits_of_small_sizes(formulas_of(contents, form) for form in contents.forms)
    for place in range(4):
        sizes = [1, 1, 1, 1]
        sizes[place] = bound - 1
        assert library.is_small(*sizes) == 1
        sizes[place] = bound
        assert library.is_small(*sizes) == 0
    assert library.is_small(*[bound - 1] * 4) == 1
