"""Kept fits: a build that was stopped goes on, and no kept fit ever spoils one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import GPU, LARGE_GRID, QUICK_TRAINING, aiconfigurator, write_parquet

from builder.dataset import Dataset
from builder.errors import BuilderError
from builder.importers import import_table
from builder.parallel import Task
from builder.train import KeptFits, fit_runtime
from builder.train.kept_fits import (
    BUILDER,
    BUILDER_OF_RUNTIME_FITS,
    RUNTIME,
    RUNTIME_OF_RUNTIME_FITS,
    _code_of,
    run_kept,
)
from builder.train.power_estimator import power_estimator
from builder.train.training import train
from gpperf_lite._artefact import Artefact, encode
from gpperf_lite._forest import Forest

ROOT = Path(__file__).parents[3]
TRAIN = ROOT / "builder" / "train"
FITS = [TRAIN / f"{name}.py" for name in (
    "back_ends", "board_power", "catboost_forest", "estimators", "generic_fit", "intervals",
    "leaves", "learner", "metrics", "physics", "power_estimator", "power_fit", "relative",
    "runtime_fit", "runtime_fits", "slowdown_fit", "stratum",
)]  # fmt: skip
ONLY_READ_AND_WRITTEN = {"_artefact", "_checked_json", "_errors", "_generic", "_safetensors"}
"""Modules of the runtime that fits import, and that decide no number of them."""


def fit(folder: str, number: int) -> dict[str, float]:
    """A fit that notes that it was called, and fails where it finds a file of its number."""
    calls = Path(folder) / "calls"
    calls.write_text(f"{calls.read_text() if calls.exists() else ''}{number} ")
    if (Path(folder) / f"fail {number}").exists():
        raise ArithmeticError(number)
    if (Path(folder) / f"stop {number}").exists():
        raise KeyboardInterrupt
    return {"value": 0.1 * number}


def other_fit(folder: str, number: int) -> dict[str, float]:
    del folder
    return {"value": float(number)}


def tasks_of(folder: Path, n_tasks: int = 4) -> list[Task[dict[str, float]]]:
    return [Task(f"fit {number}", fit, (str(folder), number)) for number in range(n_tasks)]


RESULTS = [{"value": 0.1 * number} for number in range(4)]


@pytest.mark.parametrize(("how", "error"), [("fail", ArithmeticError), ("stop", KeyboardInterrupt)])
def test_a_build_that_ended_in_its_third_fit_does_not_repeat_the_first_two(
    how: str, error: type[BaseException], tmp_path: Path
) -> None:
    cause, calls = tmp_path / f"{how} 2", tmp_path / "calls"
    cause.touch()
    with pytest.raises(error):
        run_kept(tasks_of(tmp_path), 1, "fits", KeptFits(tmp_path / "fits"))
    assert calls.read_text() == "0 1 2 "
    cause.unlink()
    kept = KeptFits(tmp_path / "fits")
    assert run_kept(tasks_of(tmp_path), 1, "fits", kept) == RESULTS
    assert calls.read_text() == "0 1 2 2 3 "
    assert kept.take_tally() == "4 fits, 2 of them found, 2 new"
    assert kept.take_tally() == "0 fits, 0 of them found, 0 new"


@pytest.mark.slow
def test_processes_keep_what_they_fitted_before_one_of_them_failed(tmp_path: Path) -> None:
    (tmp_path / "fail 3").touch()
    with pytest.raises(ArithmeticError):
        run_kept(tasks_of(tmp_path), 2, "fits", KeptFits(tmp_path / "fits"))
    (tmp_path / "fail 3").unlink()
    kept = KeptFits(tmp_path / "fits")
    assert run_kept(tasks_of(tmp_path), 2, "fits", kept) == RESULTS
    assert kept.take_tally() == "4 fits, 3 of them found, 1 new"


def test_equal_tasks_are_run_once_and_none_without_tasks(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, 2) * 2
    found = run_kept(tasks, 1, "fits", KeptFits(tmp_path / "fits"))
    assert found == [*RESULTS[:2], *RESULTS[:2]]
    assert (tmp_path / "calls").read_text() == "0 1 "
    assert run_kept([], 2, "fits", KeptFits(tmp_path / "fits")) == []
    assert run_kept([], 2, "fits", None) == []


def test_another_function_argument_or_source_has_another_key(tmp_path: Path) -> None:
    kept, changed = KeptFits(tmp_path), KeptFits(tmp_path, lambda _: "other sources")
    task = Task("fit", fit, ("a", 1))
    assert KeptFits(tmp_path).key(task) == kept.key(replace(task, label="of another name"))
    others = [
        Task("fit", other_fit, ("a", 1)),
        Task("fit", fit, ("a", 2)),
        Task("fit", fit, ("a",)),
    ]
    keys = {kept.key(task), changed.key(task), *map(kept.key, others)}
    assert len(keys) == 2 + len(others)


def test_only_a_function_of_a_module_can_be_kept(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a function of a module must make the fit"):
        run_kept([Task("fit", lambda: 1, ())], 1, "fits", KeptFits(tmp_path))


def gpu_of(name: str) -> object:
    """A result of a class that is none of those of results."""
    return replace(GPU, name=name)


def test_a_result_that_could_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Gpu is none of"):
        run_kept([Task("fit", gpu_of, ("a",))], 1, "fits", KeptFits(tmp_path))
    assert list(tmp_path.iterdir()) == []


FOREST = Forest(np.ones((9, 3), np.uint8), np.ones((9, 3), np.float32),
                np.arange(72, dtype=np.int16).reshape(9, 8), 7)  # fmt: skip


@pytest.fixture(scope="module")
def folder_of_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    KeptFits(folder).write("key", FOREST)
    return folder


@given(where=st.integers(0, 10**6), flip=st.integers(1, 255), how=st.sampled_from(["flip", "cut"]))
def test_a_damaged_file_is_never_taken(
    where: int, flip: int, how: str, folder_of_one: Path
) -> None:
    kept = KeptFits(folder_of_one, lambda _: "")
    path = folder_of_one / "key.fit"
    data = bytearray(path.read_bytes())
    where %= len(data)
    if how == "flip":
        data[where] ^= flip
    damaged = folder_of_one / "damaged.fit"
    damaged.write_bytes(data if how == "flip" else data[:where])
    shutil.copy(damaged, path)
    try:
        assert kept.find(["key"]) == {}
    finally:
        kept.write("key", FOREST)
    assert kept.find(["key", "none"]) == {"key": FOREST}


def test_a_damaged_or_foreign_file_is_told_of_once_and_fitted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, tasks = KeptFits(tmp_path / "fits"), tasks_of(tmp_path)
    run_kept(tasks, 1, "fits", kept)
    first, second, third, _ = (kept.folder / f"{kept.key(task)}.fit" for task in tasks)
    first.write_text("no fit at all")
    shutil.copy(third, second)
    assert capsys.readouterr().err == ""
    assert run_kept(tasks, 1, "fits", kept) == RESULTS
    assert (tmp_path / "calls").read_text() == "0 1 2 3 0 1 "
    lines = capsys.readouterr().err.splitlines()
    reason = "is damaged and is fitted again: its checksum does not match"
    assert lines == [f"kept fits: {path} {reason}" for path in (first, second)]
    assert run_kept(tasks, 1, "fits", kept) == RESULTS
    assert capsys.readouterr().err == ""


def test_a_fit_that_cannot_be_kept_is_told_of_and_the_build_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = KeptFits(tmp_path / "fits")
    kept.folder.rmdir()
    assert run_kept(tasks_of(tmp_path, 1), 1, "fits", kept) == RESULTS[:1]
    assert kept.folder.is_dir()  # deleting it is always safe
    shutil.rmtree(kept.folder)
    kept.folder.touch()
    assert run_kept(tasks_of(tmp_path, 2), 1, "fits", kept) == RESULTS[:2]
    assert "a fit is not kept: " in capsys.readouterr().err
    with pytest.raises(BuilderError, match="name another with --fits"):
        KeptFits(kept.folder)


def test_what_is_fitted_while_the_sources_change_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Processes that start later run the new sources."""
    sources = ["before"]
    kept = KeptFits(tmp_path / "fits", lambda _: sources[0])
    sources[0] = "after"
    assert run_kept(tasks_of(tmp_path, 1), 1, "fits", kept) == RESULTS[:1]
    assert "the sources were changed" in capsys.readouterr().err
    assert list(kept.folder.iterdir()) == []


def modules_in(paths: Iterable[Path], pattern: str) -> set[str]:
    return {name for path in paths for name in re.findall(pattern, path.read_text())}


def closure(names: set[str], folder: Path, aside: Set[str]) -> set[str]:
    """Return modules of a folder, and those that they import from it, save some."""
    found: set[str] = set()
    waiting = names - aside
    while waiting:
        found |= waiting
        paths = [folder / f"{name}.py" for name in waiting]
        waiting = modules_in(paths, r"from \.(\w+) import") - found - aside
    return found


def decisive(paths: Iterable[Path], aside: Set[str]) -> set[str]:
    """Return the modules of the runtime that modules of the builder import, at one remove too."""
    names = modules_in(paths, r"from gpperf_lite\.(\w+) import")
    return closure(names, ROOT / "gpperf_lite", aside)


def test_the_sources_that_decide_a_fit_are_all_in_its_key() -> None:
    """Every module of the runtime that a fit imports, itself or by way of another one."""
    assert set(RUNTIME) == decisive(FITS, ONLY_READ_AND_WRITTEN)
    assert {"train/*.py", "kernels/*.py", "dataset/*.py"} == set(BUILDER)


def test_the_sources_that_decide_a_fit_of_the_runtime_are_all_in_its_key() -> None:
    """An estimator is made of a fit, and intervals come after it."""
    names = closure({"runtime_fit"}, TRAIN, set())
    assert {f"train/{name}.py" for name in names} <= set(BUILDER_OF_RUNTIME_FITS)
    fits = [TRAIN / f"{name}.py" for name in names]
    aside = ONLY_READ_AND_WRITTEN | {"_estimator", "_interval"}
    assert set(RUNTIME_OF_RUNTIME_FITS) == decisive(fits, aside)
    faces = modules_in(fits, r"from \.\.(\w+) import")
    assert faces == {"dataset", "kernels"}
    assert {"dataset/points.py", "kernels/*.py"} <= set(BUILDER_OF_RUNTIME_FITS)


def test_a_source_that_does_not_decide_a_fit_of_the_runtime_leaves_it_as_it_is(
    tmp_path: Path,
) -> None:
    """The consensus is in the points that it is given; a stratum makes one itself."""
    one = KeptFits(tmp_path, lambda module: module)
    other = KeptFits(tmp_path, lambda module: module or "another consensus")
    runtime, power = Task("", fit_runtime, (1,)), Task("", power_estimator, (1,))
    assert one.key(runtime) == other.key(runtime)
    assert one.key(power) != other.key(power)


@pytest.fixture(scope="module")
def power_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("power") / "power.parquet"
    return import_table(write_parquet(path, aiconfigurator(LARGE_GRID, power=True)),
                        "aiconfigurator")[0]  # fmt: skip


def test_kept_fits_make_the_same_artefact_bit_for_bit(
    small_dataset: Dataset, small_artefact: Artefact, power_dataset: Dataset, tmp_path: Path
) -> None:
    kept, options = KeptFits(tmp_path), replace(QUICK_TRAINING, name="small")
    for tally in ("3 fits, 0 of them found, 3 new", "3 fits, 3 of them found, 0 new"):
        assert encode(train([small_dataset], [], options, 1, kept)) == encode(small_artefact)
        assert kept.take_tally() == tally
    both = [small_dataset, power_dataset]
    warm = encode(train(both, [power_dataset], options))
    for tally in ("4 fits, 0 of them found, 4 new", "4 fits, 4 of them found, 0 new"):
        assert encode(train(both, [power_dataset], options, 1, kept)) == warm
        assert kept.take_tally() == tally
    next(tmp_path.glob("*.fit")).write_bytes(b"")
    assert encode(train([small_dataset], [], options, 1, kept)) == encode(small_artefact)


def test_words_about_the_code_do_not_decide_a_fit() -> None:
    plain = "X = 1\n\ndef f(x):\n    return x + X\n"
    told = '"""A module."""\n\nX = 1\n"""A constant."""\n\ndef f(x):  # adds\n    """Add."""\n'
    assert _code_of(plain) == _code_of(told + "    return x + X\n")
    for other in (told + "    return x - X\n", told.replace("X = 1", "X = 2") + "    return x + X"):
        assert _code_of(plain) != _code_of(other)
