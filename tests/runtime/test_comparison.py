"""A comparison: a row for each GPU, dtype and kernel, and the best of what can be compared."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpperf_lite as gp
from gpperf_lite._cli import main
from gpperf_lite._comparison import BEST
from gpperf_lite._descriptions import gpu_to_json

GEMM = gp.Gemm(4096, 2048, 1024, dtype="bf16")
GPUS, DTYPES = ("h200_sxm", "b200_sxm", "l40s"), ("bf16", "fp8", "nvfp4")


@pytest.fixture(scope="module")
def found() -> gp.Comparison:
    return gp.compare(GEMM, GPUS, DTYPES)


def test_every_gpu_and_dtype_has_a_row_in_the_order_asked_for(found: gp.Comparison) -> None:
    order = list(dict.fromkeys((row.gpu, row.dtype) for row in found))
    assert order == list(product(("h200_sxm", "b200_sxm", "l40s"), DTYPES))
    assert len(found) == len(list(found)) > 9


def test_each_row_is_what_its_model_predicts(found: gp.Comparison) -> None:
    models = {name: gp.load(name) for name in ("h200_sxm", "b200_sxm", "l40s")}
    for row in found:
        if row.prediction is None:
            with pytest.raises(gp.GpperfError) as caught:
                models[row.gpu].predict(gp.Gemm(4096, 2048, 1024, dtype=row.dtype))
            assert (row.kernel, row.reason) == ("-", str(caught.value))
        else:
            gemm = gp.Gemm(4096, 2048, 1024, dtype=row.dtype)
            assert row.prediction == models[row.gpu].predict(gemm, row.kernel)


def test_what_has_no_answer_says_why_and_is_never_best(found: gp.Comparison) -> None:
    unknown = [row for row in found if row.prediction is None]
    assert {(row.gpu, row.dtype) for row in unknown} == {("h200_sxm", "nvfp4"), ("l40s", "nvfp4")}
    assert all("dtype must be one that" in row.reason for row in unknown)
    assert all(found.best(field, timed) not in unknown for field in BEST for timed in found.scopes)


@pytest.mark.parametrize("field", BEST)
def test_the_best_is_that_of_rows_that_timed_the_same(found: gp.Comparison, field: str) -> None:
    for timed in found.scopes:
        values = [
            getattr(row.prediction, field)
            for row in found
            if row.prediction is not None and row.prediction.timed == timed
        ]
        best = found.best(field, timed)
        assert best is not None
        assert best.prediction is not None
        assert best.prediction.timed == timed
        extreme = min if BEST[field] else max
        assert getattr(best.prediction, field) == extreme(one for one in values if one is not None)
    first = found.rows[0].prediction
    assert first is not None
    assert found.best(field) == found.best(field, first.timed)


def test_a_figure_that_nobody_knows_has_no_best() -> None:
    """The RTX 4070's table has no power."""
    found = gp.compare(gp.Gemm(512, 512, 512, "f32", "nn"), ["rtx4070"])
    assert found.best("runtime_s") is not None
    assert (found.best("power_w"), found.best("energy_j"), found.best(timed="layer")) == (None,) * 3


def test_back_ends_that_share_what_was_measured_are_there_once(found: gp.Comparison) -> None:
    names = [row.kernel for row in found if (row.gpu, row.dtype) == ("h200_sxm", "bf16")]
    assert names == ["library"]
    named = gp.compare(GEMM, ["h200"], kernels=["vllm", "sglang"])
    assert [row.kernel for row in named] == ["vllm", "sglang"]


def test_a_kernel_that_a_model_does_not_know_is_a_row_with_the_reason() -> None:
    (row,) = gp.compare(GEMM, [gp.load("l40s")], kernels=["no_such_kernel"])
    assert (row.kernel, row.prediction) == ("no_such_kernel", None)
    assert "kernel must be one that l40s knows" in row.reason
    assert row.to_dict() == {
        "gpu": "l40s", "dtype": "bf16", "kernel": "no_such_kernel", "reason": row.reason,
    }  # fmt: skip


@given(st.sampled_from(["gpus", "dtypes", "kernels"]), st.sampled_from(["h200", [], None, 3, b"x"]))
def test_what_is_no_list_is_refused(argument: str, value: object) -> None:
    arguments: dict[str, object] = {"gpus": ["h200"], argument: value}
    if value is None and argument != "gpus":
        return
    with pytest.raises(gp.InputError, match=f"^{argument} must"):
        gp.compare(GEMM, **arguments)  # type: ignore[arg-type]


def test_other_mistakes_are_named() -> None:
    with pytest.raises(gp.InputError, match="gemm must be a Gemm"):
        gp.compare("4096", ["h200"])  # type: ignore[arg-type]
    with pytest.raises(gp.UnknownGpuError, match="h2000"):
        gp.compare(GEMM, ["h2000"])
    with pytest.raises(gp.InputError, match="confidence"):
        gp.compare(GEMM, ["h200"], confidence=2.0)
    with pytest.raises(gp.InputError, match="dtype"):
        gp.compare(GEMM, ["h200"], ["f17"])
    with pytest.raises(gp.InputError, match="at most 10000 rows"):
        gp.compare(GEMM, ["h200"], ["bf16"] * 200, ["library"] * 100)
    with pytest.raises(gp.InputError, match="field must be one of runtime_s"):
        gp.compare(GEMM, ["h200"]).best("bound")


COMMAND = ["compare", "4096", "2048", "1024", "--gpu", "h200,l40s", "--dtype", "bf16,nvfp4"]


def test_the_command_prints_a_table_with_the_best_marked_and_reasons_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(COMMAND) == 0
    head, columns, *lines = capsys.readouterr().out.splitlines()
    assert head == "m=4096 n=2048 k=1024 tn; * best of its kind"
    assert columns.split()[:4] == ["GPU", "dtype", "kernel", "runtime"]
    h200, unknown, l40s, *_ = lines
    assert h200.startswith("h200_sxm  bf16")
    assert h200.count("*") == 3  # runtime, TFLOP/s and energy; the L40S draws less power
    assert l40s.count("*") == 1
    assert unknown.split() == ["h200_sxm", "nvfp4", *"-" * 10]
    assert sum(line.startswith(("h200_sxm nvfp4: ", "l40s nvfp4: ")) for line in lines) == 2


def test_the_command_prints_json_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["gpu"], row["dtype"], "runtime_s" in row) for row in rows] == [
        ("h200_sxm", "bf16", True),
        ("h200_sxm", "nvfp4", False),
        ("l40s", "bf16", True),
        ("l40s", "nvfp4", False),
    ]
    assert main([*COMMAND, "--csv"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("gpu,m,n,k,")
    assert [line.partition(",")[0] for line in lines] == ["h200_sxm", "l40s"]


def test_gpus_without_models_are_compared_by_their_own_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "4096", "2048", "1024", "--dtype", "bf16,nvfp4", "--gpu", "a10,l40s,h100"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("NVIDIA A10  bf16")
    told = "NVIDIA A10: note: NVIDIA A10 was not measured: predicted from its data sheet, like "
    assert sum(line.startswith(told) for line in lines) == 1
    assert sum(line.startswith("h100_sxm: note: 'h100' is taken as ") for line in lines) == 1
    facts = tmp_path / "mine.json"
    mine = {**gpu_to_json(gp.load("a10").gpu), "name": "Mine"}
    facts.write_text(json.dumps(mine))
    assert main([*command, "--gpu-facts", str(facts), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["gpu"] for row in rows} == {"NVIDIA A10", "l40s", "h100_sxm", "Mine"}
    (ours,) = (row for row in rows if row["gpu"] == "Mine" and "runtime_s" in row)
    assert ours["runtime_s"] == rows[0]["runtime_s"]
    assert main(["compare", "64", "64", "64", "--gpu-facts", str(facts), "--json"]) == 0
    assert {row["gpu"] for row in json.loads(capsys.readouterr().out)} == {"Mine"}


def test_the_command_takes_one_gemm(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "1,2", "4096", "4096"]) == 2
    assert "compare takes one GEMM (got 2)" in capsys.readouterr().err
