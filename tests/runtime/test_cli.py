"""The command line: aligned text for people, JSON and CSV for programs, 2 for a mistake."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.artefacts import GPU, KERNEL_NAMES, estimator
from stand_ins.shell import printed, refused

import gpperf_lite as gp
from gpperf_lite._artefact import Artefact, write
from gpperf_lite._cli import main
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._kernel import LIBRARY, Kernel

SQUARE = ["4096", "4096", "4096", "--dtype", "bf16"]


def test_predict_says_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "predict", *SQUARE, "--gpu", "h200")
    for word in ("runtime", "power", "energy", "TFLOP/s", "bound", "compute", "NVIDIA H200"):
        assert word in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_json_is_the_prediction(capsys: pytest.CaptureFixture[str], h200: gp.Model) -> None:
    document = json.loads(printed(capsys, "predict", *SQUARE, "--json"))
    expected = h200.predict(gp.Gemm(4096, 4096, 4096, "bf16"))
    assert document["runtime_s"] == expected.runtime_s
    assert document["power_w"] == expected.power_w
    assert (document["model"], document["gpu"]) == ("h200_sxm", "NVIDIA H200")


def test_what_a_model_does_not_know_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "predict", "512", "512", "512", "--dtype", "f32", "--gpu", "rtx4070")
    assert text.count("not known to this model") == 3
    document = json.loads(
        printed(capsys, "predict", "512", "512", "512", "--dtype=f32", "--gpu=rtx4070", "--json")
    )
    assert document["power_w"] is None


def test_a_sweep_is_a_table_with_a_row_for_each_point(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["--m=1024:4096:256", "--n=4096", "--k=1024,4096", "--dtype=bf16"]
    text = printed(capsys, "predict", *sweep)
    assert len(text.splitlines()) == 2 + 13 * 2
    rows = json.loads(printed(capsys, "predict", *sweep, "--json"))
    assert [(row["m"], row["k"]) for row in rows[:3]] == [(1024, 1024), (1024, 4096), (1280, 1024)]


def test_csv_holds_every_field_in_si_units(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, h200: gp.Model
) -> None:
    path = tmp_path / "sweep.csv"
    printed(capsys, "predict", "1:3", "64", "64", "--dtype=bf16", "--csv", str(path))
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["m"] for row in rows] == ["1", "2", "3"]
    expected = h200.predict(gp.Gemm(2, 64, 64, "bf16"))
    assert float(rows[1]["runtime_s"]) == expected.runtime_s
    assert float(rows[1]["runtime_high_s"]) == expected.runtime_interval_s[1]
    text = printed(capsys, "predict", "1:3", "64", "64", "--dtype=bf16", "--csv", "-")
    assert list(csv.DictReader(io.StringIO(text))) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.csv"]


def test_a_long_sweep_is_cut_for_people_and_whole_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "predict", "1:300", "64", "64", "--dtype=bf16")
    assert "and 100 more rows" in text
    document = printed(capsys, "predict", "1:300", "64", "64", "--dtype=bf16", "--json")
    assert len(json.loads(document)) == 300


def test_rank_lists_kernels_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["2048", "2048", "2048", "--dtype=f32", "--layout=nn", "--gpu=rtx4070"]
    assert "cutlass_simt_sgemm_128x128_8x2_nn_align1" in printed(capsys, "rank", *arguments)
    ranking = json.loads(printed(capsys, "rank", *arguments, "--json"))
    assert len(ranking) == 1


@pytest.fixture(scope="module")
def many_kernels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a model of four kernels, each in two layouts and dtypes, and `library`."""
    dice = np.random.default_rng(1)
    kernels = [replace(Kernel.from_name(name), layout=None, dtype=None) for name in KERNEL_NAMES]
    tiled = replace(Kernel.from_name("tiled_sgemm_16"), dtype=None)
    estimators = tuple(
        estimator(dice, target, dtype, indices, physics)
        for dtype in ("f16", "f32")
        for indices, physics in (((0,), "library"), ((1, 2, 3, 4), "kernel"), ((5,), "kernel"))
        for target in ("runtime", "power")
    )
    path = tmp_path_factory.mktemp("model") / "many.safetensors"
    write(Artefact("many", "1", GPU, (LIBRARY, *kernels, tiled), estimators, {}, {}), path)
    return str(path)


SMALL = ["512", "512", "512", "--dtype=f32"]


@pytest.mark.parametrize("objective", ["runtime", "energy", "edp", "power"])
def test_a_ranking_as_csv_holds_every_field_of_its_predictions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, many_kernels: str, objective: str
) -> None:
    ask = ["rank", *SMALL, f"--gpu={many_kernels}", "--top=3", f"--objective={objective}"]
    expected = gp.load(many_kernels).rank(gp.Gemm(512, 512, 512, "f32"), objective, top=3)
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *ask, "--csv"))))
    assert len(rows) == 3
    for row, one in zip(rows, expected, strict=True):
        fields = one.to_dict()
        fields["runtime_low_s"], fields["runtime_high_s"] = fields.pop("runtime_interval_s")
        fields["power_low_w"], fields["power_high_w"] = fields.pop("power_interval_w")
        fields["notes"] = "; ".join(fields["notes"])
        assert row == {name: str(value) for name, value in fields.items()}
        assert float(row["energy_j"]) == one.energy_j
    assert printed(capsys, *ask, "--csv", str(tmp_path / "ranking.csv")) == ""
    written = (tmp_path / "ranking.csv").read_text()
    assert list(csv.DictReader(io.StringIO(written))) == rows


def test_several_dtypes_are_ranked_side_by_side(
    capsys: pytest.CaptureFixture[str], many_kernels: str
) -> None:
    ask = ["rank", "512", "512", "512", "--dtype=f16,f32", f"--gpu={many_kernels}", "--top=99"]
    rows = json.loads(printed(capsys, *ask, "--json"))
    both = gp.load(many_kernels).rank(gp.Gemm(512, 512, 512), dtypes=["f16", "f32"])
    assert [(row["kernel"], row["dtype"]) for row in rows] == [
        (one.kernel.name, one.gemm.dtype) for one in both
    ]
    assert len(rows) == 12
    head, columns, *lines = printed(capsys, *ask).splitlines()
    assert head.endswith("tn, least runtime first")
    assert {"f16", "f32"} < set(head.replace(",", "").split())
    assert columns.split()[:3] == ["kernel", "dtype", "runtime"]
    assert [line.split()[1] for line in lines] == [one.gemm.dtype for one in both]


@pytest.mark.parametrize(
    ("choice", "fits"),
    [
        (["--kernel=library,tiled_sgemm_16"], lambda one: one.family in ("library", "tiled")),
        (["--kernel=*sgemm_64x*"], lambda one: "sgemm_64x" in one.name),
        (["--kernel=*64x64*,library"], lambda one: "64x64" in one.name or one == LIBRARY),
        (["--family=cutlass2"], lambda one: one.family == "cutlass2"),
        (["--family=cutlass2,tiled", "--kernel=*16"], lambda one: one.family == "tiled"),
        (["--family=tiled", "--kernel=library,tiled_sgemm_16"], lambda one: one.family == "tiled"),
    ],
)
def test_a_ranking_is_of_the_kernels_that_are_asked_for(
    capsys: pytest.CaptureFixture[str],
    many_kernels: str,
    choice: list[str],
    fits: Callable[[Kernel], bool],
) -> None:
    rows = json.loads(printed(capsys, "rank", *SMALL, f"--gpu={many_kernels}", "--json", *choice))
    expected = {one.name for one in gp.load(many_kernels).kernels if fits(one)}
    assert {row["kernel"] for row in rows} == expected


def test_models_and_cards_name_every_built_in_model(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "models")
    listed = json.loads(printed(capsys, "models", "--json"))
    assert [one["name"] for one in listed] == list(gp.available())
    for name in gp.available():
        assert name in text
        assert "held-out accuracy" in printed(capsys, "card", name)
        assert json.loads(printed(capsys, "card", name, "--json"))["name"] == name


def test_gpus_lists_every_gpu_whose_facts_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    known = known_gpus()
    head, *lines, _, _ = printed(capsys, "gpus").splitlines()
    assert [line.split()[0] for line in lines] == sorted(known)
    assert head.split()[:3] == ["GPU", "arch", "SMs"]
    (line,) = (line for line in lines if line.startswith("l40s "))
    assert line.split()[:5] == ["l40s", "sm_89", "142", "2520", "48"]
    assert line.endswith("  measured    NVIDIA L40S")
    for row in json.loads(printed(capsys, "gpus", "--json")):
        name, has_model, answers = row.pop("gpu"), row.pop("has_model"), row.pop("answers")
        assert gp.Gpu(**row) == known[name]
        assert has_model == (name in gp.available()) == (answers == "measured")
        assert answers in ("measured", "data sheet")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predict", "4096", "4096"], "three sizes"),
        (["predict", *SQUARE, "--m=3"], "not both"),
        (["predict", "0", "1", "1"], "m must be an integer from 1"),
        (["predict", "4k", "1", "1"], "m must be a whole number"),
        (["predict", "9:1", "1", "1"], "that rises"),
        (["predict", "1:9:0", "1", "1"], "that rises"),
        (["predict", "1:9:1:1", "1", "1"], "1024:4096:256"),
        (["predict", "1:2000000000", "1", "1"], "more than 1000000 values"),
        (["predict", "1:2000", "1:2000", "1"], "at most 1000000 rows"),
        (["predict", *SQUARE, "--gpu", "h20O"], "did you mean 'h200'"),
        (["predict", *SQUARE, "--layout", "rc"], "nn nt tn tt"),
        (["predict", *SQUARE, "--kernel", "libary"], "did you mean 'library'"),
        (["predict", *SQUARE, "--confidence", "90"], "between 0 and 1"),
        (["predict", *SQUARE, "--alpha", "x"], "--alpha"),
        (["predict", *SQUARE, "--csv", "no/such/folder/x.csv"], "no/such/folder"),
        (["predict", "64", "64", "64", "--dtype", "bf17"], "did you mean 'bf16'"),
        (["rank", *SQUARE, "--objective", "speed"], "runtime energy edp power"),
        (["rank", *SQUARE, "--top", "0"], "--top"),
        (["rank", "1,2", "1", "1"], "rank takes one GEMM"),
        (["rank", "--csv", "64", "64", "64"], "'64' is the file of --csv: put --csv last"),
        (["rank", *SQUARE, "--csv", "--json"], "not allowed with"),
        (["predict", *SQUARE, "--csv=x.csv", "--json"], "not allowed with"),
        (["rank", *SQUARE, "--family", "librari"], "did you mean 'library'"),
        (["rank", *SQUARE, "--family", "tiled"], "one that h200_sxm knows (library), or a pattern"),
        (["rank", *SQUARE, "--kernel", "libary"], "did you mean 'library'"),
        (
            ["rank", *SQUARE, "--kernel", "cutlass*"],
            "(library, sglang, trtllm, vllm), or a pattern",
        ),
        (["rank", "64", "64", "64", "--dtype=bf16,fp9"], "did you mean 'fp8'"),
        (["rank", "64", "64", "64", "--dtype=bf16,fp8"], "must all have timed the same"),
        (["rank", "64", "64", "64", "--dtype=bf16,f32"], "answers for"),
        (["card", "nothing.safetensors"], "cannot read"),
        (["frobnicate"], "--help"),
        ([], "--help"),
    ],
)
def test_a_mistake_is_answered_with_one_helpful_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    assert hint in refused(capsys, *arguments)


@pytest.mark.parametrize("command", [[], ["predict"], ["rank"], ["models"], ["gpus"], ["card"]])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "example: gpperf" in capsys.readouterr().out


def test_a_reader_that_stops_early_is_no_error() -> None:
    """`gpperf ... | head -1` ends quietly."""
    command = [sys.executable, "-m", "gpperf_lite", "predict", "1:5000", "64", "64", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (0, b"")
