"""A build's `gemm_make_params`, run over problems, and whatever does not agree with its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stand_ins.ptx_thread import Array, FaultError, Memory, Place, Program, read_module

from builder.device.cuda.problem import LAUNCH, PROBLEM, launch_shape
from builder.kernels import Build
from gpperf_lite import Gemm

from .cutlass2_rules import Cutlass2Rules
from .cutlass3_rules import Cutlass3Rules
from .expected import Exports, Launch, Rules, is_refused
from .problem import Problem
from .tiled_rules import TiledRules

ENTRY = "gemm_make_params"

_RULES: dict[str, Callable[[Build], Rules]] = {
    "tiled": TiledRules,
    "cutlass2": Cutlass2Rules,
    "cutlass3": Cutlass3Rules,
}
_BLOCK = 32
"""Threads of a block, as the host launches them."""

_PROBLEMS_AT, _LAUNCHES_AT, _PARAMS_AT = (place << 40 for place in (1, 2, 3))
_MOST_EXAMPLES = 3
_APPROXIMATIONS = (0, 1, -1)
"""Units of the last place that approximate instructions are off, from one problem to the next."""


def rules_of(build: Build) -> Rules:
    """Return the rules of a build."""
    return _RULES[build.kernel.family](build)


@dataclass
class Findings:
    """What was found about one build.

    n_problems, n_run: problems tried, and those of them that it is to run.
    breakpoints: instructions `brkpt` anywhere in the text; reached or not, none is expected.
    faults, disagreements: problems whose thread would fail, or whose result breaks the rules.
    examples: a few of each kind.
    """

    n_problems: int = 0
    n_run: int = 0
    breakpoints: int = 0
    faults: int = 0
    disagreements: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True where nothing was found."""
        return not (self.breakpoints or self.faults or self.disagreements or self.examples)

    def add(self, kind: str, text: str) -> None:
        """Keep the first few examples of a kind."""
        if sum(one.startswith(f"{kind}: ") for one in self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{kind}: {text}")


def findings_of(build: Build, text: str, problems: Sequence[Problem]) -> Findings:
    """Return the findings about the PTX of a build; raises PtxError where it is not known.

    Builds of one program, which differ in slices along k, have the same: problems have any.
    """
    module, rules = read_module(text, ENTRY), rules_of(build)
    exports = Exports(
        *(module.constant(f"gemm_{name}") for name in ("params_bytes", "shared_bytes", "threads"))
    )
    program, found = Program(module.entry(ENTRY)), Findings(breakpoints=text.count("brkpt"))
    for reason in _of_exports(rules, exports):
        found.disagreements += 1
        found.add("exports", reason)
    factors: dict[str, float] = {}
    for index, problem in enumerate(problems):
        found.n_problems += 1
        try:
            made = _made(program, exports, problem, index, len(problems))
        except FaultError as fault:
            found.faults += 1
            found.add("fault", f"{fault} ({problem})")
            continue
        if not _is_asked_for(build, problem):
            continue
        wanted = rules.launch(problem, exports)
        found.n_run += not is_refused(wanted.grid)
        reasons = list(_of_launch(made, wanted))
        if is_refused(wanted.grid):
            reasons += _of_host(build, problem)
        else:
            reasons += _of_params(rules, made, problem, factors)
        found.disagreements += bool(reasons)
        for kind, reason in reasons:
            found.add(kind, f"{reason} ({problem})")
    _beyond(program, len(problems), found)
    return found


@dataclass(frozen=True)
class _Made:
    """What a thread wrote: the launch, the parameters, and which bytes of them."""

    launch: Launch
    params: bytes
    written: bytes


def _made(program: Program, exports: Exports, problem: Problem, index: int, count: int) -> _Made:
    """Return what the thread of one problem makes of it; that of others is out of its reach."""
    problem_at = _PROBLEMS_AT + index * PROBLEM.itemsize
    arrays = [
        Array.filled(problem_at, problem.record().tobytes()),
        Array.empty(_LAUNCHES_AT + index * LAUNCH.itemsize, LAUNCH.itemsize),
        Array.empty(_PARAMS_AT + index * exports.params_bytes, exports.params_bytes),
    ]
    _run(program, Memory(arrays), index, count)
    _, launch, params = arrays
    if not all(launch.written):
        raise FaultError("leaves a part of the launch unwritten")
    record = np.frombuffer(bytes(launch.data), LAUNCH)[0]
    made = Launch(*launch_shape(record), int(record["workspace_bytes"]))
    return _Made(made, bytes(params.data), bytes(params.written))


def _run(program: Program, memory: Memory, index: int, count: int) -> None:
    place = Place(index // _BLOCK, index % _BLOCK, _BLOCK)
    arguments = (_PARAMS_AT, _LAUNCHES_AT, _PROBLEMS_AT, count)
    program.run(arguments, memory, place, _APPROXIMATIONS[index % len(_APPROXIMATIONS)])


def _is_asked_for(build: Build, problem: Problem) -> bool:
    """Return False where the host never asks, because a program cannot count so far."""
    return all(getattr(problem, name) <= most for name, most in build.largest._asdict().items())


def _of_host(build: Build, problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield a reason where the host would measure a problem that the kernel refuses."""
    p, kernel = problem, replace(build.kernel, split_k=problem.split_k)
    if p.split_k > 1 and kernel.family != "cutlass2":
        return  # no build of another family is run in slices
    layout = "nt"[p.a_is_row_major] + "nt"[p.b_is_row_major]
    gemm = Gemm(
        p.m, p.n, p.k, kernel.dtype or "", layout, batch=p.batch, alpha=p.alpha, beta=p.beta
    )
    if replace(build, kernel=kernel).obstacle(gemm) is None:
        yield "host", "its build has no obstacle for a problem that it refuses"


def _beyond(program: Program, count: int, found: Findings) -> None:
    """Run the first thread that has no problem: it may touch nothing."""
    try:
        _run(program, Memory([]), count, count)
    except FaultError as fault:
        found.faults += 1
        found.add("fault", f"a thread without a problem: {fault}")


def _of_exports(rules: Rules, exports: Exports) -> Iterator[str]:
    yield from rules.exports(exports)
    if exports.params_bytes != rules.layout.itemsize:
        yield f"Params must have {rules.layout.itemsize} bytes (exports {exports})"


def _of_launch(made: _Made, wanted: Launch) -> Iterator[tuple[str, str]]:
    """Yield kinds and reasons; of a problem that cannot be run, the grid alone has to say so."""
    if is_refused(wanted.grid):
        if not is_refused(made.launch.grid):
            yield "launch.grid", f"it must be refused (got {made.launch.grid})"
        return
    for name, got, must in zip(Launch._fields, made.launch, wanted, strict=True):
        if got != must:
            yield f"launch.{name}", f"it must be {must} (got {got})"


def _of_params(
    rules: Rules, made: _Made, problem: Problem, factors: dict[str, float]
) -> Iterator[tuple[str, str]]:
    """Yield kinds and reasons; factors: those of the problems before, to which these are added."""
    named = _named_bytes(rules.layout)
    if made.written != named:
        places = [i for i, (a, b) in enumerate(zip(made.written, named, strict=False)) if a != b]
        yield "params", f"the bytes written are not those of the layout, from {places[:4]} on"
        return
    params = np.frombuffer(made.params, rules.layout)[0]
    for name, value in rules.fields(problem).items():
        got = _field(params, name)
        if not _is(got, value):
            yield f"params.{name}", f"it must be {value} (got {got})"
    for name, factor in rules.factors(problem, params).items():
        if factors.setdefault(name, factor) != factor or factor != int(factor):
            yield f"params.{name}", f"it must be {factors[name]}, whole, as before (got {factor})"


def _field(params: NDArray[Any], name: str) -> Any:
    if params.dtype.names and name in params.dtype.names:
        return params[name]
    outer, _, inner = name.partition(".")
    return params[outer][inner]


def _is(got: Any, value: Any) -> bool:
    """Return True where a field has a value, to the bit; a structure, where each of its fields."""
    if got.dtype.names:
        return all(_is(got[name], one) for name, one in zip(got.dtype.names, value, strict=True))
    try:
        return bool(np.array(value, got.dtype).tobytes() == got.tobytes())
    except OverflowError:
        return False


def _named_bytes(layout: np.dtype[Any]) -> bytes:
    """Return a byte for each of a layout: 1 where it belongs to a field."""
    mask = bytearray(layout.itemsize)
    _mark(mask, layout, 0)
    return bytes(mask)


def _mark(mask: bytearray, layout: np.dtype[Any], start: int) -> None:
    for kind, offset, *_ in (layout.fields or {}).values():
        if kind.fields:
            _mark(mask, kind, start + offset)
        else:
            mask[start + offset : start + offset + kind.itemsize] = b"\1" * kind.itemsize
