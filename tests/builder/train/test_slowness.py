"""The slowness of kernels: planted in made-up points, and found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import GPU, points_at
from test_physics_fit import machine

from builder.dataset import Points, joined
from builder.train.physics import Kernels, describe_points
from builder.train.slowness import (
    FEWEST_MAKES,
    alike,
    as_makes,
    columns_of,
    fit_slowness,
    fit_unmeasured,
    make_of,
    makes_of,
)
from gpperf_lite import Kernel
from gpperf_lite._forest import UNITS_PER_OCTAVE
from gpperf_lite._kernel import Tile
from gpperf_lite._slowness import LARGEST_SLOWNESS, OWN_FACTS

MACHINE = machine("kernel", "f32") | {"s_per_mac": 2.0 / GPU.peak_flops["f32"]}
FACTORS = (0.8, 1.0, 1.3, 2.0, 3.7, 9.0)
"""How much longer than its tile explains a made-up kernel takes: each that there is."""


def kernel(number: int, **facts: object) -> Kernel:
    """Return one of many kernels, of makes of their own."""
    tile = Tile(32 << number % 4, 64 << number % 3, 8)
    usual = {"threads": 128, "registers": 64 + number, "spill_bytes": 0}
    return Kernel(f"k{number}", "cutlass2", "f32", "nn", 1, tile, **{**usual, **facts})  # type: ignore[arg-type]


def law(one: Kernel) -> float:
    """Return a factor that follows from the facts of a kernel."""
    return 6.0 if (one.spill_bytes or 0) >= 64 else 1.5 if one.threads == 64 else 0.9


def lawful(first: int, n: int) -> dict[str, Kernel]:
    """Return kernels of every kind that the law tells apart."""
    kinds = [{"spill_bytes": 128}, {"threads": 64}, {}, {"spill_bytes": 8}]
    many = [kernel(number, **kinds[number % 4]) for number in range(first, first + n)]
    return {one.name: one for one in many}


def measured(
    kernels: Kernels, factor: Callable[[Kernel], float], n_rows: Mapping[str, int] | None = None
) -> Points:
    """Return points of large GEMMs as kernels that are slower by a factor would run them."""
    parts = []
    for number, (name, one) in enumerate(kernels.items()):
        dice = np.random.default_rng(number)
        n = (n_rows or {}).get(name, 12)
        sizes = [tuple(64 * int(side) for side in row) for row in dice.integers(20, 90, (n, 3))]
        texts = {"kernel": name, "dtype": "f32", "layout": "nn"}
        points = points_at(sizes, **{key: np.full(n, text, object) for key, text in texts.items()})  # type: ignore[arg-type]
        units = {name: round(np.log2(factor(one)) * UNITS_PER_OCTAVE)}
        base_s = describe_points(points, GPU, kernels, MACHINE, units).base_s
        parts.append(replace(points, runtime_s=base_s))
    return joined(parts)


def factors(slowness: Mapping[str, int]) -> dict[str, float]:
    return {name: 2.0 ** (units / UNITS_PER_OCTAVE) for name, units in slowness.items()}


@pytest.mark.parametrize("n_kernels", [6, 18])
def test_a_planted_slowness_is_found(n_kernels: int) -> None:
    """Within 2 %, whether there are too few makes to predict it from the others or enough."""
    kernels = {f"k{number}": kernel(number) for number in range(n_kernels)}

    def planted(one: Kernel) -> float:
        return FACTORS[int(one.name[1:]) % len(FACTORS)]

    found = fit_slowness(measured(kernels, planted), GPU, kernels, MACHINE)
    forest = fit_unmeasured(found, GPU, kernels)
    assert (forest is not None) == (n_kernels >= FEWEST_MAKES)
    assert set(found) == set(kernels)
    for name, factor in factors(found).items():
        assert factor == pytest.approx(planted(kernels[name]), rel=0.02)


def test_the_planted_law_holds_of_kernels_that_were_not_measured() -> None:
    kernels, others = lawful(0, 32), lawful(32, 8)
    found = fit_slowness(measured(kernels, law), GPU, kernels, MACHINE)
    forest = fit_unmeasured(found, GPU, kernels)
    for name, factor in factors(found).items():
        assert factor == pytest.approx(law(kernels[name]), rel=0.02)
    assert forest is not None
    totals = forest.totals_of(columns_of(list(others.values()), GPU))
    expected = [law(one) for one in others.values()]
    assert np.exp2(totals / UNITS_PER_OCTAVE) == pytest.approx(expected, rel=0.1)


def test_a_kernel_of_few_rows_is_drawn_to_what_those_like_it_do() -> None:
    """One row that lies says little against eight others; twelve are believed."""
    kernels = lawful(0, 32)

    def odd(one: Kernel) -> float:
        return 4.0 * law(one) if one.name == "k2" else law(one)

    few = fit_slowness(measured(kernels, odd, {"k2": 1}), GPU, kernels, MACHINE)
    many = fit_slowness(measured(kernels, odd), GPU, kernels, MACHINE)
    assert factors(few)["k2"] == pytest.approx(law(kernels["k2"]), rel=0.1)
    assert factors(many)["k2"] == pytest.approx(4.0 * law(kernels["k2"]), rel=0.02)


def test_kernels_of_one_make_share_their_slowness() -> None:
    """Slices and swizzle are how a program is launched; its facts are the same."""
    kernels = {f"k{number}": kernel(number) for number in range(10)}
    twins = {
        "twin": replace(kernels["k3"], name="twin", split_k=4),
        "swizzled": replace(kernels["k3"], name="swizzled", swizzle=8),
    }
    both = {**kernels, **twins}
    points = measured(both, lambda one: 3.0 if one.tile == kernels["k3"].tile else 1.0)
    found = fit_slowness(points, GPU, both, MACHINE)
    assert found["k3"] == found["twin"] == found["swizzled"]
    assert factors(found)["k3"] == pytest.approx(3.0, rel=0.02)
    numbers = makes_of(both)
    assert len(set(numbers.values())) == 10
    assert numbers["k3"] == numbers["twin"] == numbers["swizzled"]
    assert set(as_makes(points, both).kernel) == set(both) - {"twin", "swizzled"}


def test_what_is_measured_in_two_layouts_is_of_two_makes() -> None:
    one = kernel(1)
    assert make_of(one) != make_of(replace(one, layout="tn"))
    library = Kernel.from_name("library")
    assert make_of(library) is library


def test_kernels_that_nothing_tells_apart_are_named_together() -> None:
    one = kernel(1)
    kernels = {
        "a": replace(one, name="a"),
        "b": replace(one, name="b"),
        "sliced": replace(one, name="sliced", split_k=2),
        "other": kernel(2),
        "library": Kernel.from_name("library"),
        "vllm": Kernel.from_name("vllm"),
    }
    assert alike(kernels) == [["a", "b"]]


def test_a_slowness_that_no_row_tells_is_none() -> None:
    """Where the host's launch hides the main loop: not the lowest that would do as well."""
    kernels = {"k0": kernel(0), "k1": kernel(1)}
    points = measured(kernels, lambda _: 1.0)
    small = replace(points, m=points.m * 0.0 + 64.0, n=points.n * 0.0 + 64.0)
    bound = MACHINE | {"host_s": 1.0}
    hidden = replace(small, runtime_s=np.full(len(small), 1.0))
    found = fit_slowness(hidden, GPU, kernels, bound)
    assert found == {"k0": 0, "k1": 0}


def test_no_kernel_is_further_than_eight_octaves_from_its_tile() -> None:
    kernels = {"k0": kernel(0)}
    points = measured(kernels, lambda _: 1.0)
    for runtime_s in (points.runtime_s * 1e6, points.runtime_s * 1e-6):
        found = fit_slowness(replace(points, runtime_s=runtime_s), GPU, kernels, MACHINE)
        assert abs(found["k0"]) <= LARGEST_SLOWNESS


def test_the_same_points_give_the_same_slowness_and_the_columns_are_its_facts() -> None:
    kernels = lawful(0, 12)
    points = measured(kernels, law)
    one, other = (fit_slowness(points, GPU, kernels, MACHINE) for _ in range(2))
    assert one == other
    assert fit_unmeasured(one, GPU, kernels) == fit_unmeasured(other, GPU, kernels)
    columns = columns_of([kernel(0, spill_bytes=24)], GPU)
    assert columns.shape == (len(OWN_FACTS), 1)
    assert columns[OWN_FACTS.index("spill_bytes"), 0] == 24.0
    assert columns[OWN_FACTS.index("registers"), 0] == 64.0
