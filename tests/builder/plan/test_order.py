"""The order of points: what any prefix of it holds, and which kernels meet head-to-head."""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builder.kernels.catalogue import catalogue
from builder.plan import Sweep
from builder.plan.candidate import Candidate
from builder.plan.order import Ordered, WeightedRoundRobin, in_order
from builder.plan.shapes import LAYERS
from builder.plan.sweep import Group, Range, Shapes, Size
from gpperf_lite import Gemm

KERNELS = (
    "library",
    "tiled_sgemm_16",
    "tiled_hgemm_32",
    "cutlass_simt_sgemm_128x128_8x2_tn_align1",
    "cutlass_simt_igemm_s8_64x64_32x2_nt_align4",
    "cutlass_tensorop_s1688tf32gemm_128x128_16x4_tt_align4",
    "cutlass_tensorop_bf16_s16816gemm_bf16_128x128_32x4_nn_align8",
    "cutlass_tensorop_bf16_s16816gemm_bf16_128x128_32x4_tn_align8_splitk4",
    "cutlass_tensorop_i8816gemm_s8_128x128_64x2_tn_align16",
)
SEEDS = st.integers(0, 2**31 - 1)
SHARES = st.sampled_from([0.0, 0.3, 1.0])


def candidate(name: str, group: Group) -> Candidate:
    build = catalogue()[name]
    return Candidate(build, build.kernel.dtype or "f16", group)


def never(candidate: Candidate, gemm: Gemm) -> str | None:
    return None


def order(sweep: Sweep, names: Sequence[Sequence[str]]) -> Ordered:
    """Return the order of a sweep whose groups hold the kernels of these names."""
    candidates = [
        [candidate(name, group) for name in chosen]
        for group, chosen in zip(sweep.groups, names, strict=True)
    ]
    return in_order(sweep, candidates, never)


def drawn(low: float, high: float, **options: object) -> Shapes:
    return Shapes((Range(low, high),) * 3, (), **options)  # type: ignore[arg-type]


@st.composite
def rosters(draw: st.DrawFn) -> list[list[str]]:
    """Up to four groups of kernels, each kernel in one of them."""
    names = draw(st.lists(st.sampled_from(KERNELS), min_size=1, max_size=8, unique=True))
    cuts = draw(st.lists(st.integers(1, len(names)), max_size=3))
    edges = sorted({0, *cuts, len(names)})
    return [names[start:end] for start, end in pairwise(edges)]


@st.composite
def sweeps(draw: st.DrawFn, n_points: int = 300) -> tuple[Sweep, list[list[str]]]:
    """A sweep of drawn shapes, batches and scalars, and the kernels of its groups."""
    names = draw(rosters())
    low = draw(st.floats(0.0, 5.0))
    shapes = drawn(
        low,
        draw(st.floats(low + 7.0, 16.0)),
        batch=draw(st.sampled_from([(1,), (1, 7)])),
        scalars=draw(st.sampled_from([((1.0, 0.0),), ((1.0, 0.0), (2.0, 1.0))])),
    )
    multiples = Size(draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 16])), 1)
    groups = tuple(
        Group(
            tuple(one),
            shapes,
            draw(st.integers(1, 9)),
            multiples=multiples,
            head_to_head=draw(SHARES),
            head_to_head_kernels=draw(st.integers(2, 4)),
        )
        for one in names
    )
    return Sweep("drawn", groups, draw(SEEDS), n_points), names


@given(
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=12),
    turns=st.integers(1, 400),
)
def test_after_any_number_of_turns_each_has_had_its_share_within_one(
    weights: list[int], turns: int
) -> None:
    round_robin, taken = WeightedRoundRobin(weights), Counter[int]()
    for turn in range(1, turns + 1):
        taken[round_robin.next()] += 1
        for number, weight in enumerate(weights):
            assert abs(taken[number] - turn * weight / sum(weights)) < 1.0


def test_turns_stay_within_one_where_the_largest_balance_would_not() -> None:
    weights = [2, 2, 568, 640, 1, 155, 2, 33]
    round_robin, taken = WeightedRoundRobin(weights), Counter[int]()
    for turn in range(1, sum(weights) + 1):
        taken[round_robin.next()] += 1
        shares = [turn * weight / sum(weights) for weight in weights]
        assert max(abs(taken[i] - share) for i, share in enumerate(shares)) < 1.0
    assert [taken[i] for i in range(len(weights))] == weights


def test_one_who_is_left_out_has_no_turn_any_more() -> None:
    round_robin = WeightedRoundRobin([3, 1, 2])
    round_robin.drop(0)
    assert Counter(round_robin.next() for _ in range(9)) == {1: 3, 2: 6}
    round_robin.drop(1)
    round_robin.drop(2)
    assert not round_robin


@settings(max_examples=40)
@given(drawn_sweep=sweeps())
def test_every_point_can_be_run_and_is_within_the_ranges_of_its_group(
    drawn_sweep: tuple[Sweep, list[list[str]]],
) -> None:
    sweep, names = drawn_sweep
    ordered = order(sweep, names)
    assert ordered.points
    for point, its_candidate in zip(ordered.points, ordered.candidates, strict=True):
        assert point.kernel == its_candidate.kernel.name
        assert its_candidate.build.obstacle(point.gemm) is None
        assert point.gemm.dtype == its_candidate.dtype
        group = its_candidate.group
        for name, multiple, (low, high) in zip(
            "mnk", group.multiples, group.shapes.ranges or (), strict=True
        ):
            size = getattr(point.gemm, name)
            assert size % multiple == 0
            assert 2.0**low <= size <= 2.0**high


@settings(max_examples=40)
@given(drawn_sweep=sweeps())
def test_no_point_comes_twice(drawn_sweep: tuple[Sweep, list[list[str]]]) -> None:
    points = order(*drawn_sweep).points
    assert len(set(points)) == len(points)


@settings(max_examples=20)
@given(drawn_sweep=sweeps(100))
def test_the_same_seed_gives_the_same_order(drawn_sweep: tuple[Sweep, list[list[str]]]) -> None:
    sweep, names = drawn_sweep
    assert order(sweep, names).points == order(sweep, names).points


@settings(max_examples=20)
@given(seed=SEEDS, other=SEEDS)
def test_another_seed_gives_another_order(seed: int, other: int) -> None:
    first, second = (
        order(Sweep("s", (Group(("x",), drawn(0, 12)),), one, 50), [["tiled_sgemm_16"]]).points
        for one in (seed, other)
    )
    assert (first == second) == (seed == other)


@settings(max_examples=20)
@given(drawn_sweep=sweeps(60), more=st.integers(1, 500))
def test_a_sweep_of_more_points_begins_as_that_of_fewer(
    drawn_sweep: tuple[Sweep, list[list[str]]], more: int
) -> None:
    sweep, names = drawn_sweep
    fewer = order(sweep, names).points
    # A few tiny shapes come to their end, and sooner where fewer points were asked for.
    assume(len(fewer) == 60)
    longer = Sweep("s", sweep.groups, sweep.seed, 60 + more)
    assert order(longer, names).points[:60] == fewer


@settings(max_examples=30)
@given(
    seed=SEEDS,
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    weights=st.lists(st.integers(1, 9), min_size=5, max_size=5),
    shares=st.lists(SHARES, min_size=5, max_size=5),
)
def test_each_kernel_has_its_share_of_any_prefix_within_one(
    seed: int, sizes: list[int], weights: list[int], shares: list[float]
) -> None:
    """With head-to-heads too: a kernel takes part in its own turn of the round."""
    names = iter(name for name in catalogue() if name.startswith("tiled_"))
    groups = tuple(
        Group(("x",), drawn(0, 16), weight, head_to_head=share, head_to_head_kernels=3)
        for weight, share, _ in zip(weights, shares, sizes, strict=False)
    )
    kernels = [[next(names) for _ in range(size)] for size in sizes]
    points = order(Sweep("s", groups, seed, 200), kernels).points
    total = sum(weights[: len(sizes)])
    share = {
        name: group.weight / total / len(group_names)
        for group, group_names in zip(groups, kernels, strict=True)
        for name in group_names
    }
    counts: Counter[str] = Counter()
    for turn, point in enumerate(points, 1):
        counts[point.kernel] += 1
        assert all(abs(counts[name] - turn * part) < 1.0 for name, part in share.items())
    assert len(points) == 200


BOUNDS = {64: (0.0, 2.6), 128: (0.25, 2.2), 256: (0.45, 1.9), 512: (0.6, 1.7), 1024: (0.65, 1.6)}
"""Least and most of its even share that an eighth of the cube of log2 m, n and k gets, of so many
first points; real layers make some more frequent than others, however many points there are."""


@settings(max_examples=25)
@given(
    seed=SEEDS,
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    weights=st.lists(st.integers(1, 9), min_size=5, max_size=5),
)
def test_any_prefix_covers_all_sizes(seed: int, sizes: list[int], weights: list[int]) -> None:
    """Of 1024 points of 1 to 2**16 along m, n and k, each box of 4 octaves a side has two."""
    names = iter(name for name in catalogue() if name.startswith("tiled_"))
    groups = tuple(Group(("x",), drawn(0, 16), weight) for weight in weights[: len(sizes)])
    kernels = [[next(names) for _ in range(size)] for size in sizes]
    points = order(Sweep("s", groups, seed, 1024), kernels).points
    log2 = np.log2([[point.gemm.m, point.gemm.n, point.gemm.k] for point in points])
    for n_points, (least, most) in BOUNDS.items():
        counts = counts_of_boxes(log2[:n_points], 8)
        assert least <= counts.min() / (n_points / 8) <= counts.max() / (n_points / 8) <= most
    assert counts_of_boxes(log2, 4).min() >= 2


def counts_of_boxes(log2: np.ndarray, octaves: int) -> np.ndarray:
    """Return how many points lie in each box of so many octaves a side, of 16."""
    n_boxes = 16 // octaves
    counts = np.zeros((n_boxes,) * 3, int)
    np.add.at(counts, tuple(np.minimum(log2 // octaves, n_boxes - 1).astype(int).T), 1)
    return counts


def test_one_kernel_alone_is_spread_as_evenly_as_a_sobol_sequence() -> None:
    """Each of 30 kernels, of its first 16 shapes, has some above and below the middle of each."""
    names = [name for name in catalogue() if name.startswith("tiled_sgemm_")][:30]
    shapes = drawn(0, 16)
    points = order(Sweep("s", (Group(("x",), shapes),), 3, 30 * 16), [names]).points
    for name in names:
        log2 = np.log2([[p.gemm.m, p.gemm.n, p.gemm.k] for p in points if p.kernel == name])
        for axis in log2.T:
            assert 5 <= np.sum(axis >= 8.0) <= 11


def test_shapes_are_round_as_often_as_stated() -> None:
    """Half multiples of 64, a quarter of 8, an eighth layers, an eighth beside edges of tiles."""
    sweep = Sweep("s", (Group(("x",), drawn(9, 16)),), 1, 4096)
    gemms = [point.gemm for point in order(sweep, [["tiled_sgemm_32"]]).points]
    layers = {(int(n), int(k)) for n, k in LAYERS}
    edges = sum(all(abs((size + 1) % 32 - 1) == 1 for size in (g.m, g.n, g.k)) for g in gemms)
    of_64 = sum(all(size % 64 == 0 for size in (g.m, g.n, g.k)) for g in gemms)
    of_8 = sum(all(size % 8 == 0 for size in (g.m, g.n, g.k)) for g in gemms)
    real = sum((g.n, g.k) in layers for g in gemms)
    assert edges / 4096 == pytest.approx(1 / 8, abs=0.01)
    assert of_64 / 4096 == pytest.approx(1 / 2, abs=0.02)
    assert of_8 / 4096 == pytest.approx(3 / 4 + 1 / 8 / 8, abs=0.02)
    assert real / 4096 == pytest.approx(1 / 8, abs=0.02)


def head_to_head(seed: int, *groups: tuple[str, float], most: int = 4) -> Ordered:
    """Return 400 points of groups, each of the kernels of a pattern and with its share.

    Shapes are so large that hardly any is drawn for two kernels by chance.
    """
    names = [fnmatch.filter(catalogue(), pattern) for pattern, _ in groups]
    made = tuple(
        Group(("x",), drawn(10, 16), len(kernels), head_to_head=share, head_to_head_kernels=most)
        for kernels, (_, share) in zip(names, groups, strict=True)
    )
    return order(Sweep("s", made, seed, 400), names)


def places(ordered: Ordered) -> dict[Gemm, list[int]]:
    """Return where in the order each GEMM is, of those that several kernels run."""
    found: defaultdict[Gemm, list[int]] = defaultdict(list)
    for place, point in enumerate(ordered.points):
        found[point.gemm].append(place)
    return {gemm: where for gemm, where in found.items() if len(where) > 1}


ALIGNED = "cutlass_tensorop_f16_s16816gemm_f16_128x128_*_tn_align?"


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("share", "most"), [(0.2, 6), (1 / 3, 3), (0.6, 2), (0.75, 4)])
def test_head_to_heads_have_their_share_of_any_prefix_and_never_more(
    seed: int, share: float, most: int
) -> None:
    """Within the points of one head-to-head, of 2 to 6 out of 11 kernels, that begins or is due."""
    ordered = head_to_head(seed, ("tiled_sgemm_1?", 0.0), ("tiled_hgemm_1?", share), most=most)
    met = {place for where in places(ordered).values() for place in where}
    n_points = n_met = 0
    for place, point in enumerate(ordered.points):
        if point.kernel.startswith("tiled_hgemm"):
            n_points, n_met = n_points + 1, n_met + (place in met)
            # At the end of a round too few are left for another, so some points more may be due.
            assert -3 * most <= n_met - share * n_points <= most
    assert not any(ordered.points[place].kernel.startswith("tiled_sgemm") for place in met)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_head_to_head_is_of_one_dtype_and_layout_and_its_points_stand_together(seed: int) -> None:
    """Those of one group in a row of its turns: here, of half of all points."""
    ordered = head_to_head(seed, (ALIGNED, 0.5), ("tiled_hgemm_1?", 0.0))
    met = places(ordered)
    assert len(met) >= 30
    for where in met.values():
        kernels = [ordered.points[place].kernel for place in where]
        assert len(set(kernels)) == len(kernels) <= 4
        assert {ordered.candidates[place].dtype for place in where} == {"f16"}
        assert all(name.startswith("cutlass") for name in kernels)
        n_between = sum(
            ordered.points[place].kernel.startswith("cutlass")
            for place in range(where[0], where[-1])
        )
        assert n_between == len(where) - 1


def test_other_kernels_meet_in_each_head_to_head() -> None:
    ordered = head_to_head(1, ("tiled_hgemm_1?", 0.5))
    kernels = [
        frozenset(ordered.points[place].kernel for place in where)
        for where in places(ordered).values()
    ]
    pairs = {pair for one in kernels for pair in combinations(sorted(one), 2)}
    assert len(pairs) == 10 * 9 // 2


def test_kernels_of_all_alignments_meet_on_what_suits_the_strictest() -> None:
    ordered = head_to_head(1, (ALIGNED, 0.5), most=8)
    met = places(ordered)
    alignments = [
        {ordered.candidates[place].kernel.alignment for place in where} for where in met.values()
    ]
    assert sum(len(one) > 1 for one in alignments) > len(met) / 2


def test_a_kernel_alone_in_its_group_joins_the_head_to_heads_of_others_soon() -> None:
    ordered = head_to_head(1, (ALIGNED, 0.4), ("library", 1.0), ("tiled_sgemm_16", 1.0))
    met = places(ordered)
    joined = {
        place: where
        for where in met.values()
        for place in where
        if ordered.points[place].kernel == "library"
    }
    assert len(joined) >= 10
    assert all(where[-1] - where[0] <= 200 for where in joined.values())
    assert not any(
        ordered.points[place].kernel == "tiled_sgemm_16"
        for where in met.values()
        for place in where
    )


@settings(max_examples=25)
@given(drawn_sweep=sweeps())
def test_a_head_to_head_keeps_to_what_each_group_asks_of_its_shapes(
    drawn_sweep: tuple[Sweep, list[list[str]]],
) -> None:
    sweep, names = drawn_sweep
    first = replace(sweep.groups[0].shapes, batch=(1,), scalars=((1.0, 0.0),))
    groups = (replace(sweep.groups[0], shapes=first), *sweep.groups[1:])
    ordered = order(replace(sweep, groups=groups), names)
    for point in ordered.points:
        if point.kernel in names[0]:
            assert (point.gemm.batch, point.gemm.alpha, point.gemm.beta) == (1, 1.0, 0.0)


def test_a_kernel_with_an_alignment_gets_rounded_shapes_and_not_fewer() -> None:
    names = ["cutlass_tensorop_f16_s16816gemm_f16_128x128_32x4_tn_align8", "tiled_hgemm_16"]
    groups = tuple(Group((name,), drawn(0, 12)) for name in names)
    ordered = order(Sweep("s", groups, 5, 400), [[name] for name in names])
    counts = Counter(point.kernel for point in ordered.points)
    assert counts == dict.fromkeys(names, 200)
    assert set(ordered.skipped) <= {"it was drawn before"}


def test_a_kernel_that_no_shape_in_range_suits_gets_none_and_the_others_go_on() -> None:
    names = ["cutlass_tensorop_f16_s16816gemm_f16_128x128_32x4_tn_align8", "tiled_hgemm_16"]
    groups = tuple(Group((name,), drawn(0, 2.5), 1) for name in names)
    ordered = order(Sweep("s", groups, 5, 60), [[name] for name in names])
    assert {point.kernel for point in ordered.points} == {"tiled_hgemm_16"}
    assert len(ordered.points) == 60
    assert any("is not within 1 and 5" in reason for reason in ordered.skipped)


def test_a_range_that_is_used_up_ends_the_sweep() -> None:
    sweep = Sweep("s", (Group(("x",), drawn(0, 1)),), 0, 1000)
    points = order(sweep, [["cutlass_simt_sgemm_128x128_8x2_nn_align1"]]).points
    sizes = {(point.gemm.m, point.gemm.n, point.gemm.k) for point in points}
    assert len(points) == len(sizes) == 8


def test_a_list_is_measured_whole_and_once() -> None:
    sizes = (Size(1, 2, 3), Size(8, 8, 8), Size(16, 8, 8))
    scalars = ((1.0, 0.0), (2.0, 1.0))
    shapes = Shapes(None, sizes, (1, 2), scalars)
    groups = (Group(("x",), shapes, layouts=("nn", "tt")), Group(("y",), shapes, 5))
    names = [
        ["tiled_sgemm_1", "tiled_sgemm_2"],
        ["cutlass_simt_sgemm_128x128_8x2_tn_align1_splitk2"],
    ]
    ordered = order(Sweep("s", groups, 1), names)
    counts = Counter(point.kernel for point in ordered.points)
    assert counts == {names[0][0]: 24, names[0][1]: 24, names[1][0]: 6}
    assert len(set(ordered.points)) == len(ordered.points)
    assert len(ordered.refused) == 6
    assert all("not both" in reason and "x2 f32" in key for key, reason in ordered.refused)


def test_a_list_is_cut_at_the_number_of_points() -> None:
    shapes = Shapes(None, tuple(Size(1, 1, k) for k in range(1, 50)))
    ordered = order(Sweep("s", (Group(("x",), shapes),), 1, 20), [["tiled_sgemm_1"]])
    assert len(ordered.points) == 20
    assert [point.gemm.k for point in ordered.points] != list(range(1, 21))


def test_what_is_refused_is_passed_over_and_counted() -> None:
    def obstacle(candidate: Candidate, gemm: Gemm) -> str | None:
        return "too many rows" if gemm.m > 64 else None

    group = Group(("x",), drawn(0, 12))
    candidates = [[candidate("tiled_sgemm_16", group)]]
    ordered = in_order(Sweep("s", (group,), 1, 100), candidates, obstacle)
    assert len(ordered.points) == 100
    assert max(point.gemm.m for point in ordered.points) <= 64
    assert ordered.skipped["too many rows"] > 30
