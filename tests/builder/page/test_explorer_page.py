"""The explorer's page: which models it has, what it says of them, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins.artefacts import small_artefact
from stand_ins.exported import artefact_file

import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import BuilderError
from builder.page import explorer_page, explorer_section
from gpperf_lite._artefact import write


def facts_in(html: str) -> list[dict[str, Any]]:
    (text,) = re.findall(r'id="explorer-facts">(.*?)</script>', html, re.DOTALL)
    told: list[dict[str, Any]] = json.loads(text)
    return told


def test_facts_are_those_of_the_model() -> None:
    model = gp.load("h200_sxm")
    (told,) = facts_in(explorer_section(["h200"]).html)
    assert (told["id"], told["asked"], told["gpu"]) == ("h200_sxm", "h200", model.gpu.name)
    assert told["kernels"] == [kernel.name for kernel in model.kernels]
    assert told["memoryBytes"] == model.gpu.memory_bytes
    assert told["dtypes"]["f16"]["standIn"] == "bf16"
    domains = {one["dtype"]: one["domain"] for one in model.card["estimators"]
               if one["target"] == "runtime" and "library" in one["kernels"]}  # fmt: skip
    for dtype, domain in domains.items():
        number = next(head[2] for head in told["dtypes"][dtype]["heads"] if head[0] == 0)
        assert told["estimators"][number]["m"] == list(domain["m"])


def test_an_artefact_of_one_s_own_is_asked_for_by_its_path(tmp_path: Path) -> None:
    path = artefact_file("mixed", tmp_path)
    (told,) = facts_in(explorer_page([path]))
    assert told["asked"] == str(path)
    assert "on one GPU" in explorer_page([path])


def test_the_same_models_give_the_same_page(tmp_path: Path) -> None:
    path = artefact_file("mixed", tmp_path)
    assert explorer_page([path]) == explorer_page([path])


def test_a_name_that_is_markup_stays_text(tmp_path: Path) -> None:
    artefact = small_artefact()
    gpu = replace(artefact.gpu, name="</script><script>alert(1)</script>")
    write(artefact._replace(gpu=gpu), tmp_path / "bad.safetensors")
    html = explorer_section([tmp_path / "bad.safetensors"]).html
    assert facts_in(html)[0]["gpu"] == gpu.name
    assert "alert(1)</script>" not in html.partition("explorer-model-0")[0]


def test_two_models_of_one_name_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="different names"):
        explorer_section(["h200", "h200_sxm"])
    with pytest.raises(BuilderError, match="one model at least"):
        explorer_section([])


def test_the_command_writes_the_models_that_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "page.html"
    asked = ["--model", "t4", "--model", str(artefact_file("small", tmp_path))]
    assert main(["report", "explorer", *asked, "--output", str(output)]) == 0
    assert capsys.readouterr().out.startswith("wrote page.html: ")
    assert [one["id"] for one in facts_in(output.read_text())] == ["t4", "small"]
