"""Every real table of kernels: what is imported tells them apart, and is worth learning from."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from table_limits import MOST_APART, WAYS, Stated, stated_tables
from table_trial import OPTIONS, apart, n_alike

from builder.errors import DatasetError
from builder.importers import FORMATS
from builder.train import strata_of

pytestmark = pytest.mark.slow

NOT_MEASURED = {
    "README.md": "what the tables are",
    "field": "made by hand, of what once went wrong: for the tests of importers",
    "gpperf/power_usage_results_all.csv": "read with execution_times_all.csv, from beside it",
    "power_sensor": "of sensors of power, without a GEMM",
    "vllm_tuned_configs": "the best tiles of searches, without a time",
}
"""Files and folders below that of the tables that are no measured table, and why."""

PROFILER = stated_tables("cutlass-profiler")


@pytest.mark.parametrize("stated", [*PROFILER, *stated_tables("gpperf")], ids=str)
def test_a_table_is_taken_whole_and_its_kernels_are_learned_and_told_apart(
    stated: Stated, shared_data: Path
) -> None:
    assert stated.complaints(stated.imported(shared_data)) == []


@pytest.mark.parametrize("stated", PROFILER, ids=str)
def test_the_columns_of_the_profiler_tell_kernels_apart_without_their_names(
    stated: Stated, shared_data: Path, tmp_path: Path
) -> None:
    """The names of its next kernels may say less than these do."""
    nameless = tmp_path / stated.path
    nameless.parent.mkdir()
    _write_without_names(stated.found_in(shared_data), nameless)
    dataset = stated.imported(tmp_path)
    (gpu,) = dataset.gpus.values()
    (stratum,) = strata_of(dataset, gpu, OPTIONS, {})
    assert n_alike(stratum) == stated.strata[stratum.name]["alike"]
    assert apart(stratum) < MOST_APART


def _write_without_names(path: Path, nameless: Path) -> None:
    """Write a table of the profiler with its kernels' names as numbers."""
    lines = list(csv.DictReader(path.read_text().splitlines()))
    names = sorted({line["Operation"] for line in lines})
    with nameless.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        for line in lines:
            writer.writerow({**line, "Operation": f"kernel_{names.index(line['Operation'])}"})


@pytest.mark.parametrize(
    ("library", "kernels"),
    list(zip(stated_tables("neusight"), stated_tables("neusight-kernels"), strict=True)),
    ids=[one.path for one in stated_tables("neusight")],
)
def test_both_formats_of_a_table_are_learned_and_say_the_same_of_a_row(
    library: Stated, kernels: Stated, shared_data: Path
) -> None:
    """Also of its sizes: a kernel whose grid is not of its tiles would have been dropped."""
    assert library.path == kernels.path
    both = library.imported(shared_data), kernels.imported(shared_data)
    names = ("source_row", "m", "n", "k", "batch", "layout", "runtime_s")
    rows, same = (
        set(zip(*(dataset.column(name) for name in names), strict=True)) for dataset in both
    )
    assert same <= rows
    assert [*library.complaints(both[0]), *kernels.complaints(both[1])] == []


@pytest.mark.parametrize("stated", stated_tables("gpperf-tiles"), ids=str)
def test_nothing_is_learned_from_cold_launches(stated: Stated, shared_data: Path) -> None:
    dataset = stated.imported(shared_data)
    (gpu,) = dataset.gpus.values()
    with pytest.raises(DatasetError, match=f"flags keep out all of its {stated.rows}"):
        strata_of(dataset, gpu, OPTIONS, {})


def test_every_file_is_a_table_of_which_something_is_stated_or_none(shared_data: Path) -> None:
    known = {one.path for one in stated_tables(*FORMATS)}
    found = {path.relative_to(shared_data) for path in shared_data.rglob("*") if path.is_file()}
    left_out = {path for path in found if not NOT_MEASURED.keys().isdisjoint(_above(path))}
    unknown = {path.as_posix() for path in found - left_out} - known
    assert unknown == set(), "state their rows in a TOML file here, or say in NOT_MEASURED why not"
    assert set(WAYS) == set(FORMATS)


def _above(path: Path) -> set[str]:
    return {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
