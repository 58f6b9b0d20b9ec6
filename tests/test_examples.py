"""The examples: they run as they are, and what they print is what the models say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from stand_ins.artefacts import kernels_artefact
from stand_ins.built_in import built_in
from stand_ins.examples import EXAMPLES, example

import gpperf_lite as gp
from gpperf_lite._artefact import write

ENGINES = {"predict_polars", "predict_duckdb", "predict_ray", "predict_spark"}
"""Those of test_engines.py."""


def test_every_example_has_a_test_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "rank_kernels",
        "day_of_jobs",
    } | ENGINES


def test_a_compiler_ranks_the_kernels_of_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("rank_kernels")
    module.main([])
    lines = capsys.readouterr().out.splitlines()
    model = gp.load("rtx4070")
    for name, (m, n, k) in module.SHAPES.items():
        ranked = module.candidates(model, m, n, k)
        assert len(ranked) == 4
        assert all(one.runtime_s >= ranked[0].runtime_s for one in ranked)
        line = lines.index(f"{name}: {ranked[0].kernel.name}")
        ratio = ranked[-1].runtime_s / ranked[0].runtime_s
        assert f"{ranked[0].runtime_s * 1e6:.0f} us" in lines[line + 1]
        assert lines[line + 1].endswith(f"takes {ratio:.2f} times as long")


def test_a_compiler_may_bring_a_model_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(kernels_artefact(), tmp_path / "mine.safetensors")
    example("rank_kernels").main([str(tmp_path / "mine.safetensors")])
    assert capsys.readouterr().out.count("the worst of 4") == 4


def test_the_totals_of_a_day_are_sums_of_what_predict_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of seven jobs of training and serving, on four kinds of GPU, within cap and deadlines."""
    module = example("day_of_jobs")
    total_j = 0.0
    lines = []
    for job in module.JOBS:
        best = None
        for name in module.GPUS:
            model = built_in(f"{name}_sxm" if name in ("h100", "h200", "b200") else name)
            each = [(model.predict(gemm), count) for gemm, count in job.gemms]
            runtime_s = sum(one.sustained_runtime_s * count for one, count in each)
            energy_j = sum((one.energy_j or math.nan) * count for one, count in each)
            peak_w = max(one.power_w or math.nan for one, _ in each)
            is_late = job.deadline_s is not None and runtime_s > job.deadline_s
            if peak_w <= 750.0 and not is_late and (best is None or energy_j < best[0]):
                best = (energy_j, model.name, runtime_s, peak_w)
        if best is None:
            lines.append(f"{job.name}: on none of them")
            continue
        energy_j, gpu, runtime_s, peak_w = best
        total_j += energy_j
        figures = f"{runtime_s / 3600:.2f} h, {energy_j / 1e6:.3f} MJ, peak {peak_w:.0f} W"
        lines.append(f"{job.name}: {gpu}, {figures}")
    lines.append(f"the day: {total_j / 1e6:.3f} MJ, {total_j / 3.6e6:.2f} kWh")
    module.main([])
    assert capsys.readouterr().out.splitlines() == lines
    assert len({line.split(": ")[1].split(",")[0] for line in lines[:-1]}) >= 3


def test_the_day_is_there_as_a_file_of_jobs_too(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("day_of_jobs")
    module.main(["--csv"])
    assert capsys.readouterr().out == (EXAMPLES / "day_of_jobs.csv").read_text()
    placed = gp.place_jobs(gp.read_jobs(EXAMPLES / "day_of_jobs.csv"), ["h200", "l40s"])
    assert list(placed) == list(gp.place_jobs(module.JOBS, ["h200", "l40s"]))
