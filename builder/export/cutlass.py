"""Lists for CUTLASS: the kernels that its profiler is to time, for the problems of its heuristics.

The test list is what `--testlist-file` of `cutlass_profiler` takes: CSV without quotes, the kernel
first, then arguments by the profiler's names; it passes over a column that it does not know
(`tools/profiler/src/options.cu`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpperf_lite import GpperfError, Gpu, InputError, Kernel, Model

from ..errors import BuilderError
from ..files import write_text
from .cutlass_problems import Problem, problem_list, read_problems
from .source import source_of

LISTS = "cutlass"
"""The name of these lists beside the formats of `export`."""

_WARP_GROUP = 128

_REGISTERS = 240
"""Most registers of a thread that multiplies: CUTLASS gives it those of the warps that load.

`warpgroup_reg_alloc` in include/cutlass/gemm/kernel/sm90_gemm_tma_warpspecialized_*.hpp.
"""


def export_lists(
    model: str, gpu: Gpu | None, gemms: Path, kernels: Path, top: int, output: Path
) -> tuple[ProfilerList, tuple[Path, ...]]:
    """Write the test list of a model to `output`; where gemms are jobs, the problem list, too.

    That is beside it, and ends in `.json`.

    model, gpu: as of `export`. gemms: a file for `read_problems`. kernels: a file with the name of
    a kernel in each line, such as CUTLASS's generator writes for `--selected-kernel-list`.

    Returns the list and the paths. Raises InputError for a file that is not valid, BuilderError as
    `profiler_list` does, and what `load` raises.
    """
    beside = output.with_suffix(".json")
    if output.is_dir() or output in (beside, gemms, kernels) or beside == kernels:
        raise BuilderError(f"output must be a file of its own, and no .json (got {output})")
    try:
        names = kernels.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{kernels} must have the name of a kernel in each line ({error})"
        ) from error
    problems = read_problems(gemms)
    told = profiler_list(Model(source_of(model, gpu).artefact), problems, names, top)
    write_text(output, told.text)
    if gemms.suffix == ".json":
        return told, (output,)
    write_text(beside, problem_list(problems))
    return told, (output, beside)


@dataclass(frozen=True)
class ProfilerList:
    """The text of a test list, its numbers of kernels and problems, and why others are left out."""

    text: str
    n_rows: int
    n_problems: int
    left_out: tuple[str, ...]


def profiler_list(
    model: Model, problems: Sequence[Problem], names: Iterable[str], top: int
) -> ProfilerList:
    """Return the first `top` kernels of each problem by predicted runtime, the least first.

    names: those of the kernels that are, or can be, built. Kernels that differ in the schedule or
    the cluster alone are equal to the model and come by name. A problem is left out where it is
    unlike those that the model was trained on, or no kernel is of its types and layout.

    Raises BuilderError where none is left.
    """
    kernels = list(_described(names))
    rows, left_out, n_problems = [], [], 0
    for one in problems:
        mine = [kernel for kernel in kernels if one.obstacle(kernel.name, kernel) is None]
        try:
            is_known = model.predict(one.row_major()).in_domain
            ranked = model.rank(one.launched(), kernels=mine, top=top) if mine and is_known else []
            reason = "" if ranked else _reason(one, is_known=is_known)
        except GpperfError as error:
            ranked, reason = [], str(error)
        n_problems += bool(ranked)
        sizes = f"{one.m},{one.n},{one.k},{one.batch_count},{one.beta:g}"
        rows += [f"{best.kernel.name},{sizes},{1e3 * best.runtime_s:.6g}" for best in ranked]
        if not ranked:
            left_out.append(f"{one.m} x {one.n} x {one.k} {one.dtype_a} {one.layout}: {reason}")
    if not rows:
        raise BuilderError(f"no problem can be given kernels: {'; '.join(left_out[:3])}")
    head = "operation_name,m,n,k,batch_count,beta,predicted_ms"
    return ProfilerList("\n".join([head, *rows]) + "\n", len(rows), n_problems, tuple(left_out))


def _reason(problem: Problem, *, is_known: bool) -> str:
    if not is_known:
        return "it is unlike what the model was trained on"
    types = (problem.dtype_acc, problem.dtype_c or problem.dtype_d, problem.dtype_d)
    return f"no kernel named is of its layout, and of accumulator, C and D {' '.join(types)}"


def _described(names: Iterable[str]) -> Iterator[Kernel]:
    """Yield the kernels of names that tell a tile, each once, if they can hold its accumulators."""
    for name in dict.fromkeys(one.strip() for one in names):
        try:
            kernel = Kernel.from_name(name)
        except InputError:  # grouped, sparse, of two dtypes: not what we predict
            continue
        if kernel.family in ("cutlass2", "cutlass3") and _holds_accumulators(kernel):
            yield kernel


def _holds_accumulators(kernel: Kernel) -> bool:
    """Return False for a kernel of Hopper whose accumulators would spill, as 256 x 256 does.

    They are in the registers of one warp group, or of two that share a tile: the cooperative ones.
    """
    words = (kernel.schedule or "").split("_")
    if "warpspecialized" not in words or kernel.tile is None:
        return kernel.tile is not None
    n_threads = _WARP_GROUP * (2 if "cooperative" in words else 1)
    return kernel.tile.m * kernel.tile.n <= _REGISTERS * n_threads
