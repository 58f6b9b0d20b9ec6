"""nvMatmulHeuristics knows a GPU where a name of its own is in the GPU's."""

from __future__ import annotations

import pytest

from builder.evaluate.heuristics import Heuristics, installed_heuristics
from gpperf_lite._gpu_facts import known_gpus

KNOWN = Heuristics("1", ("RTX_4090", "L40S", "H200_SXM"))


@pytest.mark.parametrize(("gpu", "known"), [("l40s", True), ("rtx2080ti", False), ("t4", False)])
def test_a_gpu_is_known_by_all_words_of_a_name(gpu: str, known: bool) -> None:
    assert KNOWN.knows(known_gpus()[gpu]) is known


def test_the_installed_one_tells_its_version_and_gpus() -> None:
    pytest.importorskip("nvMatmulHeuristics")
    found = installed_heuristics()
    assert found is not None
    assert found.version[0].isdigit()
    assert "L40S" in found.gpus
    assert "END" not in found.gpus
    assert found.knows(known_gpus()["l40s"])
    assert not found.knows(known_gpus()["rtx2080ti"])
