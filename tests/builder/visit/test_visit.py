"""A visit: rehearsed without a GPU, what is not ready named, what comes back kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from stand_ins.plans import run_session, small_plan

import gpperf_lite as gp
from builder.collect.journal import export_journal
from builder.compile.compilation import any_gpu
from builder.dataset import read, write
from builder.kernels import SOURCES, select
from builder.plan import read_sweep
from builder.visit import VisitError, keep, read_visit
from builder.visit.archive import Step
from builder.visit.keep import BEGIN, END, figures, with_figures
from builder.visit.rehearsal import SWEEP, Rehearsal, rehearse, unready
from gpperf_lite._occupancy import obstacle_on

ROOT = SOURCES.parent
SCRIPT = ROOT / "tests" / "gpu" / "visit.sh"
STEPS = (
    "step\tlimit_s\tseconds\tstatus\ndoctor\t20\t1\t0\nquick\t75\t75\t124\nprobe\t4\t0\tskipped\n"
)


def archive_of(folder: Path, files: Mapping[str, bytes], name: str = "visit-a.tar.gz") -> Path:
    """Return an archive of files, packed as the script does."""
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for member, content in files.items():
            about = tarfile.TarInfo(f"./{member}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A dataset of a simulated GPU, as bytes."""
    folder = tmp_path_factory.mktemp("measured")
    journal, path = folder / "gpu-0.jsonl", folder / "quick.parquet"
    run_session(journal, small_plan(40, 12, ("library",)))
    write(export_journal(journal), path)
    return path.read_bytes()


def test_the_steps_of_an_archive_are_read(tmp_path: Path, measured: bytes) -> None:
    visit = read_visit(
        archive_of(tmp_path, {"steps.tsv": STEPS.encode(), "quick.parquet": measured})
    )
    assert visit.steps == (
        Step("doctor", 20, 1, 0),
        Step("quick", 75, 75, 124),
        Step("probe", 4, 0, None),
    )
    told = [step.line() for step in visit.steps]
    assert [line.rpartition("  ")[2] for line in told] == [
        "done", "out of time", "skipped, no time left",
    ]  # fmt: skip
    assert (visit.dataset_name, visit.dataset) == ("quick.parquet", measured)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"quick.parquet": b"x"}, "must hold steps.tsv"),
        ({"steps.tsv": b"step\tlimit_s\n1\t2\n"}, "must have a line for each step"),
        ({"steps.tsv": STEPS.encode()}, "no dataset came back"),
    ],
)
def test_what_is_no_archive_of_a_visit_is_refused(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(VisitError, match=reason):
        keep([read_visit(archive_of(tmp_path, files))], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_damaged_archive_is_refused(tmp_path: Path, measured: bytes) -> None:
    path = archive_of(tmp_path, {"steps.tsv": STEPS.encode(), "quick.parquet": measured})
    for content in (path.read_bytes()[:2000], b"", b"hello"):
        path.write_bytes(content)
        with pytest.raises(VisitError, match="no archive of a visit, or is damaged"):
            read_visit(path)
    with pytest.raises(VisitError, match="there is no archive"):
        read_visit(tmp_path / "absent.tar.gz")


@pytest.mark.slow
def test_a_visit_becomes_a_dataset_a_model_and_figures(tmp_path: Path, measured: bytes) -> None:
    """The last dataset counts: that of the first run is not even read."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n")
    first = archive_of(tmp_path, {"steps.tsv": STEPS.encode(), "quick.parquet": b"damaged"})
    second = archive_of(
        tmp_path, {"steps.tsv": STEPS.encode(), "six_minutes.parquet": measured}, "visit-b.tar.gz"
    )
    output, model = tmp_path / "h200.parquet", tmp_path / "h200.safetensors"
    visits = [read_visit(first), read_visit(second)]
    kept = keep(visits, output, model, page, name="mine", simulated=True)
    assert len(read(output)) > 40
    assert gp.load(model).name == "mine"
    assert kept.figures == tuple(figures(read(output)))
    assert "simulated): " in kept.figures[0]
    assert "the error of their median is 0." in kept.figures[1]
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n- NVIDIA H200")
    assert text.endswith(f"\n\n{END}\n\nafter\n")
    assert "old" not in text


def test_a_rehearsal_is_never_kept_as_if_it_had_been_measured(
    tmp_path: Path, measured: bytes
) -> None:
    path = archive_of(tmp_path, {"steps.tsv": STEPS.encode(), "quick.parquet": measured})
    with pytest.raises(VisitError, match="rows of a simulated GPU: give or leave out --simulated"):
        keep([read_visit(path)], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_a_place_for_figures_is_refused(text: str) -> None:
    with pytest.raises(VisitError, match=r"page\.md must have the lines"):
        with_figures(text, ["one"], "page.md")


def test_the_page_of_measurement_has_a_place_for_figures() -> None:
    text = (ROOT / "docs" / "measurement.md").read_text()
    assert "- one\n- two\n" in with_figures(text, ["one", "two"], "measurement.md")


def test_what_is_missing_is_named_before_a_visit(tmp_path: Path) -> None:
    """A folder that is not there, one of another architecture, and one too large to carry."""
    assert "there are no cubins" in unready("sm_90", tmp_path / "none")[0]
    (tmp_path / "other.cubin").write_bytes(bytes(3_000_000))
    missing, large = unready("sm_90", tmp_path, most_mb=2.0)
    assert "kernels are not compiled for sm_90 (support.cu, " in missing
    assert "holds 1 files: run 'python tests/gpu/gpu_kernels.py sm_90" in missing
    assert large.startswith("the cubins take 3 MB, more than the 2 that may travel")


def test_what_the_tests_on_a_gpu_need_holds_all_that_they_collect(tmp_path: Path) -> None:
    """A minute of a GPU is no time to compile the sweep that is collected in it."""
    command = [sys.executable, str(ROOT / "tests" / "gpu" / "gpu_kernels.py"), "--check"]
    done = subprocess.run(
        [*command, "sm_90", str(tmp_path), str(SWEEP)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    missing = set(done.stdout.split())
    machine = any_gpu("sm_90")
    for sweep in (SOURCES / "sweeps" / "quick.toml", SWEEP):
        for build in select(read_sweep(sweep).kernels):
            if build.source and obstacle_on(build.kernel, machine) is None:
                assert build.kernel.name in missing


@pytest.mark.slow
def test_a_rehearsal_walks_through_both_runs_and_says_what_is_not_ready(tmp_path: Path) -> None:
    said: list[str] = []
    found = rehearse("sm_90", tmp_path, said.append, train=False)
    assert isinstance(found, Rehearsal)
    assert [step.name for step in found.steps] == [
        "doctor", "numbers", "timing", "probe", "quick", "power", "cutlass_3", "six_minutes",
    ]  # fmt: skip
    assert {step.status for step in found.steps} == {0}, said
    (problem,) = found.problems
    assert "kernels are not compiled for sm_90" in problem
    assert "dataset kept" in found.lines[0]
    assert "can be trained on" in found.lines[1]


def test_a_rehearsal_of_which_nothing_comes_back_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an interpreter that does nothing right, beside all else that is not ready."""
    monkeypatch.setattr(sys, "executable", str(idle_python(tmp_path)))
    found = rehearse("sm_90", tmp_path / "none", lambda _: None, train=False)
    assert found.lines == ()
    assert "there are no cubins" in found.problems[0]
    assert sum("ended with code 3: tried" in one for one in found.problems) == len(found.steps)
    assert "no dataset came back" in found.problems[-1]


def idle_python(folder: Path) -> Path:
    """Return an interpreter that does nothing right."""
    python = folder / "python"
    python.write_text("#!/bin/sh\necho tried\nexit 3\n")
    python.chmod(0o755)
    return python


def script(run: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT), run, str(folder)],
        env={"PATH": "/usr/bin:/bin", "GPPERF_REHEARSE": "1", **env},
        capture_output=True,
        text=True,
    )


def test_a_step_that_hangs_or_fails_loses_nothing(tmp_path: Path) -> None:
    """An interpreter that does nothing right: each step is noted, and all is packed."""
    done = script("a", tmp_path / "out", PYTHON=str(idle_python(tmp_path)))
    assert done.returncode == 0, done.stderr
    visit = read_visit(tmp_path / "out" / "visit-a.tar.gz")
    assert [step.status for step in visit.steps] == [3] * 7
    assert visit.dataset is None
    with tarfile.open(tmp_path / "out" / "visit-a.tar.gz") as archive:
        assert "./probe.txt" in archive.getnames()


def test_a_run_that_is_none_is_refused(tmp_path: Path) -> None:
    done = script("c", tmp_path / "out", PYTHON=sys.executable)
    assert (done.returncode, "must be a or b (got c)" in done.stderr) == (2, True)
