"""The tables of a model in C: forests, intervals, heads, kernels and stored answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gpperf_lite._forest import powers_of_two
from gpperf_lite._gemm import DTYPES, LAYOUTS
from gpperf_lite._interval import Interval

from .answers import Answer
from .contents import DTYPE_NUMBERS, TIMED_NUMBERS, Contents, bits_of, rows_of
from .functions import outside_of
from .trace import Formulas

_BYTES = {"uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "float": 4, "double": 8}
_PER_LINE = 110
_LOW_BITS = 9
_ROOTS = 4


class CTables:
    """Declarations of static tables, and how many bytes they take."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.n_bytes = 0

    def add(
        self, ctype: str, name: str, values: Sequence[Any], width: int = 0, place: str = ""
    ) -> None:
        """Add a table; width: of its rows, where it has two axes; place: how it is aligned."""
        texts = [_text(ctype, value) for value in values] or ["0"]
        size = f"[{len(texts) // width}][{width}]" if width else f"[{len(texts)}]"
        if width:
            rows = (texts[start : start + width] for start in range(0, len(texts), width))
            texts = [f"{{{','.join(row)}}}" for row in rows]
        self.n_bytes += _BYTES[ctype] * max(len(values), 1)
        begin = f"static const {ctype} {place}gpperf__{name}{size} = {{"
        self.lines += [begin, *_wrapped(texts), "};"]

    def add_structs(self, ctype: str, name: str, rows: Sequence[Sequence[Any]], size: int) -> None:
        """Add a table of structures; size: the bytes of one."""
        texts = [f"{{{', '.join(_text('', value) for value in row)}}}" for row in rows]
        self.n_bytes += size * len(rows)
        self.lines += [f"static const gpperf__{ctype} gpperf__{name}[{len(rows)}] = {{"]
        self.lines += [f"    {text}," for text in texts]
        self.lines += ["};"]

    def add_texts(self, name: str, texts: Sequence[str]) -> None:
        """Add a table of texts."""
        self.n_bytes += sum(len(text) + 1 + 8 for text in texts)
        self.lines += [f"static const char *const gpperf__{name}[{len(texts)}] = {{"]
        self.lines += [f"    {quoted(text)}," for text in texts]
        self.lines += ["};"]


def quoted(text: str) -> str:
    """Return a text as a literal of C; what is not ASCII, or begins a trigraph, is escaped."""
    escaped = json.dumps(text.encode("ascii", "replace").decode())
    return escaped.replace("??", "?\\?")


def _text(ctype: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, tuple):
        return f"{{{', '.join(_text('', one) for one in value)}}}"
    if ctype == "float":
        return f"{np.float32(value)!s}f" if np.isfinite(value) else "INFINITY"
    if isinstance(value, (float, np.floating)):
        return repr(float(value)) if np.isfinite(value) else "(double)NAN"
    return str(value)


def _wrapped(texts: Iterable[str]) -> Iterable[str]:
    line = ""
    for text in texts:
        if line and len(line) + len(text) + 1 > _PER_LINE:
            yield line
            line = ""
        line += f"{text},"
    yield line


def add_arithmetic(tables: CTables) -> None:
    """Add the tables of 2**x: of the low bits, and a factor for each of the high ones."""
    tables.add("double", "octave", powers_of_two(np.arange(1 << _LOW_BITS)).tolist())
    bits = 1 << np.arange(_LOW_BITS, _LOW_BITS + _ROOTS)
    roots = [value for root in powers_of_two(bits).tolist() for value in (1.0, root)]
    tables.add("double", "root", roots, 2)
    # Bytes, four times each: vectors repeat four bytes in less time than one.
    four_times = np.repeat(np.arange(256, dtype=np.uint8), 4).view("<i4")
    tables.lines += ["#ifdef GPPERF__X86"]
    tables.add("int32_t", "four_times", four_times.tolist())
    tables.lines += ["#endif"]


def add_parameters(tables: CTables, form: str, formulas: Formulas) -> None:
    """Add a table for each of the parameters in which heads of a form differ."""
    for one in formulas.parameters:
        if one.table:
            flat = [value for row in one.table for value in row]
            tables.add("double", f"{one.name}_{form}", flat, len(one.table[0]))


class _Pool:
    """Numbers in one table, and where each run of them begins; equal runs are kept once."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._starts: dict[tuple[float, ...], int] = {}

    def start(self, run: Iterable[float]) -> int:
        key = tuple(run)
        if key not in self._starts:
            self._starts[key] = len(self.values)
            self.values += key
        return self._starts[key]


def add_intervals(tables: CTables, intervals: Sequence[Interval]) -> None:
    """Add the intervals of all estimators, in their order."""
    edges, confidences, widths = _Pool(), _Pool(), _Pool()
    rows = [
        (
            edges.start(one.runtime_edges_s),
            confidences.start(one.confidences),
            widths.start(width for row in rows_of(one) for width in row),
            len(one.runtime_edges_s),
            len(one.confidences),
        )
        for one in intervals
    ]
    tables.add("double", "edges", edges.values)
    tables.add("double", "confidences", confidences.values)
    tables.add("int32_t", "half_widths", widths.values)
    tables.add_structs("interval", "intervals", rows, 20)


def add_heads(tables: CTables, contents: Contents, formulas: dict[str, Formulas]) -> None:
    """Add the heads, and which of them answers for a dtype and a kernel."""
    n_kernels = len(contents.artefact.kernels)
    head_of = np.full((len(DTYPES), n_kernels), -1)
    rows = []
    for number, head in enumerate(contents.heads):
        head_of[DTYPE_NUMBERS[head.dtype], head.kernel] = number
        place = contents.of_form(head.form).index(head)
        of_form = {one.name: one.row_of[place] for one in formulas[head.form].parameters}
        model = head.model
        rows.append(
            (
                model.shortest_powered_s,
                *(of_form.get(name, 0) for name in ("view", "own", "domain", "board")),
                *head.estimators,
                model.kernel.alignment,
                outside_of(head),
                contents.forms.index(head.form),
                bits_of(head.layouts),
                bits_of(head.compared),
                bits_of(head.measured_layouts),
                bits_of(head.measured_betas),
                TIMED_NUMBERS[model.runtime.timed],
            )
        )
    tables.add_structs("head", "heads", rows, 48)
    tables.add("int32_t", "head_of", head_of.ravel().tolist(), n_kernels)
    defaults = [contents.defaults.get(dtype, -2) for dtype in DTYPES]
    tables.add("int32_t", "defaults", defaults)
    tables.add("int32_t", "by_name", contents.by_name)


def add_answers(tables: CTables, answers: Sequence[Answer]) -> None:
    """Add stored answers."""
    rows = [
        (
            answer.figures,
            question.gemm.beta,
            question.confidence,
            *(question.gemm.m, question.gemm.n, question.gemm.k, question.gemm.batch),
            DTYPE_NUMBERS[question.gemm.dtype],
            LAYOUTS.index(question.gemm.layout),
            question.kernel,
            answer.is_in_domain,
        )
        for answer in answers
        for question in (answer.question,)
    ]
    tables.add_structs("stored", "answers", rows, 112)
