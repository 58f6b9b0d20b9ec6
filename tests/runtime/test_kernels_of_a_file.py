"""Kernels that a user's file describes: predicted and ranked as Python does with a `Kernel`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins.shell import printed, refused

import gpperf_lite as gp
from gpperf_lite._descriptions import kernel_to_json
from gpperf_lite._kernel import Kernel
from gpperf_lite._kernel_facts import read_kernels

SIZES = ["512", "4096", "4096"]
GEMM = gp.Gemm(512, 4096, 4096, "bf16")
FIRST = Kernel.from_name("cutlass_tensorop_bf16_s16816gemm_bf16_256x128_32x3_tn_align8")
SECOND = replace(
    Kernel.from_name("cutlass_tensorop_bf16_s16816gemm_bf16_64x64_32x10_tn_align8"),
    name="mine", registers=128, spill_bytes=0, threads=128,
)  # fmt: skip

Write = Callable[[Any], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(values: Any) -> str:
        path = tmp_path / "kernels.json"
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return str(path)

    return write


@pytest.fixture
def both(write: Write) -> str:
    return write([kernel_to_json(FIRST), kernel_to_json(SECOND)])


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "--dtype=bf16", "--gpu=a100_sxm", "--json"))


def test_kernels_come_back_as_they_were_described(both: str, write: Write) -> None:
    assert read_kernels(both) == [FIRST, SECOND]
    assert read_kernels(write(kernel_to_json(SECOND))) == [SECOND]


def test_they_are_ranked_alone_or_beside_those_that_are_named(
    capsys: pytest.CaptureFixture[str], both: str
) -> None:
    model = gp.load("a100_sxm")
    for named in ([], ["cutlass_tensorop_bf16_s16816gemm_bf16_128x128_32x3_tn_align8"]):
        expected = model.rank(GEMM, kernels=[*named, FIRST, SECOND])
        asked = ["rank", *SIZES, f"--kernel-facts={both}"]
        asked += [f"--kernel={','.join(named)}"] if named else []
        rows = told(capsys, *asked)
        assert [(row["kernel"], row["runtime_s"]) for row in rows] == [
            (one.kernel.name, one.runtime_s) for one in expected
        ]
        assert told(capsys, "predict", *SIZES, "--best", *asked[4:])["kernel"] == (
            expected[0].kernel.name
        )


def test_one_is_predicted(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    path = write(kernel_to_json(SECOND))
    expected = gp.load("a100_sxm").predict(GEMM, SECOND)
    found = told(capsys, "predict", *SIZES, f"--kernel-facts={path}")
    assert found["runtime_s"] == expected.runtime_s
    assert found["kernel"] == "mine"


def test_what_a_card_prints_is_such_a_file(
    capsys: pytest.CaptureFixture[str], write: Write
) -> None:
    path = write(printed(capsys, "card", "rtx4070", "--kernels", "--json"))
    assert read_kernels(path) == list(gp.load("rtx4070").kernels)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "must have one kernel at least"),
        ("{", "is no valid JSON"),
        ('{"name": "x", "name": "y", "family": "cutlass2"}', "the key 'name' is there twice"),
        ({"family": "cutlass2"}, "name must be a text"),
        ({"name": "x", "family": "cutlass9"}, "family must be one of"),
        ({**kernel_to_json(FIRST), "tiles": [1, 1, 1]}, "tiles"),
        ([{**kernel_to_json(FIRST), "tile": [64, 64]}], r"\[0\].*tile must have three"),
        ({**kernel_to_json(FIRST), "registers": -1}, "registers must be an integer"),
        ("3", "must be a JSON object"),
    ],
)
def test_a_file_that_describes_no_kernels_is_refused_with_the_reason(
    write: Write, values: Any, text: str
) -> None:
    path = write(values)
    with pytest.raises(gp.InputError, match=text) as caught:
        read_kernels(path)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predict", *SIZES], "one kernel is predicted: give --best"),
        (["rank", *SIZES, "--kernel=cutlass*"], "--kernel takes names beside kernels of a file"),
    ],
)
def test_what_does_not_go_with_a_file_of_kernels_is_refused(
    capsys: pytest.CaptureFixture[str], both: str, arguments: list[str], hint: str
) -> None:
    assert hint in refused(capsys, *arguments, f"--kernel-facts={both}")
