"""Lists for CUTLASS, held against its own library, which the wheel nvidia-cutlass has."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stand_ins.built_in import built_in
from stand_ins.pages import commands
from stand_ins.tables import CUTLASS_COLUMNS, cutlass_row, write_csv

import gpperf_lite as gp
from builder.__main__ import main
from builder.export.cutlass import profiler_list
from builder.export.cutlass_problems import Problem, problem_list, read_problems

PAGE = Path(__file__).parents[3] / "docs" / "cutlass.md"
TYPES = "bf16_bf16_f32_void_bf16"
SCHEDULES = ("warpspecialized_pingpong_epi_tma", "warpspecialized_cooperative_epi_tma")
NAMES = [
    f"cutlass3x_sm90_tensorop_gemm_{TYPES}_{m}x{n}x64_{cluster}_0_tnn_align8_{schedule}"
    for m, n in ((64, 64), (64, 128), (128, 128), (128, 256))
    for cluster in ("1x1x1", "2x1x1")
    for schedule in SCHEDULES
]
LARGE, FLAT = gp.Gemm(8192, 4096, 4096, "bf16"), gp.Gemm(64, 4096, 4096, "bf16")


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a test list as the profiler reads them (options.cu): cells by comma."""
    head, *lines = text.removesuffix("\n").split("\n")
    return [dict(zip(head.split(","), line.split(","), strict=True)) for line in lines]


def tile(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(gp.Kernel.from_name(row["operation_name"]).tile or ())


@pytest.fixture(scope="module")
def heuristics() -> Any:
    pytest.importorskip("cutlass_library", reason="the wheel nvidia-cutlass is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cutlass_library import heuristics
    return heuristics


class Provider:
    """What CUTLASS asks for configurations; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def get_configs(self, *args: Any, **kwargs: Any) -> list[Any]:
        self.asked.append((*args, kwargs["voidC"], kwargs["use_fast_acc"]))
        return []


def test_cutlass_reads_the_problem_list_and_asks_its_heuristics_about_it(
    heuristics: Any, tmp_path: Path
) -> None:
    library, provider = heuristics.DataType, Provider()
    gemms = [
        gp.Gemm(64, 6144, 4096, "bf16"),
        gp.Gemm(8, 16, 32, "fp8", "tt", 3),
        gp.Gemm(8, 16, 32, "s8", "nt", beta=1.0),
    ]
    (tmp_path / "list.json").write_text(problem_list(map(Problem.of, gemms)))
    told = json.loads((tmp_path / "list.json").read_text())
    heuristics.get_gemm_configs(told, provider)
    row, column = heuristics.LayoutType.RowMajor, heuristics.LayoutType.ColumnMajor
    # A column-major C' = B' A': m and n change places, and the letters of A and B.
    assert provider.asked == [
        (6144, 64, 4096, 1, (library.bf16, library.bf16, library.f32, library.bf16, library.bf16),
         (row, column, column), 8, 8, True, True),
        (16, 8, 32, 3, (library.e4m3, library.e4m3, library.f32, library.bf16, library.bf16),
         (column, column, column), 16, 16, True, True),
        (16, 8, 32, 1, (library.s8, library.s8, library.s32, library.s32, library.s32),
         (column, row, column), 16, 16, False, True),
    ]  # fmt: skip
    assert read_problems(tmp_path / "list.json") == list(map(Problem.of, gemms))
    assert [one.row_major() for one in map(Problem.of, gemms)] == gemms


def test_the_test_list_is_what_cutlass_writes_of_the_same_rows(
    heuristics: Any, tmp_path: Path
) -> None:
    told = profiler_list(built_in("h200_sxm"), [Problem.of(LARGE)], NAMES, 5)
    path = tmp_path / "list.csv"
    heuristics.write_profiler_testlist_to_csv(rows_of(told.text), path)
    assert path.read_bytes().replace(b"\r\n", b"\n").decode() == told.text


def test_names_of_cutlass_s_own_generator_are_ranked(heuristics: Any) -> None:
    """Those of tiles that its heuristics mode would be told: all their schedules."""
    from cutlass_library import generator

    made = heuristics.generate_sm90_from_heuristics_configs
    made.__globals__.setdefault("CreateGemmUniversal3xOperator",
                                generator.CreateGemmUniversal3xOperator)  # fmt: skip
    types, column = heuristics.DataType, heuristics.LayoutType.ColumnMajor
    shared = {
        **dict.fromkeys(("dtype_a", "dtype_b", "dtype_c", "dtype_d"), types.bf16),
        "dtype_acc": types.f32, "layout_a": heuristics.LayoutType.RowMajor, "layout_b": column,
        "alignment_a": 8, "alignment_b": 8, "use_fast_acc": True, "cta_tile_k": 64,
        "cluster_m": 2, "cluster_n": 1, "cluster_k": 1,
    }  # fmt: skip
    configs = [
        {**shared, "cta_tile_m": m, "cta_tile_n": n} for m, n in ((64, 128), (128, 128), (128, 256))
    ]
    names = [one.procedural_name() for one in made(None, "13.0", configs)[1]]
    assert len(names) == 20
    (first, *_), (last, *_) = (
        rows_of(profiler_list(built_in("h200_sxm"), [Problem.of(gemm)], names, 100).text)
        for gemm in (LARGE, FLAT)
    )
    assert first["operation_name"] in names
    assert (tile(first), tile(last)) == ((128, 256, 64), (64, 128, 64))


def test_kernels_come_by_predicted_runtime_and_the_top_is_honoured() -> None:
    model = built_in("h200_sxm")
    told = profiler_list(model, list(map(Problem.of, (LARGE, FLAT))), NAMES, 5)
    assert (told.n_rows, told.n_problems, told.left_out) == (10, 2, ())
    rows = rows_of(told.text)
    for part, gemm in ((rows[:5], LARGE), (rows[5:], FLAT)):
        assert {(row["m"], row["n"], row["k"]) for row in part} == {
            (str(gemm.n), str(gemm.m), str(gemm.k))
        }
        times = [float(row["predicted_ms"]) for row in part]
        assert times == sorted(times)
        every = rows_of(profiler_list(model, [Problem.of(gemm)], NAMES, 100).text)
        assert part == every[:5]
        assert len(every) == len(NAMES) - 2
    # A tile that is loaded for more products first; and of 4096 x 64, tiles for more of 132 SMs.
    assert (tile(rows[0]), tile(rows[5])) == ((128, 256, 64), (64, 64, 64))


def test_a_tile_whose_accumulators_one_warp_group_cannot_hold_is_left_out() -> None:
    """128 x 256 in pingpong: 256 registers of each thread. Two cooperative groups share it."""
    told = profiler_list(built_in("h200_sxm"), [Problem.of(LARGE)], NAMES, 100)
    wide = [row["operation_name"] for row in rows_of(told.text) if tile(row)[:2] == (128, 256)]
    assert ["cooperative" in name for name in wide] == [True, True]


def test_the_prediction_in_the_list_is_that_of_the_kernel_s_name() -> None:
    model = built_in("h200_sxm")
    (row, *_) = rows_of(profiler_list(model, [Problem.of(LARGE)], NAMES, 1).text)
    told = model.predict(Problem.of(LARGE).launched(), row["operation_name"])
    assert row["predicted_ms"] == f"{1e3 * told.runtime_s:.6g}"


OWN = Problem.of(LARGE)
NAME = NAMES[0]


@pytest.mark.parametrize(
    "name",
    [
        NAME.replace("f32_void_bf16", "f32_f32_f32"),  # C and D
        NAME.replace("_f32_", "_f16_"),  # accumulator
        NAME.replace("bf16_bf16_f32", "f16_f16_f32"),  # A and B
        NAME.replace("tnn_", "tnt_"),  # C is row-major
        NAME.replace("tnn_", "ttn_"),
        NAME.replace("gemm_", "gemm_grouped_"),
        "cutlass_tensorop_s16816gemm_bf16_256x128_32x3_tn_align8",  # D is f32
        "cutlass_tensorop_h16816gemm_256x128_32x3_tn_align8",
        "tiled_sgemm_16",
        "no kernel",
        "",
    ],
)
def test_a_kernel_of_other_types_or_another_layout_is_not_in_the_list(name: str) -> None:
    told = profiler_list(built_in("h200_sxm"), [OWN], [name, NAME], 100)
    assert [row["operation_name"] for row in rows_of(told.text)] == [NAME]


def changed(**told: Any) -> Problem:
    """Return a problem that differs from OWN in what is told."""
    return Problem(**{**json.loads(problem_list([OWN]))[0], **told})


def test_c_is_read_by_kernels_that_read_it_and_fast_sums_are_only_where_they_may_be() -> None:
    reads = NAME.replace("void", "bf16")
    fast = NAME.replace("warpspecialized", "warpspecialized_fp8_fastaccum")
    for problem, expected in (
        (changed(), {NAME, reads, fast}),
        (changed(beta=1.0), {reads}),
        (changed(use_fast_acc=False), {NAME, reads}),
        (changed(dtype_c="f32"), {NAME, fast}),
        (changed(dtype_c=None), {NAME, reads, fast}),
    ):
        names = [NAME, reads, fast]
        able = [one for one in names if not problem.obstacle(one, gp.Kernel.from_name(one))]
        assert set(able) == expected


def test_kernels_of_2_x_are_known_by_accumulator_and_result() -> None:
    """Of a name that tells no C, CUTLASS's generator has column-major ones alone."""
    problem = changed(dtype_a="f16", dtype_b="f16", dtype_c="f32", dtype_d="f32")
    names = ("cutlass_tensorop_s1688gemm_f16_256x128_32x2_tn_align8",
             "cutlass_tensorop_f16_s1688gemm_f16_256x128_32x2_tn_align8",
             "cutlass_tensorop_h1688gemm_256x128_32x2_tn_align8",
             "cutlass_tensorop_s1688gemm_f16_256x128_32x2_nn_align8")  # fmt: skip
    told = profiler_list(built_in("rtx2080ti"), [problem], names, 9)
    assert [row["operation_name"] for row in rows_of(told.text)] == [names[0]]


def test_a_problem_that_the_model_does_not_know_is_left_out_with_the_reason() -> None:
    problems = [OWN, changed(m=10**6), changed(dtype_d="f32", dtype_c="f32")]
    told = profiler_list(built_in("h200_sxm"), problems, NAMES, 2)
    assert told.n_problems == 1
    assert [one.partition(": ")[2] for one in told.left_out] == [
        "it is unlike what the model was trained on",
        "no kernel named is of its layout, and of accumulator, C and D f32 f32 f32",
    ]


Spoil = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: one.pop("dtype_d"), "problem 1: dtype_d must be given"),
        (lambda one: one.update(m=0), "problem 1: m must be"),
        (lambda one: one.update(m="many"), "problem 1: m must be"),
        (lambda one: one.update(layout="tn"), "problem 1: layout must be three letters"),
        (lambda one: one.update(dtype_b="f16"), "problem 1: A and B must be of one dtype"),
        (lambda one: one.update(dtype_a="no", dtype_b="no"), "problem 1: dtype must be"),
        (lambda one: one.update(dtype_a=3, dtype_b=3), "problem 1: dtype_a must be a name"),
        (lambda one: one.update(dtype_d=[1]), "problem 1: dtype_d must be a name"),
        (lambda one: one.update(dtype_acc=None), "problem 1: dtype_acc must be a name"),
        (lambda one: one.update(beta="much"), "problem 1: beta must be"),
        (lambda one: one.update(batch_count=0.5), "problem 1: batch must be"),
        (lambda one: one.update(operation="conv2d"), "problem 1: operation must be gemm"),
    ],
)
def test_a_problem_that_is_not_valid_is_refused_by_its_number(
    spoil: Spoil, message: str, tmp_path: Path
) -> None:
    told = json.loads(problem_list([OWN]))
    spoil(told[0])
    (tmp_path / "list.json").write_text(json.dumps(told))
    with pytest.raises(gp.InputError, match=message):
        read_problems(tmp_path / "list.json")


def test_a_problem_is_read_as_cutlass_reads_it(tmp_path: Path) -> None:
    """In capitals, with keys that are of no use here, and with those left out that may be."""
    told = {"m": 4096, "n": 8192, "k": 4096, "layout": "TNN", "alignment_a": 8, "operation": "gemm",
            "dtype_a": "BF16", "dtype_b": "bf16", "dtype_d": "bf16"}  # fmt: skip
    (tmp_path / "list.json").write_text(json.dumps([told, told]))
    assert read_problems(tmp_path / "list.json") == [changed(dtype_c=None)]


@pytest.mark.parametrize("text", ["", "{}", "[]", "[3]", '{"m": 3}', "\x00"])
def test_a_list_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(gp.InputError, match=r"list\.json"):
        read_problems(tmp_path / "list.json")


def test_the_command_writes_both_lists(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("gemms.csv").write_text(
        "job,m,n,k,dtype\na,8192,4096,4096,bf16\nb,8192,4096,4096,bf16\nb,64,4096,4096,f16\n"
    )
    Path("kernels.txt").write_text("\n".join(NAMES))
    command = ["export", "h200", "--format", "cutlass", "--gemms", "gemms.csv",
               "--kernels", "kernels.txt", "--top", "3", "--output", "h200.csv"]  # fmt: skip
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("left out: 4096 x 64 x 4096 f16 tnn: it is unlike")
    assert out.endswith("wrote h200.csv, h200.json: 3 kernels for 1 GEMMs\n")
    assert read_problems(Path("h200.json")) == read_problems(Path("gemms.csv"))
    assert len(rows_of(Path("h200.csv").read_text())) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--gemms": None}, "needs --gemms and --kernels"),
        ({"--kernels": None}, "needs --gemms and --kernels"),
        ({"--kernels": "none.txt"}, "must have the name of a kernel in each line"),
        ({"--output": "list.json"}, "output must be a file of its own, and no .json"),
        ({"--output": "gemms.csv"}, "output must be a file of its own"),
        ({"--output": "kernels.txt"}, "output must be a file of its own"),
        ({"--kernels": "gemms.csv"}, "no problem can be given kernels: .*no kernel named"),
        ({"--check": "3"}, "--check must be of code"),
    ],
)
def test_a_command_that_cannot_be_followed_is_refused(
    options: dict[str, str | None], message: str, in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    Path("gemms.csv").write_text("job,m,n,k,dtype\na,8192,4096,4096,bf16\n")
    Path("kernels.txt").write_text("\n".join(NAMES))
    told = {"--gemms": "gemms.csv", "--kernels": "kernels.txt", "--output": "h200.csv", **options}
    pairs = [text for name, value in told.items() if value is not None for text in (name, value)]
    assert main(["export", "h200", "--format", "cutlass", *pairs]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert {path.name for path in in_folder.iterdir()} == {"gemms.csv", "kernels.txt"}


@pytest.mark.usefixtures("heuristics")
def test_the_commands_of_the_page_run_one_after_the_other(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CUTLASS's generator names kernels, some are listed, and then taken as if measured."""
    generate, export, evaluate = (shlex.split(line)[1:] for line in commands(PAGE))
    subprocess.run([sys.executable, *generate], check=True, capture_output=True)
    names = set(Path("kernels.txt").read_text().splitlines())
    Path("jobs.csv").write_text(
        "job,m,n,k,dtype\na,8192,4096,4096,bf16\na,64,4096,4096,bf16\nb,8192,4096,4096,bf16\n"
    )
    assert main(export[2:]) == 0
    rows = rows_of((in_folder / "h200.csv").read_text())
    assert len(rows) == 16
    assert {row["operation_name"] for row in rows} < names
    assert {tile(row) for row in rows[:8]} == {(128, 256, 64)}
    measured = [
        cutlass_row(**{
            "Operation": row["operation_name"], "m": row["m"], "n": row["n"], "k": row["k"],
            "A": "bf16:row", "B": "bf16:column", "C": "void:column", "D": "bf16:column",
            "Runtime": str(2.0 * float(row["predicted_ms"])),
            **{f"{kind}_{axis}": "0" for kind in ("cta", "warps", "inst", "cluster")
               for axis in "mnk"},
        })
        for row in rows
    ]  # fmt: skip
    write_csv(in_folder / "results.gemm.csv", CUTLASS_COLUMNS, measured)
    capsys.readouterr()
    assert main(evaluate[2:]) == 0
    assert "16 runtimes: mean error 50.0%, median 50.0%" in capsys.readouterr().out
