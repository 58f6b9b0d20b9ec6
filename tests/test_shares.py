"""The shares that CI prints: each test counts for one part, by the language that it runs."""

from __future__ import annotations

from pathlib import Path

from stand_ins.shares import COMPILED, NODE, part_of, shares

FOLDER = Path(__file__).parent


def test_each_part_has_the_seconds_of_its_tests() -> None:
    told = shares(
        [
            ("tests/builder/export/test_header.py::test_a[gcc-0]", 1.0),
            ("tests/builder/export/test_parity.py::test_b", 2.0),
            ("tests/builder/export/test_header.py::test_a[clang-0]", 4.0),
            ("tests/builder/export/test_module.py::test_c[gcc]", 8.0),
            ("tests/runtime/test_gemm.py::test_clang", 5.0),
        ]
    )
    assert [line.split() for line in told] == [
        ["gcc", "3.0", "s", "15.0%"],
        ["clang", "4.0", "s", "20.0%"],
        ["Node", "8.0", "s", "40.0%"],
        ["all", "else", "5.0", "s", "25.0%"],
    ]


def test_no_test_is_no_time() -> None:
    assert all(line.endswith("0.0 s    0.0%") for line in shares([]))


def test_the_files_of_the_parts_are_there() -> None:
    assert all((FOLDER / name).is_file() for name in (*NODE, *COMPILED))
    assert part_of("tests/builder/export/test_graph.py::test_a") == "all else"
