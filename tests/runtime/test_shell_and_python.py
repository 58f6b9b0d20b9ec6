"""The shell can do what Python can: each argument is an option, and the answers are the same."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from stand_ins.shell import printed, refused

import gpperf_lite as gp
from gpperf_lite._cli import _parser

SIZES = ["64", "4096", "7168"]
GEMM = gp.Gemm(64, 4096, 7168, "fp8")

OPTION = {"gemm": "m", "gpus": "gpu", "dtypes": "dtype", "kernels": "kernel", "where": "family"}
"""The option that stands for an argument of another name."""


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "--json"))


def options_of(command: str) -> set[str]:
    """Return the names of a command's options, without their dashes."""
    (commands,) = (
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    actions = commands.choices[command]._actions
    return {name.removeprefix("--") for action in actions for name in action.option_strings}


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("predict", gp.Model.predict),
        ("predict", gp.Model.predict_batch),
        ("predict", gp.Model.best),
        ("rank", gp.Model.rank),
        ("compare", gp.compare),
    ],
)
def test_each_argument_is_an_option(command: str, function: Callable[..., Any]) -> None:
    names = set(inspect.signature(function).parameters) - {"self"}
    assert {OPTION.get(name, name) for name in names} <= options_of(command)


def test_a_comparison_s_best_has_its_arguments_too() -> None:
    """The field is the word of --best itself."""
    names = set(inspect.signature(gp.Comparison.best).parameters) - {"self", "field"}
    assert names | {"best"} <= options_of("compare")


@pytest.mark.parametrize("command", ["predict", "rank", "compare", "models", "gpus", "card"])
def test_each_command_prints_json(command: str) -> None:
    assert "json" in options_of(command)


def test_confidence_widens_the_interval(capsys: pytest.CaptureFixture[str], h200: gp.Model) -> None:
    for confidence in (0.5, 0.99):
        asked = ["--dtype=fp8", f"--confidence={confidence}"]
        expected = h200.predict(GEMM, confidence=confidence).runtime_interval_s
        one = told(capsys, "predict", *SIZES, *asked)
        (first, *_) = told(capsys, "compare", *SIZES, *asked)
        assert one["runtime_interval_s"] == first["runtime_interval_s"] == list(expected)


@pytest.mark.parametrize("objective", ["runtime", "energy", "edp", "power"])
def test_best_is_the_model_s_best(
    capsys: pytest.CaptureFixture[str], h200: gp.Model, objective: str
) -> None:
    best = h200.best(GEMM, objective, dtypes=["fp8", "fp8_block"])
    asked = ["predict", *SIZES, "--dtype=fp8,fp8_block", "--best", f"--objective={objective}"]
    assert told(capsys, *asked).items() >= json.loads(json.dumps(best.to_dict())).items()


def test_best_is_of_the_kernels_that_are_named(
    capsys: pytest.CaptureFixture[str], h200: gp.Model
) -> None:
    asked = ["predict", *SIZES, "--dtype=fp8", "--best"]
    for names in (["vllm", "trtllm"], ["trtllm"]):
        expected = h200.best(GEMM, kernels=names)
        assert told(capsys, *asked, f"--kernel={','.join(names)}")["kernel"] == (
            expected.kernel.name
        )
    assert told(capsys, *asked, "--kernel=trt*", "--family=library")["kernel"] == "trtllm"
    assert "did you mean 'library'" in refused(capsys, *asked, "--family=libary")


def test_best_of_a_sweep_names_the_kernel_of_each_row(
    capsys: pytest.CaptureFixture[str], h200: gp.Model
) -> None:
    sweep = ["predict", "1,64,4096", "4096", "7168", "--dtype=fp8_block", "--best"]
    best = [h200.best(gp.Gemm(m, 4096, 7168, "fp8_block")) for m in (1, 64, 4096)]
    names = [one.kernel.name for one in best]
    assert len(set(names)) > 1
    assert [row["kernel"] for row in told(capsys, *sweep)] == names
    _, heads, *lines = printed(capsys, *sweep).splitlines()
    assert heads.split()[4:6] == ["kernel", "dtype"]
    assert [line.split()[4] for line in lines[:3]] == names
    rows = csv.DictReader(io.StringIO(printed(capsys, *sweep, "--csv")))
    assert [row["kernel"] for row in rows] == names


def test_a_ranking_can_be_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"cutlass_simt_sgemm_128x128_8x{stages}_nn_align1" for stages in range(2, 9)]
    names += [f"cutlass_simt_sgemm_64x64_8x{stages}_nn_align1" for stages in range(2, 9)]
    asked = ["rank", *SIZES, "--dtype=f32", "--layout=nn", "--gpu=rtx4070"]
    asked += [f"--kernel={','.join(names)}"]
    model, gemm = gp.load("rtx4070"), gp.Gemm(64, 4096, 7168, "f32", "nn")
    everything = [one.kernel.name for one in model.rank(gemm, kernels=names)]
    assert len(everything) > 10
    assert [one["kernel"] for one in told(capsys, *asked, "--top=all")] == everything
    assert [one["kernel"] for one in told(capsys, *asked)] == everything[:10]


@pytest.mark.parametrize("field", ["runtime_s", "energy_j", "tflops", "tflops_per_w"])
@pytest.mark.parametrize("timed", [None, "quantise+gemm"])
def test_the_best_of_a_comparison(
    capsys: pytest.CaptureFixture[str], field: str, timed: str | None
) -> None:
    found = gp.compare(GEMM, ["h200", "l40s"], ["bf16", "fp8"])
    best = found.best(field, timed)
    assert best is not None
    asked = ["compare", *SIZES, "--gpu=h200,l40s", "--dtype=bf16,fp8", f"--best={field}"]
    asked += [] if timed is None else [f"--timed={timed}"]
    assert told(capsys, *asked) == [json.loads(json.dumps(best.to_dict()))]
    _, heads, line, *_ = printed(capsys, *asked).splitlines()
    assert heads.startswith("GPU ")
    assert line.split()[:3] == [best.gpu, best.dtype, best.kernel]
    assert "*" not in line


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predict", "--objective=energy"], "--objective chooses among kernels: give --best"),
        (["predict", "--family=library"], "--family chooses among kernels: give --best"),
        (["predict", "--kernel=vllm,sglang"], "one kernel is predicted: give --best to choose"),
        (["predict", "--dtype=bf16,fp8"], "one dtype is predicted: give --best to choose"),
        (["predict", "--best", "--objective=speed"], "runtime energy edp power"),
        (["compare", "--best=energy"], "runtime_s power_w energy_j"),
        (["compare", "--timed=gemm"], "give --best as well"),
        (["compare", "--best=energy_j", "--timed=x"], "no row that timed 'x' (rows timed: gemm)"),
        (["compare", "--gpu=rtx4070", "--dtype=f32", "--best=power_w"], "power_w is known of no"),
        (["rank", "--top=few"], "--top: it must be a whole number or all (got 'few')"),
        (["rank", "--top=-1"], "--top must be at least 1"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    assert hint in refused(capsys, *arguments[:1], *SIZES, *arguments[1:])


def test_a_card_is_json_as_in_python(capsys: pytest.CaptureFixture[str], h200: gp.Model) -> None:
    assert told(capsys, "card", "h200_sxm") == json.loads(json.dumps(h200.card))
