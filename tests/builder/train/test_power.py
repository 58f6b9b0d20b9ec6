"""Power: which reading is believed, and what boards say of a board whose power nobody measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import GPU, LARGE_GRID, QUICK_TRAINING, dataset_of, gemm_ms, points_at

import gpperf_lite as gp
from builder.dataset import Points, joined, measurements_of
from builder.errors import DatasetError
from builder.train.board_power import BoardPower, BoardTable
from builder.train.power_estimator import AGREEING, highest
from builder.train.power_fit import fit_shares, power_of_shares
from builder.train.training import train
from gpperf_lite._gpu_facts import known_gpus

SIZES = [(64, 64, 64), (128, 64, 64), (256, 64, 64)]
CONSTANTS = {"share_at_rest": 0.1, "share_per_compute": 0.9, "share_per_dram": 0.3}
BOARDS = [known_gpus()[name] for name in ("h200_sxm", "b200_sxm", "gb200")]


def read_by(name: str, watts: list[float]) -> Points:
    """Return three points whose power one collection read."""
    return points_at(SIZES, power_w=np.array(watts), collection=np.full(len(SIZES), name, object))


@given(
    high=st.floats(200, 900), share=st.floats(0.2, 0.89) | st.floats(0.91, 1.0), other=st.booleans()
)
def test_the_highest_reading_counts_and_those_that_agree_with_it(
    high: float, share: float, other: bool
) -> None:
    low = high * share
    both = [read_by("a", [high] * 3), read_by("b", [low] * 3)]
    (watts,) = set(
        highest(measurements_of(joined(both[::-1] if other else both), "power_w")).power_w
    )
    if share >= 1.0 - AGREEING:
        assert watts == pytest.approx(np.sqrt(high * low))
    else:
        assert watts == pytest.approx(high)


def test_a_collection_alone_is_believed() -> None:
    known = highest(measurements_of(read_by("a", [300.0, 400.0, 500.0]), "power_w"))
    assert known.power_w == pytest.approx([300.0, 400.0, 500.0])


def table(gpu: gp.Gpu, seed: int, n_rows: int = 300, noise: float = 0.01) -> BoardTable:
    random = np.random.default_rng(seed)
    compute, dram = random.uniform(0.05, 0.9, (2, n_rows))
    power_w = power_of_shares(gpu, CONSTANTS, compute, dram)
    power_w = power_w * np.exp(random.normal(0.0, noise, n_rows))
    return BoardTable(gpu, "bf16", compute, dram, np.geomspace(1e-4, 1e-2, n_rows), power_w)


def test_shares_are_found_and_every_table_counts_the_same() -> None:
    tables = [table(BOARDS[0], 1, 3000), table(BOARDS[1], 2, 100)]
    uses = [(one.gpu, one.compute_use, one.dram_use, one.power_w) for one in tables]
    found = fit_shares(uses, most_at_rest=0.5)
    assert found == pytest.approx(CONSTANTS, abs=0.01)
    far = (*uses[1][:3], uses[1][3] * 0.8)
    few, many = (fit_shares([uses[0], *[far] * n], 0.5) for n in (1, 9))
    assert few["share_per_compute"] > many["share_per_compute"] + 0.02


def test_boards_are_judged_by_the_others_alone() -> None:
    """One that draws far more than its shares say is missed by as much, and no other is."""
    odd = table(BOARDS[1], 2)
    odd = replace(odd, power_w=odd.power_w * 0.7)
    errors = BoardPower([table(BOARDS[0], 1), odd, table(BOARDS[2], 3)]).accuracy["boards"]
    assert errors[BOARDS[1].name]["bias"] == pytest.approx(1 / 0.7 - 1, abs=0.05)
    boards = BoardPower([table(gpu, seed) for seed, gpu in enumerate(BOARDS)])
    assert boards.accuracy["median_ape"] < 0.02
    assert boards.accuracy["split"] == "board"
    assert boards.accuracy["coverage_90"] == pytest.approx(0.9, abs=0.05)


def test_one_board_alone_says_nothing_of_another() -> None:
    with pytest.raises(DatasetError, match="two boards or more"):
        BoardPower([table(BOARDS[0], 1), table(BOARDS[0], 2)])


def test_an_idle_power_is_estimated_only_where_none_is_known() -> None:
    boards = BoardPower([table(gpu, seed) for seed, gpu in enumerate(BOARDS)])
    assert boards.with_idle(BOARDS[0]) == BOARDS[0]
    unknown = known_gpus()["h100_sxm"]
    shares = sorted(float(gpu.idle_power_w or 0) / float(gpu.power_limit_w or 1) for gpu in BOARDS)
    assert boards.with_idle(unknown).idle_power_w == pytest.approx(700 * shares[1], abs=0.1)
    no_limit = replace(unknown, power_limit_w=None)
    assert boards.with_idle(no_limit) == no_limit


def test_what_has_no_power_is_told_from_boards_and_says_so() -> None:
    m, n, k = (list(axis) for axis in zip(*LARGE_GRID, strict=True))
    runtime_s = [gemm_ms(*size) / 1e3 for size in LARGE_GRID]
    dataset = dataset_of(len(LARGE_GRID), m=m, n=n, k=k, runtime_s=runtime_s)
    boards = BoardPower([table(gpu, seed) for seed, gpu in enumerate(BOARDS)])
    model = gp.Model(train([dataset], [], replace(QUICK_TRAINING, name="boards"), boards=boards))
    prediction = model.predict(gp.Gemm(8192, 8192, 8192, "bf16"))
    assert prediction.power_w is not None
    assert GPU.idle_power_w < prediction.power_w <= GPU.power_limit_w  # type: ignore[operator]
    assert any("was not measured on this board" in note for note in prediction.notes)
    assert prediction.in_domain
