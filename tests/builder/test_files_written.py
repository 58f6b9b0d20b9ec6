"""Files of the builder: every writer writes into pipes, follows links, and says what it wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from stand_ins.artefacts import GPU, estimator, small_artefact
from stand_ins.tables import GRID, aiconfigurator, dataset_of, write_parquet

from builder.collect import CollectOptions
from builder.dataset import read, write
from builder.errors import BuilderError, DatasetError
from builder.files import size_text, write_text
from builder.train.model_files import write_and_report
from builder.visit import VisitError, keep
from gpperf_lite._artefact import Artefact, decode
from gpperf_lite._kernel import LIBRARIES, Kernel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and links are those of POSIX")

ERRORS = {"split": "pair", "mean_ape": 0.1, "median_ape": 0.05, "p90_ape": 0.2, "coverage_90": 0.9}
ARTEFACT = small_artefact()._replace(
    estimators=tuple(one._replace(accuracy=ERRORS) for one in small_artefact().estimators)
)

WRITERS: list[Callable[[Path], object]] = [
    lambda path: write(dataset_of(3), path),
    lambda path: write_text(path, "text\n"),
    lambda path: write_and_report(ARTEFACT, path),
]
"""Of a dataset, of texts (pages, TOML, JSON), and of an artefact."""


@contextmanager
def piped(path: Path) -> Iterator[list[bytes]]:
    """Yield a list that gets what is written into a pipe of that name."""
    got: list[bytes] = []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    yield got
    reader.join(10)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_pipe_gets_what_a_file_would_hold(
    tmp_path: Path, writer: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with piped(tmp_path / "pipe") as got:
        writer(tmp_path / "pipe")
    assert "kB" not in capsys.readouterr().out
    writer(tmp_path / "file")
    assert got == [(tmp_path / "file").read_bytes()]
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_link_stays_and_its_file_is_replaced(
    tmp_path: Path, writer: Callable[[Path], object]
) -> None:
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o600)
    writer(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() != b"old"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_dataset_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match=r"cannot write the dataset .*/folder: Is a directory"):
        write(dataset_of(), tmp_path / "folder")


def test_a_file_that_was_written_has_a_size_and_a_pipe_has_none(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"0" * 12_345)
    os.mkfifo(tmp_path / "pipe")
    assert size_text(tmp_path / "x.safetensors") == "x.safetensors: 12 kB"
    assert size_text(tmp_path / "pipe") == str(tmp_path / "pipe")


def test_a_dataset_goes_to_stdout_and_what_is_said_of_it_does_not(tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "table.parquet", aiconfigurator(GRID))
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    asked = [sys.executable, "-m", "builder", "import", "--format", "aiconfigurator", str(table)]
    done = subprocess.run(
        [*asked, "--output", str(tmp_path / "stdout")], capture_output=True, check=True
    )
    (tmp_path / "got.parquet").write_bytes(done.stdout)
    assert f"wrote {len(read(tmp_path / 'got.parquet'))} rows".encode() in done.stderr


def test_model_files_come_back_whole_from_a_pipe(tmp_path: Path) -> None:
    with piped(tmp_path / "pipe") as got:
        write_and_report(ARTEFACT, tmp_path / "pipe")
    assert decode(got[0]).name == ARTEFACT.name


def test_journals_need_a_place_where_the_dataset_is_no_file(tmp_path: Path) -> None:
    """They would be left beside a pipe, or in /dev."""
    os.mkfifo(tmp_path / "pipe")
    sweep = tmp_path / "sweep.toml"
    with pytest.raises(BuilderError, match="--journals must be given"):
        _ = CollectOptions(sweep, tmp_path / "pipe").folder
    options = CollectOptions(sweep, tmp_path / "pipe", journals=tmp_path / "journals")
    assert options.folder == tmp_path / "journals"
    assert CollectOptions(sweep, tmp_path / "x.parquet").folder == tmp_path / "x.journal"


def test_what_is_read_again_must_be_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(VisitError, match="trained on the file of the dataset"):
        keep([], tmp_path / "pipe", tmp_path / "model.safetensors")


def test_training_tells_the_families_of_one_dtype_apart_in_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Back ends by their names, many kernels by their family; columns of numbers end alike."""
    dice = np.random.default_rng(1)
    names = [f"cutlass_tensorop_f16_s1688gemm_f16_128x128_32x{n}_tn_align8" for n in (2, 3)]
    names.append("cutlass_simt_hgemm_128x128_8x2_tn_align1")
    parts = (("runtime", (0, 1)), ("sustained", (2, 3)), ("power", (4,)))
    estimators = tuple(
        estimator(dice, target, "f16", part, "library" if 0 in part else "kernel")._replace(
            accuracy={**ERRORS, "mean_ape": mean}
        )
        for (target, part), mean in zip(parts, (0.01, 0.1, 1.0), strict=True)
    )
    kernels = (LIBRARIES[0], LIBRARIES[1], *(Kernel.from_name(name) for name in names))
    artefact = Artefact("families", "1", GPU, kernels, estimators, {}, {})
    write_and_report(artefact, tmp_path / "x.safetensors")
    _, heads, *lines = capsys.readouterr().out.splitlines()[:5]
    assert [re.split("  +", line.strip())[:4] for line in lines] == [
        ["runtime", "f16", "library vllm", "pair"],
        ["sustained", "f16", "2 of cutlass2 on tensor cores", "pair"],
        ["power", "f16", "1 of cutlass2 on CUDA cores", "pair"],
    ]
    end = heads.index("mean") + len("mean")
    assert [line[:end].split()[-1] for line in lines] == ["1.00%", "10.00%", "100.00%"]
