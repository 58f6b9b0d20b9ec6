"""The trace: the runtime's own formulas, run once on symbols.

`KernelModel.answer` is asked with an arithmetic of nodes, so what is exported is what predicts.
Numbers in which heads differ, such as the constants of the physical model, become parameters: a
row of a table for each head. Those that all heads share are constants of the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from gpperf_lite._arithmetic import Arithmetic
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._features import describe
from gpperf_lite._interval import widened
from gpperf_lite._kernel_model import KernelModel
from gpperf_lite._physics import Own, View, power_view_of

from .contents import Contents, Head
from .graph import Graph, Node

QUESTION = ("m", "n", "k", "batch")
"""Inputs that are whole numbers; the others are `reads_c`, the layout and the confidence."""

_OF_THE_LAYOUT = ("a_is_row_major", "b_is_row_major")


class Parameters:
    """Numbers of which every head has a row: equal rows are kept once.

    table: the rows of the numbers in which heads differ; row_of: the row of each head; inputs: a
    node for each number, in the order in which they were given.
    """

    def __init__(self, graph: Graph, name: str, rows: Sequence[Sequence[float]]) -> None:
        columns = [[float(value) for value in column] for column in zip(*rows, strict=True)]
        # By their bits, in which 0.0 and -0.0 differ.
        varying = [n for n, column in enumerate(columns) if len(set(map(repr, column))) > 1]
        self.name = name
        self.inputs = [
            graph.input(f"{name}[{varying.index(n)}]", is_whole=all(map(float.is_integer, column)))
            if n in varying
            else graph.constant(column[0])
            for n, column in enumerate(columns)
        ]
        known: dict[tuple[float, ...], int] = {}
        cut = [tuple(column[head] for column in (columns[n] for n in varying))
               for head in range(len(rows))]  # fmt: skip
        self.row_of = [known.setdefault(row, len(known)) for row in cut]
        self.table = list(known) if varying else []


@dataclass(frozen=True)
class Formulas:
    """The formulas of one form of the physical model.

    parameters: of the heads of that form, in their order.
    columns: the features that the forests look at. strays: the ways to lie outside, in the order of
    `KernelModel.strays`. known: nodes by the names that they have in the runtime, and `beyond`, the
    factor by which a question is outside, 1 inside. answer: the fields of the answer by name, and
    `energy_j`.
    """

    parameters: tuple[Parameters, ...]
    columns: tuple[Node, ...]
    strays: tuple[Node, ...]
    known: dict[str, Node]
    answer: dict[str, Node]

    @property
    def has_power(self) -> bool:
        """True where a head predicts power."""
        return "power_w" in self.answer


class _Tracer:
    """The operations of an Arithmetic, on nodes.

    is_wide_outside: whether an interval has widths of its own outside of its domain.
    """

    def __init__(self, graph: Graph, targets: list[str], *, is_wide_outside: bool) -> None:
        self._graph = graph
        self._targets = targets
        self._is_wide_outside = is_wide_outside

    def arithmetic(self) -> Arithmetic:
        return Arithmetic(
            self._minimum,
            self._maximum,
            lambda row: row,
            lambda forests, row: [self._graph.node("sum", value=one) for one in self._targets],
            self._beyond,
            lambda sums, beyond: [self._graph.node("faded", one, beyond) for one in sums],
            lambda units: self._graph.node("octaves", units),
            self._factors,
        )

    def _minimum(self, one: Any, other: Any) -> Node:
        return self._graph.node("minimum", one, other)

    def _maximum(self, one: Any, other: Any) -> Node:
        return self._graph.node("maximum", one, other)

    def _beyond(self, domain: Domain, m: Any, n: Any, k: Any, batch: Any, base_s: Any) -> Node:
        furthest = self._graph.constant(1.0)
        for stray in domain.strays(m, n, k, batch, base_s):
            furthest = self._maximum(furthest, stray.times)
        return furthest

    def _factors(
        self, interval: Any, value: Any, confidence: Any, beyond: Any
    ) -> tuple[Node, Node]:
        graph = self._graph
        width = graph.node("width", value, confidence, value=interval)
        low = graph.node("octaves", graph.node("negated", width))
        high = graph.node("octaves", width)
        wide: Any = widened(high, beyond)
        if self._is_wide_outside:
            least = graph.node("least", confidence, value=interval)
            wide = self._maximum(wide, graph.node("octaves", least))
        outside = graph.node("!=", beyond, 1.0)
        return (
            graph.node("select", outside, 1.0 / wide, low),
            graph.node("select", outside, wide, high),
        )


def formulas_of(contents: Contents, form: str) -> Formulas:
    """Return the formulas of a form of the physical model, traced on all heads that have it."""
    graph, heads = Graph(), contents.of_form(form)
    targets = ["runtime", *(t for t in ("power", "sustained") if any(h.has(t) for h in heads))]
    view, parameters = _view(graph, heads)
    domains = _domains(graph, heads)
    parameters += (domains,)
    runtime = heads[0].model.runtime._replace(
        domain=_domain(domains.inputs), interval=_interval("runtime")
    )
    power, gpu = None, contents.artefact.gpu
    if "power" in targets:
        powers, power, gpu = _power(graph, heads, gpu)
        parameters += (powers,)
    sustained = runtime if "sustained" in targets else None
    model = KernelModel(gpu, heads[0].model.kernel, view, runtime, power, sustained, ())
    tracer = _Tracer(graph, targets, is_wide_outside=contents.is_wide_outside)
    m, n, k, batch = (graph.input(name, is_whole=True) for name in QUESTION)
    reads_c: Any = graph.input("reads_c")
    confidence: Any = graph.input("confidence")
    answer = model.answer(m, n, k, batch, reads_c, confidence, tracer.arithmetic())
    described = describe(m, n, k, batch, reads_c, view, tracer.arithmetic())
    strays = model.strays(m, n, k, batch, described.base_s)
    times = {name: getattr(described, name) for name in described._fields if name != "row"}
    fields = {name: one for name, one in answer._asdict().items() if isinstance(one, Node)}
    if "power_w" in fields:
        fields["energy_j"] = answer.energy_j
    return Formulas(
        parameters,
        tuple(described.row[number] for number in contents.features_of(form)),
        tuple(stray.times for stray in strays),
        {**times, "launch_s": _node(graph, view.launch_s), "beyond": answer.outside},
        fields,
    )


def _node(graph: Graph, value: Any) -> Node:
    return value if isinstance(value, Node) else graph.constant(value)


def _interval(name: str) -> Any:
    """Return the name of a target, which stands for its interval."""
    return name


def _view(graph: Graph, heads: list[Head]) -> tuple[View, tuple[Parameters, ...]]:
    """Return a view of symbols, and the parameters that it is made of."""
    parameters = Parameters(graph, "view", [_flat(vars(head.model.view)) for head in heads])
    nodes = iter(parameters.inputs)
    view = copy(heads[0].model.view)
    for name, value in vars(view).items():
        if name in _OF_THE_LAYOUT:
            setattr(view, name, graph.input(name, is_whole=True))
        elif isinstance(value, tuple) and name != "own":
            setattr(view, name, tuple(next(nodes) for _ in value))
        elif name != "own":
            setattr(view, name, next(nodes))
    if view.own is None:
        return view, (parameters,)
    owns = Parameters(graph, "own", [head.model.view.own or () for head in heads])
    view.own = Own(*owns.inputs)
    return view, (parameters, owns)


def _flat(fields: dict[str, Any]) -> list[float]:
    """Return the numbers of a view, those that depend on the layout and the kernel aside."""
    found: list[float] = []
    for name, value in fields.items():
        if name != "own" and name not in _OF_THE_LAYOUT:
            found += value if isinstance(value, tuple) else (value,)
    return found


def _domains(graph: Graph, heads: list[Head]) -> Parameters:
    domains = [head.model.runtime.domain for head in heads]
    rows = [[*one.m, *one.n, *one.k, *one.batch, one.runtime_s[1]] for one in domains]
    return Parameters(graph, "domain", rows)


def _domain(nodes: list[Node]) -> Domain:
    """Return a domain of symbols; nobody asks for the shortest runtime."""
    m, n, k, batch = ((nodes[2 * place], nodes[2 * place + 1]) for place in range(len(QUESTION)))
    longest: Any = nodes[-1]
    ends: tuple[Any, Any, Any, Any] = (m, n, k, batch)
    return Domain(*ends, (0.0, longest), (), "any")


def _power(graph: Graph, heads: list[Head], gpu: Any) -> tuple[Parameters, Estimator, Any]:
    """Return the parameters of power, and an estimator and a GPU that hold their symbols.

    A head without power has the parameters of another, and its answer is thrown away.
    """
    known = [head.model.power for head in heads]
    some = next(one for one in known if one is not None)
    views = [power_view_of(gpu, (one or some).constants) for one in known]
    parameters = Parameters(graph, "board", views)
    idle, limit, *shares = parameters.inputs
    constants: dict[str, Any] = dict(zip(views[0]._fields[2:], shares, strict=True))
    symbolic = copy(gpu)
    object.__setattr__(symbolic, "idle_power_w", idle)
    object.__setattr__(symbolic, "power_limit_w", limit)
    return parameters, some._replace(constants=constants, interval=_interval("power")), symbolic
