"""The ranker: configurations that run, for layers like those that were searched, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.winners import DENSE, MOE, write_winners

from builder.configurations import (
    KINDS,
    KNOWN,
    LAUNCHES,
    TILES,
    Layer,
    build_ranker,
    built_in,
    examples_of,
    learned,
    read_ranker,
    read_winners,
)
from builder.configurations.terms import launch_terms, tile_terms
from builder.errors import BuilderError
from gpperf_lite import Gpu
from gpperf_lite._gpu_facts import find_gpu, known_gpus
from gpperf_lite._occupancy import limits_of

TABLE = "vllm_tuned_configs/vllm_0.33.0_triton_best_configs.parquet"
LINEAR = Layer("dense", 4096, 7168, "fp8_w8a8", 128)
EXPERTS = Layer("moe", 768, 2048, "bf16", 0, 128, 8)


def gpu(name: str) -> Gpu:
    """Return the facts of a GPU."""
    return find_gpu(name)[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_built_in_weights_are_those_of_the_terms(kind: str) -> None:
    layer, h200 = {"dense": LINEAR, "moe": EXPERTS}[kind], gpu("h200")
    terms = tile_terms(layer, 64, h200, np.ones(len(TILES)))
    assert terms.shape == (len(TILES), len(built_in().tiles[kind].weights))
    shape = (len(TILES), len(LAUNCHES), len(built_in().launches[kind].weights))
    assert launch_terms(layer, 64, h200).shape == shape


@pytest.mark.parametrize("layer", [LINEAR, EXPERTS])
def test_more_tokens_take_larger_tiles(layer: Layer) -> None:
    few, many = (built_in().rank(layer, m, gpu("h200"), 1)[0].tile for m in (1, 4096))
    assert few.m == 16
    assert many.m >= 64


LAYERS = st.sampled_from([(kind, *one) for kind in KINDS for one in sorted(KNOWN[kind])])


@given(
    LAYERS,
    st.integers(256, 14336),
    st.integers(1024, 16384),
    st.integers(1, 512),
    st.integers(1, 4096),
    st.sampled_from(sorted(known_gpus())),
)
def test_what_is_ranked_fits_and_is_there_once(
    known: tuple[str, str, int], n: int, k: int, experts: int, m: int, name: str
) -> None:
    kind, precision, block = known
    layer = Layer(kind, n, k, precision, block, *((experts, min(experts, 8)) * (kind == "moe")))
    facts = gpu(name)
    why = built_in().obstacle(layer, m, facts)
    if why is not None:
        with pytest.raises(BuilderError):
            built_in().rank(layer, m, facts)
        return
    found = built_in().rank(layer, m, facts)
    assert len({one.tile for one in found}) == len(found) == 16
    for (tile_m, tile_n, tile_k), launch in found:
        stage = tile_k * (tile_m * layer.figures.a_bytes + tile_n * layer.figures.b_bytes)
        limits = limits_of(facts.compute_capability)
        assert stage * launch.stages <= limits.block_shared_bytes
        assert tile_k <= (block or tile_k)


@pytest.mark.parametrize(
    ("layer", "m", "name", "why"),
    [
        (EXPERTS, 1, "t4", "compute capability must be one of 8.x, 9.x, 10.x, 12.x"),
        (LINEAR, 1, "a100", "the data sheet of NVIDIA A100-SXM4-80GB has no peak in fp8"),
        (LINEAR, 4097, "h200", "m must be from 1 to 4096, as in searches"),
        (replace(LINEAR, n=1 << 20), 1, "h200", "n must be from 256 to 51200"),
        (replace(EXPERTS, experts=1024), 1, "h200", "experts must be from 1 to 512"),
        (replace(EXPERTS, k=512), 1, "h200", "k must be from 1024 to 16384"),
    ],
)
def test_what_no_search_was_like_is_not_ranked(layer: Layer, m: int, name: str, why: str) -> None:
    with pytest.raises(BuilderError, match=why.replace(".", r"\.")):
        built_in().rank(layer, m, gpu(name))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "conv"}, "kind must be one of moe, dense"),
        ({"n": 0}, "n must be from 1"),
        ({"top_k": 9, "experts": 8}, "top_k must be at most the number of experts"),
        ({"precision": "fp4"}, "precision of which searches are known"),
        ({"block": 64}, "in blocks of 64"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(BuilderError, match=why):
        replace(EXPERTS, **fields)


def test_a_ranker_learns_the_tile_that_always_wins(tmp_path: Path) -> None:
    rows = [
        {**row, "m": m, "BLOCK_SIZE_M": 32.0, "BLOCK_SIZE_N": 32.0}
        for row in (DENSE, MOE)
        for m in (1, 16, 64, 512, 4096)
        for _ in range(20)
    ]
    winners = read_winners(write_winners(tmp_path / "w.parquet", rows)).rows
    examples = {
        kind: examples_of(one for one in winners if one.layer.kind == kind) for kind in KINDS
    }
    ranker = learned(examples)
    for kind in KINDS:
        best = ranker.rank(examples[kind].winners[0].layer, 64, gpu("h200"), 1)[0]
        assert (best.tile[:2], best.launch) == ((32, 32), (16, 4, 4))
    assert ranker.generations == [9]


@pytest.mark.slow
def test_the_built_in_ranker_is_that_of_the_real_table(shared_data: Path, tmp_path: Path) -> None:
    table = shared_data / TABLE
    if not table.is_file():
        pytest.skip(f"there is no {table}")
    build_ranker(table, tmp_path / "ranker.json")
    anew = read_ranker(tmp_path / "ranker.json")
    for layer in (LINEAR, EXPERTS):
        for m in (1, 64, 2048):
            same = [one.rank(layer, m, gpu("l40s"), 4) for one in (anew, built_in())]
            assert same[0] == same[1]
