"""The launch: one matrix multiplication as an operator starts it, and its layout from its strides.

Letters are CUTLASS's: t is row-major and n column-major, of A (m x k), then of B (k x n), for a
row-major C. A column-major C = A B is the row-major C' = B' A', with m and n changed places.
"""

from __future__ import annotations

from typing import NamedTuple

FORWARD, BACKWARD = "forward", "backward"


class Matrix(NamedTuple):
    """A matrix in memory: its extents, and its strides in elements."""

    rows: int
    columns: int
    row_stride: int
    column_stride: int

    @property
    def transposed(self) -> Matrix:
        return Matrix(self.columns, self.rows, self.column_stride, self.row_stride)

    @property
    def is_row_major(self) -> bool:
        """True where the elements of a row lie side by side, and rows do not overlap.

        A stride along which there is one element says nothing.
        """
        return (self.columns == 1 or self.column_stride == 1) and (
            self.rows == 1 or self.row_stride >= self.columns
        )

    @property
    def is_column_major(self) -> bool:
        return self.transposed.is_row_major


class Product(NamedTuple):
    """The sizes and the layout of a product; are_copied: the operands that no layout describes.

    A library cannot read such an operand (every second column, one row for all), so a row-major
    copy of it is made first.
    """

    m: int
    n: int
    k: int
    layout: str
    are_copied: str


def product_of(a: Matrix, b: Matrix, c: Matrix | None = None) -> Product:
    """Return the product of A (m x k) and B (k x n), for a C that is row-major unless told.

    Where an operand is a row or a column, both letters describe it: A is then t and B n, the
    layout of activations times a weight stored n x k.
    """
    if c is not None and c.is_column_major and not c.is_row_major:
        a, b = b.transposed, a.transposed
    a_letter = "t" if a.is_row_major or not a.is_column_major else "n"
    b_letter = "n" if b.is_column_major else "t"
    are_copied = [
        name
        for name, one in (("A", a), ("B", b))
        if not one.is_row_major and not one.is_column_major
    ]
    return Product(a.rows, b.columns, a.columns, a_letter + b_letter, " and ".join(are_copied))


class Launch(NamedTuple):
    """One launch of a matrix multiplication; launches that are equal cost the same.

    module: path of the module that runs it, "" for the outermost; phase: "forward" or "backward".
    dtype: its name in `gpperf_lite`, or in torch where it has none there.
    remarks: what the model was not measured on, and cannot know of; notes: other doubts.
    reason: why no model can be asked about it; "" where one can.
    """

    module: str
    operator: str
    phase: str
    m: int
    n: int
    k: int
    batch: int
    dtype: str
    layout: str
    beta: float = 0.0
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def flops(self) -> int:
        """Operations: 2 m n k batch."""
        return 2 * self.m * self.n * self.k * self.batch


class Other(NamedTuple):
    """One call of an operator that is no matrix multiplication; flops: None where not known."""

    operator: str
    phase: str
    flops: int | None
