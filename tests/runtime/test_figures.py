"""Figures for people: scaled as people write them, aligned, each row of a table told apart."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU, estimator
from stand_ins.shell import printed

import gpperf_lite as gp
from gpperf_lite._artefact import Artefact
from gpperf_lite._card_page import page
from gpperf_lite._figures import figure, percent
from gpperf_lite._kernel import Kernel
from gpperf_lite._output import aligned

UNITS = ("s", "W", "J", "FLOP/s", "FLOP/J")
PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9,
            "T": 1e12, "P": 1e15, "E": 1e18}  # fmt: skip
FIGURE = re.compile(r"([0-9,.]+) ([pnumkMGTPE]?)(s|W|J|FLOP/s|FLOP/J)")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (13_500.0, "J", "13.50 kJ"),
        (9_999.0, "J", "9999 J"),
        (767.5e3, "FLOP/s", "767.5 kFLOP/s"),
        (782.4e12, "FLOP/s", "782.4 TFLOP/s"),
        (9.5e15, "FLOP/s", "9500 TFLOP/s"),
        (12.5e15, "FLOP/s", "12.50 PFLOP/s"),
        (203.2e9, "FLOP/s", "203.2 GFLOP/s"),
        (4.044e3, "FLOP/J", "4.044 kFLOP/J"),
        (1.134e12, "FLOP/J", "1.134 TFLOP/J"),
        (0.0007, "FLOP/s", "700.0 uFLOP/s"),
        (16e-6, "s", "16.00 us"),
        (999.96e-6, "s", "1.000 ms"),
        (999.4e-6, "s", "999.4 us"),
        (1.0, "s", "1.000 s"),
        (1234.0, "s", "1234 s"),
        (9_999.6, "s", "2.778 h"),
        (36_000.0, "s", "10.00 h"),
        (2e8, "s", "6.338 years"),
        (2e13, "s", "633,800 years"),
        (1200.0, "W", "1200 W"),
        (689.84, "W", "689.8 W"),
        (140.3e9, "J", "140.3 GJ"),
        (4e-14, "J", "0.04000 pJ"),
    ],
)
def test_a_figure_is_as_people_write_it(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text


@given(st.floats(1e-11, 1e21), st.sampled_from(UNITS))
def test_a_figure_is_the_number_to_four_digits(value: float, unit: str) -> None:
    """Never with a power of ten, and with four digits before its prefix at most."""
    text = figure(value, unit)
    if unit == "s" and text.endswith(("h", "years")):
        assert value >= 9999.0
        return
    match = FIGURE.fullmatch(text)
    assert match is not None, text
    number, prefix, shown = float(match[1].replace(",", "")), match[2], match[3]
    assert shown == unit
    assert number * PREFIXES[prefix] == pytest.approx(value, rel=5.1e-4)
    assert 1.0 <= number < 10_000.0


def test_a_share_is_not_rounded_to_all() -> None:
    assert [percent(share) for share in (0.9, 0.999, 0.29, 0.9999999)] == [
        "90%", "99.9%", "29%", "99.99999%",
    ]  # fmt: skip


@pytest.mark.parametrize("sizes", [["1", "1", "1"], ["2000000000", "200000", "200000"]])
@pytest.mark.parametrize("command", ["predict", "rank", "compare"])
def test_no_command_prints_a_power_of_ten_for_people(
    capsys: pytest.CaptureFixture[str], command: str, sizes: list[str]
) -> None:
    text = printed(capsys, command, *sizes, "--dtype=bf16", "--gpu=h200", "--confidence=0.999")
    notes = ("note", "h200_sxm: note")
    figures = [line for line in text.splitlines() if not line.startswith(notes)]
    assert not re.search(r"[0-9]e[+-]?[0-9]", "\n".join(figures))
    assert "FLOP/s" in text
    assert "100%" not in text


def test_programs_get_base_units(capsys: pytest.CaptureFixture[str], h200: gp.Model) -> None:
    expected = h200.predict(gp.Gemm(1, 1, 1, "bf16"))
    found = json.loads(printed(capsys, "predict", "1", "1", "1", "--dtype=bf16", "--json"))
    assert found["tflops"] == expected.tflops
    assert found["energy_j"] == expected.energy_j


def test_numbers_end_below_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    """With their units; the marks of what is best do not shift them."""
    asked = ["64", "4096", "7168", "--gpu=h200,b200", "--dtype=bf16,fp8"]
    _, heads, *lines = printed(capsys, "compare", *asked).splitlines()
    rows = [line for line in lines if line.startswith(("h200_sxm ", "b200_sxm "))]
    for unit in (" us", " TFLOP/s", " W", " mJ"):
        assert len({line.index(unit) for line in rows}) == 1, unit
    assert any("*" in line for line in rows)
    _, heads, *lines = printed(capsys, "predict", "1,1024", "64", "64").splitlines()
    assert heads.startswith("   m")
    assert lines[0].startswith("   1  64")


def test_columns_are_flush_as_they_are_asked_for() -> None:
    assert aligned([("name", "n"), ("a", "10"), ("long", "7")], ["n"]) == [
        "name   n",
        "a     10",
        "long   7",
    ]


def families() -> gp.Model:
    """Return a model whose card has two rows of one target and dtype, of many kernels each."""
    dice = np.random.default_rng(1)
    names = [f"cutlass_tensorop_f16_s1688gemm_f16_128x128_32x{n}_tn_align8" for n in (2, 3, 4)]
    names += [f"cutlass_simt_hgemm_128x128_8x{n}_tn_align1" for n in (2, 3)]
    parts = ((0, 1, 2), (3, 4))
    estimators = tuple(
        estimator(dice, target, "f16", part, "kernel")
        for part in parts
        for target in ("runtime", "sustained")
    )
    kernels = tuple(Kernel.from_name(name) for name in names)
    return gp.Model(Artefact("families", "1", GPU, kernels, estimators, {}, {}))


def test_a_card_tells_the_families_of_one_dtype_apart() -> None:
    """And has room between a target of a long name and its dtype."""
    lines = page(families())
    rows = [line for line in lines if re.match("  (runtime|sustained) ", line)]
    assert [line.split()[:6] for line in rows] == [
        ["runtime", "f16", "3", "of", "cutlass2", "on"],
        ["sustained", "f16", "3", "of", "cutlass2", "on"],
        ["runtime", "f16", "2", "of", "cutlass2", "on"],
        ["sustained", "f16", "2", "of", "cutlass2", "on"],
    ]
    below = [lines[lines.index(row) + 1].strip() for row in dict.fromkeys(rows)]
    assert below == ["tensor cores", "tensor cores", "CUDA cores", "CUDA cores"]


def test_every_card_tells_its_rows_apart(model: gp.Model) -> None:
    """No two rows of a table have the same target, dtype, kernels and kind of held-out group."""
    lines = page(model)
    start = next(at for at, line in enumerate(lines) if line.startswith("  target "))
    at = lines[start].index("  rows") if "  rows" in lines[start] else lines[start].index("rows")
    rows: list[str] = []
    for line in lines[start + 1 :]:
        if re.match("  (runtime|power|sustained) ", line):
            rows.append(line[:at].strip())
        elif line.startswith("   "):
            rows[-1] += f" {line.strip()}"
        else:
            break
    assert len(rows) == len(set(rows))


def test_a_table_fits_where_names_are_long() -> None:
    assert max(map(len, page(families()))) <= 100
