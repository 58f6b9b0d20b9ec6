"""The winners found: what a ranker finds of a GPU that it did not see, beside other orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_ins.winners import DENSE, write_winners

from builder.__main__ import main
from builder.errors import DatasetError
from builder.evaluate import (
    CONFIG_ORDERS,
    FIRST_CONFIGS,
    WinnersFound,
    WinnersReport,
    winners_found,
)
from builder.evaluate.winners_found import _place
from builder.report import winner_lines

TABLE = "vllm_tuned_configs/vllm_0.33.0_triton_best_configs.parquet"
PAGE = Path(__file__).parents[3] / "docs" / "vllm.md"
TOKENS = (1, 16, 64, 256, 1024)


def rows(device: str, **fields: Any) -> list[dict[str, Any]]:
    """Return winners of both kinds on a device, all with the same configuration."""
    moe = {"kind": "moe", "E": 128.0, "N": 768, "K": None}
    return [
        {**DENSE, "device": device, "m": m, **fields, **kind}
        for m in TOKENS
        for kind in ({}, moe)
        for _ in range(4)
    ]


def found(path: Path, device: str, what: str = "tile", held_out: str = "GPU") -> WinnersFound:
    """Return what is found of the linear layers of a device."""
    (one,) = (
        one
        for one in winners_found(path).found
        if (one.kind, one.device, one.what, one.held_out) == ("dense", device, what, held_out)
    )
    return one


def test_what_wins_everywhere_is_found_by_whoever_learns(tmp_path: Path) -> None:
    table = [*rows("NVIDIA_H200"), *rows("NVIDIA_B200"), *rows("NVIDIA_L40S")]
    path = write_winners(tmp_path / "w.parquet", table)
    for what, number in (("tile", 40), ("whole", 40 * 32)):
        one = found(path, "NVIDIA_B200", what)
        assert one.n_winners == 20
        for order in ("ours", "fixed", "fixed by m"):
            assert (one.found[order, 4], one.found[order, 16]) == (1.0, 1.0)
        assert one.found["random", 4] >= 4 / number
        assert one.found["random", 16] == pytest.approx(4 * one.found["random", 4])
    assert np.isnan(found(path, "NVIDIA_B200", "whole").found["runtime", 4])


def test_a_gpu_is_held_out_of_what_it_is_judged_by(tmp_path: Path) -> None:
    other = rows("NVIDIA_B200", BLOCK_SIZE_M=256.0, BLOCK_SIZE_N=32.0)
    path = write_winners(
        tmp_path / "w.parquet", [*rows("NVIDIA_H200"), *rows("NVIDIA_L40S"), *other]
    )
    one = found(path, "NVIDIA_B200")
    for order in ("ours", "fixed", "fixed by m"):
        assert one.found[order, 4] == 0.0


def test_a_board_is_held_out_under_all_of_its_names(tmp_path: Path) -> None:
    odd = {"BLOCK_SIZE_M": 256.0, "BLOCK_SIZE_N": 32.0}
    table = [*rows("NVIDIA_H100", **odd), *rows("NVIDIA_H100_80GB_HBM3", **odd)]
    path = write_winners(tmp_path / "w.parquet", [*table, *rows("NVIDIA_L40S")])
    assert found(path, "NVIDIA_H100").found["fixed", 4] == 0.0


def test_a_generation_is_held_out_whole(tmp_path: Path) -> None:
    odd = {"BLOCK_SIZE_M": 256.0, "BLOCK_SIZE_N": 32.0}
    table = [*rows("NVIDIA_L40S"), *rows("NVIDIA_H200", **odd), *rows("NVIDIA_H20", **odd)]
    path = write_winners(tmp_path / "w.parquet", table)
    of_gpu, of_all = (found(path, "NVIDIA_H200", held_out=one) for one in ("GPU", "generation"))
    assert (of_gpu.found["fixed", 4], of_all.found["fixed", 4]) == (1.0, 0.0)


def test_what_is_not_in_the_search_space_is_not_found(tmp_path: Path) -> None:
    narrow = rows("NVIDIA_B200", BLOCK_SIZE_N=16.0)
    path = write_winners(
        tmp_path / "w.parquet", [*rows("NVIDIA_H200"), *rows("NVIDIA_L40S"), *narrow]
    )
    one = found(path, "NVIDIA_B200")
    assert (one.found["ours", 16], one.found["random", 16]) == (0.0, 0.0)
    assert one.n_winners == 20


def test_winners_that_are_not_asked_for_are_counted(tmp_path: Path) -> None:
    table = [*rows("NVIDIA_H200"), *rows("NVIDIA_B200"), *rows("NVIDIA_L20"), *rows("NVIDIA_GB10")]
    report = winners_found(write_winners(tmp_path / "w.parquet", table))
    assert report.without_sheet == {"NVIDIA_L20": 40}
    assert report.without_peak == {"NVIDIA_GB10": 40}
    assert {one.device for one in report.found} == {"NVIDIA_H200", "NVIDIA_B200"}


def test_winners_of_one_gpu_alone_judge_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="winners must be of several GPUs"):
        winners_found(write_winners(tmp_path / "w.parquet", rows("NVIDIA_H200")))


def test_equals_stand_before_the_winner() -> None:
    scores = np.array([1.0, 2.0, 1.0, -np.inf])
    assert _place(scores, np.array([True, False, False, False])) == 3
    assert _place(scores, np.array([False, True, False, False])) == 1
    assert _place(scores, np.array([False, False, False, True])) == np.inf


def test_lines_tell_each_gpu_and_the_sum(tmp_path: Path) -> None:
    def one(device: str, n: int, share: float, held_out: str, what: str) -> WinnersFound:
        shares = {(order, first): share for order in CONFIG_ORDERS for first in FIRST_CONFIGS}
        return WinnersFound("moe", device, held_out, what, n, shares)

    all_of = [
        one(device, n, share, held_out, what)
        for held_out in ("GPU", "generation")
        for what in ("tile", "whole")
        for device, n, share in (("NVIDIA_H200", 30, 1.0), ("NVIDIA_B200", 10, 0.0))
    ]
    lines = winner_lines(WinnersReport(tuple(all_of), {"NVIDIA_L20": 7}, {}, {}))
    sums = [line.split() for line in lines if " all " in line and "%" in line]
    assert [cells[5:8] for cells in sums] == [["75%"] * 3] * 4
    assert sums[0][:5] == ["GPU", "tile", "moe", "all", "40"]
    assert "Not asked, for want of a data sheet: L20 7." in lines


@pytest.mark.slow
def test_the_figures_of_the_page_are_what_the_command_prints(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (shared_data / TABLE).is_file():
        pytest.skip(f"there is no {shared_data / TABLE}")
    assert main(["evaluate", "winners", str(shared_data / TABLE), "--workers", "1"]) == 0
    assert capsys.readouterr().out in PAGE.read_text()
