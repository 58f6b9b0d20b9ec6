"""The examples: they run as they are, and what they print is what the models say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from stand_ins.artefacts import kernels_artefact

import gpperf_lite as gp
from gpperf_lite._artefact import write

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"rank_kernels", "job_energy"}


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


def test_a_scheduler_takes_the_fewest_joules_within_its_deadline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = example("job_energy")
    module.main([])
    printed = capsys.readouterr().out
    costs = {name: module.cost_on(name) for name in re.findall(r"^(\w+): [\d.]+ s", printed, re.M)}
    assert {"h200_sxm", "b200_sxm"} <= set(costs)
    best = min(costs.values(), key=lambda cost: cost.energy_j)
    assert printed.splitlines()[-1] == f"within 60 s, {best.gpu} takes the fewest joules"
    assert "rtx4070: left out: " in printed

    fastest_s = min(cost.runtime_s for cost in costs.values())
    module.main([f"{fastest_s * 1.001}"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert costs[last.split()[3]].runtime_s == fastest_s
    module.main(["0.001"])
    assert capsys.readouterr().out.endswith("none of them is done within 0.001 s\n")
