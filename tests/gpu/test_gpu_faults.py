"""Faults that are planted in kernels: each is survived, and named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import gpu_kernels as kernels
import pytest
from gpu_children import ENDLESS, in_child, launched
from gpu_planted import FAULTS, plant, planted

from builder.architectures import architecture_of
from builder.collect import CollectOptions, collect
from builder.dataset import read
from builder.device.cuda import Card, open_gpu
from builder.kernels.catalogue import catalogue

SWEEP = """
seed = 1
points = 40
budget_s = 20
longest_s = 0.01

[shapes.small]
log2_m = [5, 9]
log2_n = [5, 9]
log2_k = [5, 9]

[[kernels]]
names = {names}
shapes = "small"
layouts = ["nn"]
"""


@pytest.fixture(scope="module")
def architecture(card: Card) -> str:
    with open_gpu(card.uuid, kernels.options(kernels.cache())) as device:
        return architecture_of(device.gpu)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("illegal address", "700 "), ("endless loop", ENDLESS), ("wrong result", "wrong")],
)
def test_a_process_survives_a_planted_fault_of_another(
    card: Card, architecture: str, tmp_path: Path, fault: str, outcome: str
) -> None:
    build = catalogue()["tiled_sgemm_16"]
    bad = planted(fault, build, architecture, tmp_path).code
    assert not kernels.prepare([build], architecture, kernels.cache())
    found = in_child(launched, card.uuid, bad, kernels.cache(), timeout_s=30.0)
    assert found.startswith(outcome), found
    good = kernels.cubins().get(build, architecture)
    assert good is not None
    assert in_child(launched, card.uuid, good[1], kernels.cache(), timeout_s=60.0) == "right"


def test_a_collection_survives_and_names_every_planted_fault(
    card: Card, architecture: str, tmp_path: Path
) -> None:
    faults = plant(tmp_path / "cubins", architecture)
    assert list(faults.values()) == list(FAULTS)
    sweep, output = tmp_path / "planted.toml", tmp_path / "planted.parquet"
    names = ", ".join(f'"{name}"' for name in kernels.PLANTED)
    sweep.write_text(SWEEP.format(names=f"[{names}]"))
    code = collect(
        CollectOptions(
            sweep,
            output,
            gpus=(card.uuid,),
            deadline_s=120.0,
            cubins=tmp_path / "cubins",
            quiet=True,
        )
    )
    dataset = read(output)
    rows = dataset.table.to_pylist()
    for row in rows[:100]:
        print(row["kernel"], row["m"], row["n"], row["k"], row["status"], row["reason"])
    assert code in (0, 2)
    good = [row for row in rows if row["kernel"] == kernels.PLANTED[-1]]
    assert sum(row["status"] == "ok" for row in good) >= 5
    assert not [row for row in rows if row["kernel"] in faults and row["status"] == "ok"]
    quarantined = {key for one in dataset.provenance for key in one["quarantined"]}
    assert keys_of(faults, tmp_path / "cubins", architecture) <= quarantined


def keys_of(names: Iterable[str], folder: Path, architecture: str) -> set[str]:
    """Return the keys of kernels of a cache."""
    found = [kernels.cubins(folder).get(catalogue()[name], architecture) for name in names]
    return {one[2] for one in found if one is not None}
