"""Layouts from strides: an operand read by its letter, as a BLAS reads it, is the operand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpperf_lite.integrations._launch import Matrix, product_of

Array = NDArray[np.int64]
SIZES = st.integers(1, 5)


@st.composite
def views(draw: st.DrawFn, rows: int, columns: int) -> Array:
    """A matrix in memory: transposed or not, part of a wider one, with gaps, or one row for all."""
    padding, step = draw(st.integers(0, 3)), draw(st.sampled_from([1, 1, 1, 2]))
    is_transposed, is_expanded = draw(st.booleans()), draw(st.sampled_from([False] * 4 + [True]))
    tall, wide = (columns, rows) if is_transposed else (rows, columns)
    whole = np.arange(1, 1 + (1 if is_expanded else tall) * (wide * step + padding))
    part = whole.reshape(-1, wide * step + padding)[:, : wide * step : step]
    view = np.broadcast_to(part, (tall, wide)) if is_expanded else part
    return view.T if is_transposed else view


@st.composite
def operands(draw: st.DrawFn) -> tuple[Array, Array]:
    m, n, k = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(views(m, k)), draw(views(k, n))


def matrix(view: Array) -> Matrix:
    rows, columns = (stride // view.itemsize for stride in view.strides)
    return Matrix(*view.shape, rows, columns)


def readings(view: Array, letter: str) -> list[Array]:
    """Return a matrix as a BLAS reads it from memory by a letter, by each leading dimension."""
    rows, columns = view.shape
    memory = view.base if view.base is not None else view
    while memory.base is not None:
        memory = memory.base
    start = (view.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // 8
    flat = np.concatenate([memory.ravel()[start:], np.zeros(200, np.int64)])
    i, j = np.ogrid[:rows, :columns]
    if letter == "t":
        return [flat[i * leading + j] for leading in range(columns, 16)]
    return [flat[i + j * leading] for leading in range(rows, 16)]


def fits(view: Array, letter: str) -> bool:
    return any(np.array_equal(view, one) for one in readings(view, letter))


@given(operands())
def test_an_operand_read_by_its_letter_is_the_operand_or_must_be_copied(
    pair: tuple[Array, Array],
) -> None:
    product = product_of(*map(matrix, pair))
    for name, view, letter in zip("AB", pair, product.layout, strict=True):
        if name in product.are_copied:
            # Neither letter reads it, and the copy is row-major.
            assert not fits(view, "t")
            assert not fits(view, "n")
            assert letter == "t"
        else:
            assert fits(view, letter)


@given(operands())
def test_sizes_are_those_of_the_product(pair: tuple[Array, Array]) -> None:
    product = product_of(*map(matrix, pair))
    assert (product.m, product.n) == (pair[0] @ pair[1]).shape
    assert product.k == pair[0].shape[1] == pair[1].shape[0]


@given(operands())
def test_what_both_letters_read_is_t_of_a_and_n_of_b(pair: tuple[Array, Array]) -> None:
    a, b = pair
    layout = product_of(*map(matrix, pair)).layout
    if fits(a, "t"):
        assert layout[0] == "t"
    if fits(b, "n"):
        assert layout[1] == "n"


@given(operands())
def test_a_column_major_result_is_the_transposed_product(pair: tuple[Array, Array]) -> None:
    a, b = pair
    c = np.asfortranarray(a @ b)
    product = product_of(matrix(a), matrix(b), matrix(c))
    if 1 in c.shape:
        assert product == product_of(matrix(a), matrix(b))
        return
    assert product == product_of(matrix(b.T), matrix(a.T))
    assert (product.n, product.m) == c.shape


def test_explicit_transposes_have_the_letters_of_the_readme() -> None:
    """Activations times a weight that is stored n x k are tn; a stored k x n is t, as well as A."""
    a, weight = np.zeros((3, 4)), np.zeros((5, 4))
    assert product_of(matrix(a), matrix(weight.T)).layout == "tn"
    assert product_of(matrix(a), matrix(np.ascontiguousarray(weight.T))).layout == "tt"
    assert product_of(matrix(a.T), matrix(np.zeros((3, 5)))).layout == "nt"
    assert product_of(matrix(np.asfortranarray(a)), matrix(weight.T)).layout == "nn"
