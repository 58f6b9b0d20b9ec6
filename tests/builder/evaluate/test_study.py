"""The study's table, on a small raw file of the study's own form."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins.tables import gemm_ms, study_record, write_study

from builder.errors import SourceError
from builder.evaluate import Row, study_table

pytestmark = pytest.mark.slow

SHAPES = [(512, 512, 512), (1024, 512, 2048), (4096, 4096, 4096)]
BLOCKS = ("64,64,32", "128,64,32", "128,128,32")


@pytest.fixture(scope="module")
def raw_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shapes, three blocks that change nothing, two betas; half with power."""
    records = [
        study_record(
            m=m,
            n=n,
            k=k,
            beta=beta,
            block=block,
            runtime_ms=f"{gemm_ms(m, n, k) * 30 * (1 + 0.05 * beta) * (1 + 0.01 * i):.6f}",
            power=f"{40 + 10 * j + i}.5" if beta else "[N/A]",
        )
        for j, (m, n, k) in enumerate(SHAPES)
        for i, block in enumerate(BLOCKS)
        for beta in (0, 1)
    ]
    return write_study(tmp_path_factory.mktemp("study") / "raw.csv", records)


@pytest.fixture(scope="module")
def table(raw_file: Path) -> list[Row]:
    return study_table(raw_file)


def test_every_method_target_and_test_of_the_study_has_a_line(table: list[Row]) -> None:
    assert [(row.method, row.target, row.held_out) for row in table] == [
        ("study's forest, tails clipped", "runtime", "random rows"),
        ("study's forest, tails clipped", "power", "random rows"),
        ("study's forest, tails clipped", "runtime", "shapes"),
        ("study's forest", "runtime", "shapes"),
        ("study's forest, tails clipped", "power", "shapes"),
        ("ours", "runtime", "shapes"),
    ]


def test_power_is_judged_on_records_that_have_it_and_random_rows_are_a_fifth(
    table: list[Row],
) -> None:
    n_records = len(SHAPES) * len(BLOCKS) * 2
    expected = [4, 2, n_records, n_records, n_records // 2, n_records]
    assert [row.errors.n for row in table] == expected


def test_held_out_shapes_are_harder_than_random_rows(table: list[Row]) -> None:
    by_rows, by_shapes = table[0].errors, table[2].errors
    assert by_rows.mean_ape < by_shapes.mean_ape


def test_a_physical_base_foresees_unseen_shapes_better_than_the_studys_forest(
    table: list[Row],
) -> None:
    assert table[5].errors.mean_ape < table[3].errors.mean_ape


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("m,n,k\n1,2,3\n")
    with pytest.raises(SourceError, match="not the study's raw file"):
        study_table(tmp_path / "a.csv")
