"""The report of a model: one page, its figures as files, a card, and nothing that flatters."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install '.[report]'")

from stand_ins.tables import GPU, dataset_of, gemm_ms

import gpperf_lite as gp
from builder.__main__ import main
from builder.dataset import Dataset, write
from builder.evaluate import evaluate_model
from builder.report import Report, ReportOptions, write_report
from builder.report.chapters import chapters_of
from builder.report.evidence import doubt_of, evidence_of
from builder.report.glance import blocks_of
from gpperf_lite._artefact import Artefact
from gpperf_lite._artefact import write as write_artefact

ALL = 22
"""The figures of a report, with those that are left out."""


def unseen(dataset: Dataset) -> Dataset:
    """The rows of a dataset as if another collection had measured them."""
    provenance = ({"source": "unseen.csv", "sha256": "f" * 64},)
    index = dataset.table.schema.get_field_index("software")
    table = dataset.table.set_column(
        index, dataset.table.schema.field("software"), [["else"] * len(dataset)]
    )
    return replace(dataset, provenance=provenance, table=table)


@pytest.fixture
def model_file(small_artefact: Artefact, tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    write_artefact(small_artefact, path)
    return path


def data_file(dataset: Dataset, folder: Path) -> Path:
    path = folder / "rows.parquet"
    write(dataset, path)
    return path


@pytest.fixture
def options(model_file: Path, small_dataset: Dataset, tmp_path: Path) -> ReportOptions:
    """A report on rows that the model was not trained on."""
    data = data_file(unseen(small_dataset), tmp_path)
    return ReportOptions(str(model_file), tmp_path / "report", (data,))


@pytest.mark.slow
def test_a_report_is_a_page_a_card_and_each_figure_in_two_forms(options: ReportOptions) -> None:
    report = write_report(options)
    page = (options.output / "report.html").read_text()
    card = (options.output / "card.md").read_text()
    assert report.n_bytes == len(page.encode()) < 5_000_000
    files = {path.name for path in (options.output / "figures").iterdir()}
    assert files == {f"{name}.{end}" for name in report.pictures for end in ("svg", "png")}
    assert set(report.pictures) >= {"predicted-runtime", "error-shares", "roofline", "tile-sizes"}
    for name in report.pictures:
        assert page.count(f'<figure class="plot" id="{name}">') == 1
        assert f"(figures/{name}.svg)" in card
    titles = re.findall(r'<figure class="plot" id="[^"]+">\s*<h3>(.*?)</h3>', page)
    assert len(titles) == len(report.pictures)
    assert all(title.endswith("?") for title in titles)
    told = {text.partition(":")[0] for text in report.left_out}
    assert told >= {"predicted-power", "power-windows", "repeatability", "clocks", "sentinels"}
    assert not told & set(report.pictures)
    assert len(told) + len(report.pictures) == ALL
    for text in report.left_out:
        assert text.partition(": ")[2] in card.replace("\n", " ")
    assert "http://" not in re.sub(r"http://www\.w3\.org/[\w/]+", "", page)


def test_the_numbers_of_the_page_are_those_of_evaluation(
    options: ReportOptions, small_dataset: Dataset
) -> None:
    evidence = evidence_of(options)
    (score,) = evaluate_model(gp.load(options.model), unseen(small_dataset))
    (block,) = [one for one in blocks_of(evidence) if one.title.startswith("Beside")]
    (line,) = block.rows
    errors = score.errors
    assert line[:3] == ("bf16", "library", str(errors.n))
    shares = (errors.mean_ape, errors.median_ape, errors.p90_ape)
    assert line[3:6] == tuple(f"{share:.2%}" for share in shares)
    for cell in line:
        assert f">{cell}</td>" in block.html()
        assert f"| {cell} |" in "\n".join(block.markdown())


def test_a_report_says_whether_the_model_saw_the_rows(
    options: ReportOptions, small_dataset: Dataset, tmp_path: Path
) -> None:
    evidence = evidence_of(options)
    assert "as it is, which was not trained on them" in evidence.rows.source
    seen = replace(options, data=(data_file(small_dataset, tmp_path),))
    source = evidence_of(seen).rows.source
    assert "small was trained on rows of these" in source
    assert "without the shape (m, n, k) of the point" in source


def run_of_a_collection() -> Dataset:
    """144 rows, 24 of them sentinels, and 10 that were throttled."""
    sizes = [(m, n, k) for m in range(64, 1600, 64) for n in (512, 1024) for k in (512, 1024, 2048)]
    sizes = [(4096, 4096, 4096) if at % 6 == 0 else one for at, one in enumerate(sizes)]
    number = range(len(sizes))
    return dataset_of(
        len(sizes), regime="burst", started_s=[float(at) for at in number],
        role=["sentinel" if at % 6 == 0 else "point" for at in number],
        throttle=[["power_cap"] if at % 15 == 1 else [] for at in number],
        flags=[["throttled"] if at % 15 == 1 else [] for at in number],
        runtime_s=[gemm_ms(*one) / 1e3 for one in sizes], sm_clock_hz=[1.7e9] * len(sizes),
        **{name: [one[at] for one in sizes] for at, name in enumerate("mnk")},
    )  # fmt: skip


def test_the_measurement_is_told_of_all_rows_though_a_sample_is_predicted(
    options: ReportOptions, tmp_path: Path
) -> None:
    data = data_file(run_of_a_collection(), tmp_path)
    evidence = evidence_of(replace(options, data=(data,), refit_rows=100))
    n_used = len(evidence.rows.dataset)
    assert n_used < 140
    assert f"A sample of {n_used} usable rows." in evidence.rows.source
    assert f"A sample of {n_used} usable rows." in evidence.rows.rows_source
    *others, measurement = chapters_of(evidence)
    shown = {one.name: one for one in measurement.shown}
    assert "runtime by 0.00 % at most (24)" in shown["sentinels"].answer
    assert "held down by power_cap on 10 of 144 rows" in shown["clocks"].answer
    for one in (shown["sentinels"], shown["clocks"]):
        assert one.source.startswith("144 rows of rows.parquet.")
        assert "sample" not in one.source
    roofline = next(one for one in others[1].shown if one.name == "roofline")
    assert f"A sample of {n_used} usable rows." in roofline.source


def test_rows_of_a_collection_that_was_trained_on_are_not_taken_as_unseen(
    small_artefact: Artefact, small_dataset: Dataset
) -> None:
    card = gp.Model(small_artefact).card
    elsewhere = {"source": "copy.csv", "sha256": "e" * 64}
    assert doubt_of(card, small_dataset) == "small was trained on rows of these"
    copied = replace(small_dataset, provenance=(elsewhere,))
    assert doubt_of(card, copied) == "small was trained on rows of vllm 0.24.0"
    assert doubt_of(card, unseen(small_dataset)) == ""
    unknown = replace(unseen(small_dataset), provenance=({"source": "unseen.csv"},))
    assert doubt_of(card, unknown) == "It is not known whether small was trained on these rows"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["report", "page", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_mistake_is_told_before_anything_is_written(
    options: ReportOptions, small_dataset: Dataset, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model, data = options.model, options.data[0]
    told = refused(capsys, "--model", "h300", "--output", tmp_path / "x")
    assert "h300" in told
    told = refused(capsys, "--model", model, "--data", data, "--output", data)
    assert told.startswith("error: output must be a folder (got the file ")
    told = refused(capsys, "--model", "t4", "--data", data, "--output", tmp_path / "x")
    assert "t4 is of Tesla T4, the rows are of NVIDIA H200" in told
    other = data_file(dataset_of(3, dtype="f64"), tmp_path)
    told = refused(capsys, "--model", model, "--data", other, "--output", tmp_path / "x")
    assert "nothing can be held out" in told
    told = refused(capsys, "--model", model, "--data", data, "--simulated", "--output", "x")
    assert "none of the 3 rows is simulated" in told
    told = refused(capsys, "--model", model, "--simulated", "--output", "x")
    assert "--simulated takes the simulated rows of --data (got none)" in told
    told = refused(capsys, "--model", model, "--data", data, "--tiles", data, "--output", "x")
    assert "error: " in told
    assert not (tmp_path / "x").exists()


def test_without_matplotlib_the_extra_is_named(
    options: ReportOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = refused(capsys, "--model", options.model, "--output", options.output)
    assert told == "error: figures need matplotlib: install it with pip install '.[report]'"


def test_what_was_written_is_told(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.html", 1_500_000, ("a", "b"), ("c: no rows.",))
    first, second, third = report.lines()
    assert "report.html (1.5 MB)" in first
    assert "2 figures" in second
    assert third == "left out: c: no rows."


def test_a_gpu_of_the_stand_ins_is_that_of_the_model(small_artefact: Artefact) -> None:
    """Or the tests above would compare nothing."""
    assert gp.Model(small_artefact).gpu.name == GPU.name
