"""Few points: which are chosen, and what is written for the collector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.generics import FAST, generic_model

from builder.__main__ import main
from builder.calibrate import choose, points_to_measure
from builder.errors import BuilderError
from builder.plan import few_sweep, read_sweep
from builder.train import points_at
from gpperf_lite import Gemm
from gpperf_lite._generic import write

GENERIC = generic_model()
ROOT = Path(__file__).parents[3]
SIZES = np.exp2(np.random.default_rng(1).uniform(4, 13, (300, 3))).round()
POINTS = points_at(SIZES, "bf16")


def test_as_many_are_chosen_as_asked_and_each_once() -> None:
    chosen = choose(POINTS, GENERIC, FAST, 40)
    assert len(set(chosen.tolist())) == len(chosen) == 40
    assert len(choose(POINTS, GENERIC, FAST, 1000)) == 300


def test_labels_are_not_looked_at() -> None:
    labelled = replace(POINTS, runtime_s=np.random.default_rng(2).uniform(1e-6, 1.0, 300))
    assert (
        choose(labelled, GENERIC, FAST, 30).tolist() == choose(POINTS, GENERIC, FAST, 30).tolist()
    )


def test_few_points_lie_nearer_to_all_others_than_points_at_random() -> None:
    """In log2 of the extents, on average over the candidates."""
    at = np.log2(SIZES)

    def reach(chosen: np.ndarray) -> float:
        squares = np.sum((at[:, None] - at[chosen]) ** 2, axis=2)
        return float(np.sqrt(squares.min(axis=1)).mean())

    dice = np.random.default_rng(3)
    by_chance = [reach(dice.permutation(300)[:30]) for _ in range(20)]
    assert reach(choose(POINTS, GENERIC, FAST, 30)) < min(by_chance)


def test_points_that_repeat_are_chosen_once() -> None:
    same = points_at(np.repeat(SIZES[:5], 20, axis=0), "bf16")
    assert 1 <= len(choose(same, GENERIC, FAST, 30)) <= 30


def test_the_sweep_of_few_points_reads_as_those_points(tmp_path: Path) -> None:
    planned = [Gemm(*map(int, size), "bf16", "tn") for size in SIZES]
    planned += [Gemm(8, 8, 8, "f32"), Gemm(8, 8, 8, "bf16", batch=2)]
    gemms = points_to_measure(planned, "bf16", GENERIC, FAST, 20)
    (tmp_path / "few.toml").write_text(few_sweep(gemms, "quick", FAST.name))
    sweep = read_sweep(tmp_path / "few.toml")
    (group,) = sweep.groups
    assert group.names == ("library",)
    assert (group.dtypes, group.layouts) == (("bf16",), ("tn",))
    assert list(group.shapes.sizes) == [(gemm.m, gemm.n, gemm.k) for gemm in gemms]
    assert len(gemms) == 20


def test_a_plan_or_a_model_without_the_dtype_is_refused() -> None:
    planned = [Gemm(64, 64, 64, "bf16")]
    with pytest.raises(BuilderError, match="must have points of the library in fp8"):
        points_to_measure(planned, "fp8", GENERIC, FAST, 5)
    with pytest.raises(BuilderError, match=r"dtype must be one that generic answers for .*f32"):
        points_to_measure([Gemm(64, 64, 64, "f32")], "f32", GENERIC, FAST, 5)


def test_the_command_writes_a_sweep_that_can_be_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(generic_model(), tmp_path / "base.safetensors")
    sweep, few = ROOT / "cuda" / "sweeps" / "quick.toml", tmp_path / "few.toml"
    shared = ["--gpu", "h200", "--cubins", str(tmp_path)]
    base = ["--base", str(tmp_path / "base.safetensors")]
    chosen = ["--choose", "12", "--sweep", str(sweep), "--output", str(few)]
    assert main(["calibrate", *base, *chosen, *shared]) == 0
    assert "wrote 12 points" in capsys.readouterr().out
    assert main(["plan", "--sweep", str(few), *shared]) == 0
    assert "few on NVIDIA H200: 12 points on 1 kernel" in capsys.readouterr().out
