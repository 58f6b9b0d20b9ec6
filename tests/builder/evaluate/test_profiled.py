"""What cutlass_profiler measured beside what was predicted: figures worked out by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from stand_ins.built_in import built_in
from stand_ins.tables import CUTLASS_COLUMNS, cutlass_row, write_csv

from builder.__main__ import main
from builder.errors import BuilderError, DatasetError, SourceError
from builder.evaluate import profiled

TILES = ((128, 256), (128, 128), (64, 128), (64, 64))
NAMES = [
    f"cutlass3x_sm90_tensorop_gemm_bf16_bf16_f32_void_bf16_{m}x{n}x64_2x1x1_0_tnn_align8"
    for m, n in TILES
]
MEASURED = {(4096, 4096, 4096): (2.0, 1.0, 4.0, 8.0), (4096, 64, 4096): (0.8, 0.4, 0.2, 0.1)}
"""Runtimes in ms by sizes, in the order of NAMES."""


def row(name: str, sizes: tuple[int, ...], ms: float, **cells: str) -> list[str]:
    m, n, k = map(str, sizes)
    tile = re.search(r"_(\d+)x(\d+)x(\d+)_2x1x1", name)
    assert tile is not None
    told = {
        "Operation": name, "m": m, "n": n, "k": k, "A": "bf16:row", "B": "bf16:column",
        "C": "void:column", "D": "bf16:column", "accum": "f32", "Runtime": str(ms),
        **dict(zip(("cta_m", "cta_n", "cta_k"), tile.groups(), strict=True)),
        "cluster_m": "2", "cluster_n": "1", "cluster_k": "1", "stages": "0",
        **{f"{kind}_{axis}": "0" for kind in ("warps", "inst") for axis in "mnk"},
    }  # fmt: skip
    return cutlass_row(**{**told, **cells})


def results(folder: Path, *more: list[str]) -> Path:
    rows = [
        row(name, sizes, ms)
        for sizes, times in MEASURED.items()
        for name, ms in zip(NAMES, times, strict=True)
    ]
    return write_csv(folder / "results.gemm.csv", CUTLASS_COLUMNS, [*rows, *more])


def written(folder: Path, predicted: dict[tuple[str, tuple[int, ...]], float]) -> Path:
    lines = [f"{name},{m},{n},{k},1,0,{ms}" for (name, (m, n, k)), ms in predicted.items()]
    head = "operation_name,m,n,k,batch_count,beta,predicted_ms"
    path = folder / "list.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_equal_sizes_with_and_without_beta_are_two_predictions(tmp_path: Path) -> None:
    list_file = written(tmp_path, {(NAMES[0], (64, 64, 64)): 0.25})
    line = f"{NAMES[0]},64,64,64,1,1,0.5\n"
    list_file.write_text(list_file.read_text() + line)
    table = tmp_path / "one.gemm.csv"
    write_csv(table, CUTLASS_COLUMNS, [row(NAMES[0], (64, 64, 64), 0.25)])
    found = profiled(table, built_in("h200_sxm"), list_file)
    assert found.predicted_s.tolist() == pytest.approx([0.25e-3])


def test_errors_and_the_worth_of_the_choice_are_of_what_was_written_before(tmp_path: Path) -> None:
    """Of the first GEMM 128 x 128 is the best, and 128 x 256 was to be: half as fast."""
    (large, times), (flat, others) = MEASURED.items()
    told = {(NAMES[0], large): 1.0, (NAMES[1], large): 2.0, (NAMES[3], flat): 0.1}
    found = profiled(results(tmp_path), built_in("h200_sxm"), written(tmp_path, told))
    assert len(found.points) == len(times) + len(others)
    assert np.isfinite(found.predicted_s).sum() == found.errors.n == 3
    # 1 for 2 ms, 2 for 1 ms, 0.1 for 0.1 ms.
    assert found.errors.mean_ape == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    (one, four, _) = found.first
    assert (one.first, one.n_gemms, one.n_tied) == (1, 2, 0)
    assert one.mean == pytest.approx((0.5 + 1.0) / 2)
    assert one.minimum == pytest.approx(0.5)
    assert one.found == 0.5
    assert four.mean == 1.0


def test_a_kernel_that_was_not_predicted_counts_as_the_best_that_there_was(tmp_path: Path) -> None:
    (large, _), (flat, _) = MEASURED.items()
    told = {(NAMES[2], large): 1.0, (NAMES[0], flat): 1.0}
    found = profiled(results(tmp_path), built_in("h200_sxm"), written(tmp_path, told))
    assert found.first[0].mean == pytest.approx((1.0 / 4.0 + 0.1 / 0.8) / 2)


def test_of_kernels_predicted_alike_the_slowest_counts(tmp_path: Path) -> None:
    (large, _), (flat, _) = MEASURED.items()
    told = {(name, sizes): 1.0 for name in NAMES for sizes in (large, flat)}
    found = profiled(results(tmp_path), built_in("h200_sxm"), written(tmp_path, told))
    assert found.first[0].n_tied == 2
    assert found.first[0].mean == pytest.approx(1.0 / 8.0)


def test_without_a_list_the_model_is_asked(tmp_path: Path) -> None:
    model = built_in("h200_sxm")
    found = profiled(results(tmp_path), model)
    assert np.isfinite(found.predicted_s).all()
    at = [place for place, m in enumerate(found.points.n) if m == 64]
    order = [
        str(found.points.kernel[one]) for one in sorted(at, key=lambda i: found.predicted_s[i])
    ]
    assert order == NAMES[::-1]


def test_each_kernel_of_the_report_is_there_with_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (large, _), _ = MEASURED.items()
    path = written(tmp_path, {(NAMES[0], large): 1.0, (NAMES[2], large): 3.0})
    command = ["evaluate", "profiler", str(results(tmp_path)), "--artefact", "h200"]
    assert main([*command, "--predicted", str(path), "--top", "2"]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    head, columns, *rows = blocks[0].splitlines()
    assert head == "4096 x 4096 x 4096 bf16 tn, 4 kernels"
    assert columns.split("  ")[-1] == "of the best"
    assert [line.split() for line in rows] == [
        [NAMES[0], "1", "2", "-50.0%", "50.0%"],
        [NAMES[2], "3", "4", "-25.0%", "25.0%"],
        [NAMES[1], "-", "1", "-", "100.0%"],
    ]
    assert blocks[-1].startswith("2 runtimes: mean error 37.5%, median 37.5%")
    assert main(command) == 0
    assert capsys.readouterr().out.endswith("is not checked\n")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", DatasetError, "none such"),
        ("operation_name,m\nx,1\n", SourceError, "'n'"),
        (
            "operation_name,m,n,k,batch_count,beta,predicted_ms\nx,1,1,1,1,0,much\n",
            SourceError,
            "much",
        ),
        (
            "operation_name,m,n,k,batch_count,beta,predicted_ms\nx,1\n",
            SourceError,
            "must be a list",
        ),
        (
            "operation_name,m,n,k,batch_count,beta,predicted_ms\nx,1,1,1,1,0,2\n",
            DatasetError,
            "none such",
        ),
    ],
)
def test_a_list_that_is_not_valid_or_of_other_kernels_is_refused(
    text: str, error: type[BuilderError], message: str, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(error, match=message):
        profiled(results(tmp_path), built_in("h200_sxm"), tmp_path / "list.csv")
