"""The command that checks a share of the catalogue: its choice, its order, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.compile import Compiles
from builder.compile.nvrtc import (
    CompileError,
    CompileJob,
    CompilerOutput,
    ToolchainError,
    installed_toolchain,
)
from builder.kernels import select
from builder.kernels.catalogue import catalogue
from make_params.check import check, main
from make_params.programs import (
    CheckedProgram,
    is_in_share,
    programs_in,
    programs_of,
    template_of,
)
from make_params.results import Result, read, rules_key, summary

TILED = (Path(__file__).parent / "tiled_16.ptx").read_text()
WRONG = TILED.replace("%r10, %r7, 15", "%r10, %r7, 16")
NAMES = ["tiled_sgemm_16", "tiled_sgemm_15", "tiled_sgemm_14"]


class Compiler:
    """Answers every job with the PTX of side 16, and counts; a job of another side fails."""

    def __init__(self, text: str = TILED, stops_at: int = -1) -> None:
        self.jobs: list[CompileJob] = []
        self.is_closed = False
        self._text = text
        self._stops_at = stops_at

    def __call__(self, job: CompileJob) -> CompilerOutput:
        self.jobs.append(job)
        if len(self.jobs) - 1 == self._stops_at:
            raise KeyboardInterrupt
        if dict(job.macros)["TILE"] == "15":
            raise CompileError("it does not compile: no such side")
        return CompilerOutput(self._text.encode(), "")

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def programs() -> list[CheckedProgram]:
    """Three programs; keys are of an installed compiler."""
    try:
        installed_toolchain()
    except ToolchainError as error:
        pytest.skip(f"nothing can be compiled here: {error}")
    return programs_of([catalogue()[name] for name in NAMES])


def checked(
    programs: list[CheckedProgram], folder: Path, compiler: Compiles, n_problems: int = 20
) -> list[Result]:
    return check(programs, folder, n_problems, 1, compiler)


def test_each_result_is_kept_and_not_made_again(
    programs: list[CheckedProgram], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for one that could not be checked, or was checked with fewer problems."""
    first = checked(programs, tmp_path, Compiler())
    assert [one.name for one in first] == NAMES
    assert [one.is_clean for one in first] == [True, False, False]
    assert first[1].failure == "it does not compile: no such side"
    assert "launch.grid" in first[2].found.examples[1]
    again, compiler = checked(programs, tmp_path, Compiler()), Compiler()
    assert [one.found for one in again] == [one.found for one in first]
    assert "3 programs, 2 of them checked before" in capsys.readouterr().out
    checked(programs, tmp_path, compiler, n_problems=21)
    assert len(compiler.jobs) == 3


def test_results_of_other_rules_are_made_again(
    programs: list[CheckedProgram], tmp_path: Path
) -> None:
    (result,) = checked(programs[:1], tmp_path, Compiler())
    path, compiler = tmp_path / "results.jsonl", Compiler()
    path.write_text(path.read_text().replace(result.rules, "others"))
    checked(programs[:1], tmp_path, compiler)
    assert len(compiler.jobs) == 1


def test_ctrl_c_ends_the_compiler_and_keeps_what_was_finished(
    programs: list[CheckedProgram], tmp_path: Path
) -> None:
    compiler = Compiler(stops_at=1)
    with pytest.raises(KeyboardInterrupt):
        checked(programs, tmp_path, compiler)
    assert compiler.is_closed
    assert [one.name for one in read(tmp_path / "results.jsonl")] == NAMES[:1]
    rest = Compiler()
    assert len(checked(programs, tmp_path, rest)) == 3
    assert len(rest.jobs) == 2


def test_a_line_that_was_cut_off_counts_as_missing(
    programs: list[CheckedProgram], tmp_path: Path
) -> None:
    checked(programs[:1], tmp_path, Compiler())
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert read(path) == []
    compiler = Compiler()
    assert checked(programs[:1], tmp_path, compiler)[0].is_clean
    assert len(compiler.jobs) == 1
    assert len(read(path)) == 1
    path.write_text(path.read_text() + "[1]\n{}\n" + json.dumps({"found": {}}) + "\n")
    assert len(read(path)) == 1


def test_the_summary_counts_by_family_and_shows_examples(
    programs: list[CheckedProgram], tmp_path: Path
) -> None:
    lines = summary(checked(programs, tmp_path, Compiler()))
    assert lines[0].startswith(
        "tiled: 3 builds, 3 programs, 40 problems, 40 of them to run: 0 brkpt"
    )
    assert lines[0].endswith("1 not checked")
    assert lines[1].startswith("all: 3 builds, ")
    assert any(line.startswith("tiled_sgemm_14: launch.grid: it must be") for line in lines)
    assert "tiled_sgemm_15: it does not compile: no such side" in lines


def test_a_share_is_the_same_each_time_and_a_part_of_every_larger_one() -> None:
    builds = [build for build in catalogue().values() if build.source]
    tenth, fifth = (
        [build.kernel.name for build in builds if is_in_share(build, share)] for share in (0.1, 0.2)
    )
    assert set(tenth) < set(fifth)
    assert 0.08 < len(tenth) / len(builds) < 0.12
    assert all(is_in_share(build, 1.0) for build in builds)
    assert not any(is_in_share(build, 0.0) for build in builds)


@pytest.mark.usefixtures("programs")
def test_cutlass_3_comes_first_then_every_template_then_the_rest_of_the_share() -> None:
    chosen = programs_in(0.1)
    families = [program.builds[0].kernel.family for program in chosen]
    assert families[:80] == ["cutlass3"] * 80
    assert families.count("cutlass3") == 80
    every = {template_of(build) for build in catalogue().values() if build.source}
    others = [template_of(one.builds[0]) for one in chosen[80:]]
    n_others = len({one for one in every if one[0] != "cutlass3_gemm.cu"})
    assert len(set(others[:n_others])) == n_others
    assert {template_of(one.builds[0]) for one in chosen} == every
    names = {build.kernel.name for one in chosen for build in one.builds}
    assert {
        name for name, one in catalogue().items() if one.source and is_in_share(one, 0.1)
    } < names
    assert len({one.key for one in chosen}) == len(chosen)


@pytest.mark.usefixtures("programs")
def test_builds_that_differ_in_slices_are_one_program() -> None:
    (program,) = programs_of(select(["cutlass_simt_sgemm_64x64_8x2_nn_align1*"]))
    assert [build.kernel.split_k for build in program.builds] == [1, 2, 4, 8]
    assert program.job.target == "compute_90"
    cooperative = next(name for name in catalogue() if "cooperative" in name)
    assert programs_of([catalogue()[cooperative]])[0].job.target == "compute_90a"


def test_what_decides_a_result_is_in_the_key_of_the_rules_and_comments_are_not(
    tmp_path: Path,
) -> None:
    keys = set()
    for text in ('"""a"""\nx = 1\n', '"""b"""\nx = 1  # c\n', "x = 2\n"):
        (tmp_path / "rules.py").write_text(text)
        (tmp_path / "test_rules.py").write_text(text)
        keys.add(rules_key([tmp_path]))
    assert len(keys) == 2


@pytest.mark.usefixtures("programs")
def test_the_command_says_what_it_found_and_how_it_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["--only", "tiled_sgemm_16", "--problems", "20"]
    assert main([str(tmp_path / "right"), *only]) == 0
    assert "all: 1 builds, 1 programs, 20 problems" in capsys.readouterr().out
    assert main([str(tmp_path / "wrong"), *only], lambda: Compiler(WRONG)) == 1
    assert "tiled_sgemm_16: launch.grid: it must be" in capsys.readouterr().out
    assert main([str(tmp_path / "stopped"), *only], lambda: Compiler(stops_at=0)) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), "--only", "nothing"]) == 2
    assert "must match a kernel" in capsys.readouterr().err
