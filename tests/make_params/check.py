"""Check the parameters that kernels of the catalogue make, without a GPU.

    python tests/make_params/check.py FOLDER --share 0.1 --workers 1

compiles all kernels of CUTLASS 3.x, the first of every template and a share of all builds to PTX,
lets an interpreter run `gemm_make_params` over random problems, and holds what it makes against
formulas. Each result is added to FOLDER/results.jsonl as soon as it is there: after Ctrl-C the same
command goes on. It exits with 1 where something was found, with 2 where nothing can be compiled.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parent, HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from stand_ins.ptx_thread import PtxError  # noqa: E402

from builder.compile import Compiles  # noqa: E402
from builder.compile.nvrtc import CompileError, NvrtcProcesses  # noqa: E402
from builder.errors import BuilderError  # noqa: E402
from builder.kernels import select  # noqa: E402
from make_params.comparison import Findings, findings_of  # noqa: E402
from make_params.problem import random_problems  # noqa: E402
from make_params.programs import CheckedProgram, programs_in, programs_of  # noqa: E402
from make_params.results import Result, append, read, rules_key, summary  # noqa: E402

PROBLEMS = 200
SHARE = 0.1


def main(
    arguments: Sequence[str] | None = None, compiler: Callable[[], Compiles] = NvrtcProcesses
) -> int:
    """Run the command with a compiler of that kind; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        chosen = programs_of(select(options.only)) if options.only else programs_in(options.share)
    except BuilderError as error:
        print(error, file=sys.stderr)
        return 2
    with closing(compiler()) as compile_one:
        try:
            results = check(chosen, options.folder, options.problems, options.workers, compile_one)
        except KeyboardInterrupt:
            print("stopped: the same command goes on", file=sys.stderr)
            return 130
    print("\n".join(summary(results)))
    return int(not all(one.is_clean for one in results))


def check(
    chosen: Sequence[CheckedProgram],
    folder: Path,
    n_problems: int,
    n_workers: int,
    compiler: Compiles,
) -> list[Result]:
    """Return the results of programs in their order; those in the folder are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    path, rules = folder / "results.jsonl", rules_key()
    done = {
        one.key: one
        for one in read(path)
        if one.rules == rules and one.found.n_problems >= n_problems and not one.failure
    }
    missing = [program for program in chosen if program.key not in done]
    print(
        f"{len(chosen)} programs, {len(chosen) - len(missing)} of them checked before", flush=True
    )
    with ThreadPoolExecutor(max(1, n_workers)) as pool:
        futures = [pool.submit(_result, one, n_problems, rules, compiler) for one in missing]
        try:
            for count, future in enumerate(as_completed(futures), 1):
                result = future.result()
                append(path, result)
                done[result.key] = result
                print(f"[{count}/{len(missing)}] {result.line()}", flush=True)
        except BaseException:
            compiler.close()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[program.key] for program in chosen]


def _result(program: CheckedProgram, n_problems: int, rules: str, compiler: Compiles) -> Result:
    start, failure, found = time.perf_counter(), "", Findings()
    build = program.builds[0]
    try:
        text = compiler(program.job).code.decode()
        found = findings_of(build, text, list(random_problems(build, 0, n_problems)))
    except (CompileError, PtxError) as error:
        failure = str(error)
    return Result(
        program.key,
        rules,
        program.name,
        build.kernel.family,
        len(program.builds),
        found,
        failure,
        round(time.perf_counter() - start, 2),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/make_params/check.py",
        description="Check the parameters that kernels make, without a GPU.",
    )
    parser.add_argument("folder", type=Path, help="of the results; what is there is gone on with")
    parser.add_argument("--share", type=float, default=SHARE, help=f"of all builds ({SHARE:g})")
    parser.add_argument(
        "--only", nargs="+", metavar="PATTERN", help="of names of kernels, instead of a share"
    )
    parser.add_argument(
        "--problems", type=int, default=PROBLEMS, help=f"random ones a program ({PROBLEMS})"
    )
    parser.add_argument("--workers", type=int, default=1, help="programs compiled at once (1)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
