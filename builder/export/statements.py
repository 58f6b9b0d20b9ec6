"""The statements of a graph, in C or in JavaScript: one for each node that is needed.

The languages differ in how they declare a name, and in the names of the operations that are not
their own. Numbers are written as Python does: the shortest text that is read back as the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .graph import WHOLE, Node, in_order

_OWN = {
    "+": "{0} + {1}",
    "-": "{0} - {1}",
    "*": "{0} * {1}",
    "/": "{0} / {1}",
    "minimum": "{0} < {1} ? {0} : {1}",
    "maximum": "{0} > {1} ? {0} : {1}",
    ">": "{0} > {1} ? 1.0 : 0.0",
    "==": "{0} == {1} ? 1.0 : 0.0",
    "!=": "{0} != {1} ? 1.0 : 0.0",
    "select": "{0} != 0.0 ? {1} : {2}",
    "negated": "-{0}",
}
"""Operations as both languages write them."""


@dataclass(frozen=True)
class Language:
    """One language.

    real, whole: declare a name. calls: texts of the operations that it calls. member: of a
    structure. column: gives a feature its place. outside: notes a way to lie outside. number: a
    number, or an input that is one. quotients: gives two features their places, both of them
    quotients; empty where they are divided one by one.
    """

    real: str
    whole: str
    calls: Mapping[str, str]
    member: str
    column: str
    outside: str
    number: str = "{}"
    quotients: str = ""


C = Language(
    "const double {} = {};",
    "const int32_t {} = {};",
    {
        "//": "gpperf__floor_divide({0}, {1}, {2}, is_small)",
        "octaves": "gpperf__octaves({0})",
        "faded": "gpperf__faded({0}, {1})",
        "width": "gpperf__width(intervals + head->{value}, {0}, ask)",
        "least": "gpperf__least(intervals + head->{value}, ask)",
        "sum": "sums->{value}",
    },
    "{}->{}",
    "x[{number} * stride] = (float){text};",
    "if ({text} > 1.0) physics->outside |= GPPERF_OUTSIDE_{way};",
    quotients="gpperf__quotients(x + {0} * stride, {1}, {2}, x + {3} * stride, {4}, {5});",
)
VECTORS = Language(
    "const __m512d {} = {};",
    # Whole numbers are doubles as well: they are far below 2**53.
    "const __m512d {} = {};",
    {
        "//": "gpperf__floor_divide_vbmi({0}, {1}, {2})",
        # Where both are equal it is the second one, as in Python.
        "minimum": "_mm512_min_pd({0}, {1})",
        "maximum": "_mm512_max_pd({0}, {1})",
        **{
            op: f"_mm512_maskz_mov_pd(_mm512_cmp_pd_mask({{0}}, {{1}}, {name}), ones)"
            for op, name in ((">", "_CMP_GT_OQ"), ("==", "_CMP_EQ_OQ"), ("!=", "_CMP_NEQ_UQ"))
        },
        "select": (
            "_mm512_mask_blend_pd(_mm512_cmp_pd_mask({0}, _mm512_setzero_pd(), _CMP_NEQ_UQ), {2}, "
            "{1})"
        ),
        "octaves": "gpperf__octaves_vbmi({0})",
        "faded": "_mm512_roundscale_pd({0} / {1}, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)",
        "width": "gpperf__width_vbmi(head->{value}, widths->{value}, {0})",
        "least": "_mm512_set1_pd(gpperf__least_of(head->{value}, widths->{value}))",
        "sum": "{value}",
    },
    "{}->{}",
    "_mm256_storeu_ps(x[{number}] + row, _mm512_cvtpd_ps({text}));",
    "",
    "_mm512_set1_pd({})",
)
"""C with the vectors of AVX-512, eight questions at a time."""

JAVASCRIPT = Language(
    "const {} = {};",
    "const {} = {};",
    {
        "//": "floorDivide({0} + {1}, {2})",
        "octaves": "octaves({0})",
        "faded": "Math.trunc({0} / {1})",
        "width": "width(head.{value}, {0}, {1})",
        "least": "least(head.{value}, {0})",
        "sum": "sums.{value}",
    },
    "{}.{}",
    "X[{number}] = {text};",
    "if ({text} > 1.0) physics.outside |= {bit};",
)


class Statements:
    """The statements of one function, in a language; names are given as they are needed."""

    def __init__(self, language: Language, prefix: str = "v") -> None:
        self._language = language
        self._prefix = prefix
        self._names: dict[int, str] = {}
        self._known: list[Node] = []
        self.lines: list[str] = []

    def take(self) -> list[str]:
        """Return the lines so far, and begin anew; names stay known."""
        lines, self.lines = self.lines, []
        return lines

    def give(self, node: Node, name: str) -> None:
        """Give a node a name that is there already."""
        self._names[id(node)] = name
        self._known.append(node)

    def need(self, roots: Iterable[Node]) -> list[str]:
        """Add the statements of roots, and return what each is called."""
        roots = list(roots)
        for node in in_order(roots, self._known):
            self._known.append(node)
            if node.op not in ("input", "constant", "sum"):
                self._add(node)
        return [self.text(root) for root in roots]

    def text(self, node: Node) -> str:
        """Return a node that is known as the language writes it where it is used."""
        if id(node) in self._names:
            return self._names[id(node)]
        if node.op == "input":
            return self._language.number.format(node.value)
        if node.op == "sum":
            return self._language.calls["sum"].format(value=node.value)
        assert node.op == "constant", node
        return self._language.number.format(repr(node.value))

    def _add(self, node: Node) -> None:
        pattern = self._language.calls.get(node.op) or _OWN[node.op]
        arguments = [self.text(one) for one in node.args]
        name = f"{self._prefix}{len(self._names)}"
        declared = self._language.whole if node.op in WHOLE else self._language.real
        self.lines.append(declared.format(name, pattern.format(*arguments, value=node.value)))
        self._names[id(node)] = name
