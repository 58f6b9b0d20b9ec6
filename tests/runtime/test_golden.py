"""The golden files: artefacts of every released format go on predicting the same, bit for bit.

Only + - * / and square roots of IEEE 754, and sums of integers, decide a prediction, so the bits
are the same on every machine.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gpperf_lite as gp
from gpperf_lite import _generic
from gpperf_lite._artefact import decode, encode
from gpperf_lite._descriptions import gpu_from_json
from gpperf_lite._estimator import TIMED
from gpperf_lite._sealed import FORMAT_VERSION

GOLDEN = Path(__file__).parents[1] / "golden"
VERSIONS = range(1, FORMAT_VERSION + 1)
NAMES = [*(f"format_{version}" for version in VERSIONS), "rtx4070_1", "h200_1"]
"""Artefacts; the last two are built-in models of 0.1.0, one whole and one of its first trees."""


def load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_make()


def model_of(name: str) -> gp.Model:
    return gp.load(GOLDEN / f"{name}.safetensors")


def cases_of(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return cases


CASES = [(name, case) for name in NAMES for case in cases_of(name)]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_golden_file_predicts_what_it_always_did(name: str, case: dict[str, Any]) -> None:
    assert make.answer(model_of(name), case["question"]) == case["answer"]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_batch_predicts_the_same_bits(name: str, case: dict[str, Any]) -> None:
    answer = case["answer"]
    batch = model_of(name).predict_batch(**case["question"])
    columns = ["runtime_s", "power_w", "energy_j", "tflops", "tflops_per_w", "edp_js"]
    for figure in columns:
        column = getattr(batch, figure)
        if answer[figure] is None:
            assert column is None
        else:
            assert float(column[0]).hex() == answer[figure], figure
    for figure in ("runtime_interval_s", "power_interval_w"):
        column = getattr(batch, figure)
        assert (None if column is None else make.exact(column[0].tolist())) == answer[figure]
    assert [batch.bound[0], batch.kernel[0]] == [answer["bound"], answer["kernel"]]
    assert batch.timed[0] == answer.get("timed", "")
    assert bool(batch.in_domain[0]) == answer["in_domain"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_generic_model_predicts_what_it_always_did(version: int) -> None:
    path = GOLDEN / f"generic_{version}.safetensors"
    cases = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert len({case["answer"]["runtime_s"] for case in cases}) == len(cases) == 8
    for case in cases:
        model = gp.load(path, gpu=gpu_from_json(case["gpu"]))
        assert make.answer(model, case["question"]) == case["answer"]


def test_the_cases_reach_every_kind_of_answer() -> None:
    answers = [case["answer"] for _, case in CASES]
    assert {answer["bound"] for answer in answers} == {"compute", "memory", "latency"}
    assert {answer["in_domain"] for answer in answers} == {True, False}
    assert {answer["power_w"] is None for answer in answers} == {True, False}
    assert {answer.get("timed", "") for answer in answers} == {"", *TIMED}
    assert len({answer["kernel"] for answer in answers}) == 10
    assert len({(name, case["answer"]["runtime_s"]) for name, case in CASES}) == len(answers)


def test_the_current_format_is_still_written_as_its_golden_file() -> None:
    """Byte for byte; a change of what is written is a new format version, or is none at all."""
    data = (GOLDEN / f"format_{FORMAT_VERSION}.safetensors").read_bytes()
    assert encode(decode(data)) == data
    generic = (GOLDEN / f"generic_{FORMAT_VERSION}.safetensors").read_bytes()
    assert _generic.encode(_generic.decode(generic)) == generic
    assert max(len(data), len(generic)) < 20_000


def test_the_script_makes_all_files_and_they_agree(tmp_path: Path) -> None:
    make.main(tmp_path, released=())
    name = f"format_{FORMAT_VERSION}"
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in GOLDEN.iterdir() if path.name in made}
    assert len(made) == 4
    model = gp.load(tmp_path / f"{name}.safetensors")
    cases = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert len(cases) == len(make.QUESTIONS)
    assert all(make.answer(model, case["question"]) == case["answer"] for case in cases)


def test_golden_files_of_a_released_format_are_never_written_again(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="was released"):
        make.main(tmp_path, released=(FORMAT_VERSION,))
    assert list(tmp_path.iterdir()) == []
