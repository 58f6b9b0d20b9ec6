"""The device code on the host: g++ compiles the very sources that GPUs run."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.cuda_on_host import elements
from stand_ins.cuda_on_host.gemm_case import (
    DTYPES,
    Case,
    MixedOperands,
    Operands,
    check,
    check_awkward,
    every_layout,
    multiply,
)
from stand_ins.cuda_on_host.host import (
    CUDA,
    REVERSE,
    SHUFFLED,
    Clocks,
    KernelError,
    Setup,
    compile_changed,
    compile_tiled,
    guarded,
    launch,
    shape,
)
from stand_ins.cuda_on_host.support_kernels import TYPES, SupportKernels, matrix_of

from builder.device.cuda.problem import LAUNCH, PROBLEM

SIDES = range(1, 33)
ARCHITECTURES = ("sm_75", "sm_80", "sm_89", "sm_90")

Tiled = Callable[[str], ctypes.CDLL]


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Tiled:
    """Return the tiled kernel of all sides, for the type of elements that is asked for."""
    compiled: dict[str, ctypes.CDLL] = {}

    def library(element: str) -> ctypes.CDLL:
        if element not in compiled:
            compiled[element] = compile_tiled(tmp_path_factory.mktemp(element), element, SIDES)
        return compiled[element]

    return library


@pytest.fixture(scope="module")
def support(tmp_path_factory: pytest.TempPathFactory) -> SupportKernels:
    return SupportKernels(tmp_path_factory.mktemp("support"), races=True)


# The tiled kernel.


@pytest.mark.slow
@pytest.mark.parametrize("element", DTYPES)
def test_every_tile_multiplies_awkward_sizes_exactly_in_any_order_of_threads(
    tiled: Tiled, element: str
) -> None:
    for side in SIDES:
        check_awkward(tiled(element), element, side)


cases = st.builds(
    Case,
    *(st.integers(1, 70),) * 3,
    layout=st.sampled_from(["nn", "nt", "tn", "tt"]),
    batch=st.integers(1, 3),
    alpha=st.sampled_from([1.0, -2.0, 0.5, 0.0]),
    beta=st.sampled_from([0.0, 1.0, -0.5]),
    padding=st.integers(0, 5),
    at_end=st.booleans(),
    in_place=st.booleans(),
    is_whole=st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data(), st.sampled_from(sorted(DTYPES)), st.sampled_from(SIDES), cases)
def test_any_gemm_equals_float64_and_nothing_else_is_read_or_written(
    tiled: Tiled, data: st.DataObject, element: str, side: int, case: Case
) -> None:
    """Exactly, where operands are whole numbers; else within the error that rounding can make."""
    check(tiled(element), element, side, case, data.draw(st.integers(0, 2**31)))


@pytest.mark.slow
@pytest.mark.parametrize("case", [Case(70000, 1, 1), Case(1, 1, 2, batch=70000, beta=1.0)])
def test_rows_and_batches_beyond_the_limits_of_a_grid_are_multiplied(
    tiled: Tiled, case: Case
) -> None:
    operands = Operands(case, np.float32)
    multiply(tiled("float"), 1, operands, Setup())
    assert np.array_equal(operands.d.cells, operands.wanted())


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", every_layout(Case(3, 2, 5, batch=2, beta=1.0, padding=2**31 + 7, is_sparse=True))
)
def test_leading_dimensions_and_strides_may_pass_32_bits(tiled: Tiled, case: Case) -> None:
    operands = Operands(case, np.float16)
    multiply(tiled("half"), 2, operands, Setup())
    assert np.array_equal(operands.d.cells, operands.wanted())


@pytest.mark.slow
def test_one_thread_makes_the_parameters_of_each_problem_and_no_other(tiled: Tiled) -> None:
    problems, params = guarded(5, PROBLEM), guarded(5, PROBLEM)
    launches = guarded(5, LAUNCH)
    problems["m"], problems["n"] = [1, 17, 2**31 - 1, 640, 33], [2**31 - 1, 16, 1, 64, 1]
    problems["k"], problems["batch"] = 3, [1, 2, 70000, 65535, 2**31 - 1]
    count = ctypes.c_int(5)
    arguments = (ctypes.c_int(16), params, launches, problems, count)
    launch(tiled("float"), "make_params", shape(2, 32), *arguments)
    assert np.array_equal(params, problems)
    tiles = [(2**27, 1, 1), (1, 2, 2), (1, 65535, 65535), (4, 40, 65535), (1, 3, 65535)]
    assert launches["grid"].tolist() == [list(grid) for grid in tiles]
    assert (launches["block"] == [16, 16, 1]).all()
    assert (launches["cluster"] == 1).all()
    assert not launches["shared_bytes"].any()
    assert not launches["workspace_bytes"].any()


def constants(library: ctypes.CDLL, side: int) -> tuple[int, ...]:
    values = (ctypes.c_uint * 3)()
    library.constants(ctypes.c_int(side), values)
    return tuple(values)


@pytest.mark.slow
@pytest.mark.parametrize("element", DTYPES)
def test_the_exported_constants_describe_a_block_that_every_gpu_holds(
    tiled: Tiled, element: str
) -> None:
    for side in SIDES:
        params_bytes, shared_bytes, threads = constants(tiled(element), side)
        assert (params_bytes, threads) == (PROBLEM.itemsize, side * side)
        assert shared_bytes <= 48 * 1024


BARRIER = "__syncthreads();\n"
FAULTS = {
    "is wrong": {
        "no barrier before tiles are read": (f"{BARRIER}        for", "\n        for"),
        "no barrier after tiles are read": (f"{BARRIER}      }}", "\n      }"),
        "one GEMM of the batch": ("gemm * params.stride_b", "0 * params.stride_b"),
    },
    "barrier": {
        "a barrier for some threads": (f"{BARRIER}      }}", f"if (threadIdx.x) {BARRIER}      }}"),
    },
    "illegal address": {
        "tiles read beyond k": (" && share.along < left", ""),
        "rows written beyond m": ("row < m && ", ""),
        "C read where beta is 0": ("if (params.beta != 0)", ""),
    },
    "index beyond its array": {"a tile too small": ("[TILE][TILE + 1]", "[TILE][TILE - 1]")},
}


NUMBERED = [(found, changed) for found, changes in FAULTS.items() for changed in changes.items()]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The tiled kernel with each of the faults, by their numbers."""
    changes = [changed for _, (_, changed) in NUMBERED]
    return compile_changed(tmp_path_factory.mktemp("faulty"), "float", 4, changes)


@pytest.mark.parametrize(
    ("number", "found"),
    [pytest.param(number, found, id=name) for number, (found, (name, _)) in enumerate(NUMBERED)],
)
def test_a_fault_that_is_put_into_the_kernel_is_found(
    faulty: ctypes.CDLL, number: int, found: str
) -> None:
    """So that what the tests above find to be sound is sound."""
    with pytest.raises(KernelError, match=found):
        check_awkward(faulty, "float", 4, number)


@pytest.mark.parametrize("fault", [None, *FAULTS["is wrong"]][:3])
def test_threads_race_for_the_tiles_only_where_a_barrier_is_missing(
    tmp_path: Path, fault: str | None
) -> None:
    changed = ("", "") if fault is None else FAULTS["is wrong"][fault]
    library = compile_changed(tmp_path, "float", 4, [changed], races=True)
    if fault is None:
        check_awkward(library, "float", 4, 0)
        return
    with pytest.raises(KernelError, match="race"):
        check_awkward(library, "float", 4, 0)


# The kernels that measuring needs; `support` finds races in each.


def test_philox_gives_the_published_numbers() -> None:
    """Known answers of the Random123 library: counter 0, key 0."""
    known = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert elements.philox(np.zeros(1), 0).tolist() == [known]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_fills_are_box_muller_of_philox(support: SupportKernels, seed: int) -> None:
    single, double = (support.fill_normal(name, 4099, seed) for name in ("f32", "f64"))
    np.testing.assert_allclose(single, elements.normals(4099, seed), rtol=3e-6, atol=3e-6)
    wanted = elements.normals_of_f64(4099, seed)
    np.testing.assert_allclose(double, wanted, rtol=1e-13, atol=1e-13)


def test_a_fill_is_finite_where_the_random_word_is_zero(support: SupportKernels) -> None:
    """The logarithm of 0 would be taken: the third word of counter 0 is 0 for this seed."""
    seed = 627779616
    assert elements.philox(np.zeros(1), seed)[0, 2] == 0
    filled = support.fill_normal("f32", 4, seed)
    assert np.hypot(*filled[2:]) == pytest.approx(np.sqrt(66 * np.log(2)))


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_fills_are_normal_and_differ_by_seed(support: SupportKernels, name: str) -> None:
    """Moments and the correlation of two seeds lie within 5 standard errors of 0, 1, 0, 3 and 0."""
    count = 1 << 18
    first, second = (support.fill_normal(name, count, seed).astype(float) for seed in (1, 2))
    moments = [(first**power).mean() for power in (1, 2, 3, 4)] + [(first * second).mean()]
    errors = np.sqrt(np.array([1, 2, 15, 96, 1]) / count)
    assert (np.abs(moments - np.array([0, 1, 0, 3, 0])) < 5 * errors).all()
    assert np.abs(first).max() > 4


@pytest.mark.parametrize("name", [name for name in TYPES if name != "f64"])
def test_a_fill_of_any_type_is_the_same_numbers_rounded_to_it(
    support: SupportKernels, name: str
) -> None:
    scale = 32 if name in elements.INTEGER_RANGES else 1
    values = support.fill_normal("f32", 1 << 16, 7) * np.float32(scale)
    stored = support.fill_normal(name, 1 << 16, 7)
    assert np.array_equal(stored, elements.rounded(values, name))


@pytest.mark.parametrize("name", TYPES)
def test_a_fill_does_not_depend_on_the_grid(support: SupportKernels, name: str) -> None:
    one = support.fill_normal(name, 1001, 3, shape(1, 1))
    for setup in (shape(7, 32, REVERSE), shape(300, 4, SHUFFLED, 5), shape(2, 1024)):
        assert np.array_equal(one, support.fill_normal(name, 1001, 3, setup))


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, min_size=1), st.sampled_from(elements.SMALL), st.data())
def test_rounding_is_to_nearest_and_ties_go_to_even(
    support: SupportKernels, values: list[float], name: str, data: st.DataObject
) -> None:
    every = elements.values_of(elements.every_element(name), name)
    every = np.sort(every[np.isfinite(every)]).astype(np.float32)
    place = data.draw(st.integers(1, len(every) - 1))
    tie = every[place - 1] / 2 + every[place] / 2
    nearby = [tie, *np.nextafter(tie, np.float32([-1e9, 1e9])), every[place]]
    tried = np.array([*values, *nearby], np.float32)
    assert np.array_equal(support.write_elements(name, tried), elements.rounded(tried, name))


@given(st.lists(numbers, min_size=1))
def test_tf32_has_ten_bits_of_mantissa(support: SupportKernels, values: list[float]) -> None:
    tried = np.array([*values, 1 + 2**-11, 1 + 3 * 2**-11, np.finfo(np.float32).max], np.float32)
    tried = np.where(np.abs(tried) < 2**-126, np.float32(0), tried)  # no subnormal numbers here
    assert np.array_equal(support.write_elements("tf32", tried), elements.rounded(tried, "tf32"))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1), st.sampled_from(["s8", "s32"]))
def test_integers_are_rounded_to_even_and_clamped(
    support: SupportKernels, values: list[float], name: str
) -> None:
    tried = np.array([*values, 0.5, 1.5, -0.5, -2.5, 127.5, -128.0], np.float32)
    assert np.array_equal(support.write_elements(name, tried), elements.rounded(tried, name))


@pytest.mark.parametrize("name", elements.SMALL)
def test_every_element_of_a_small_type_is_read_as_what_it_is(
    support: SupportKernels, name: str
) -> None:
    """And only what is no number is counted as not finite."""
    every = elements.every_element(name)
    values = elements.values_of(every, name)
    np.testing.assert_array_equal(support.read_elements(name, every), values)
    non_finite = np.count_nonzero(~np.isfinite(values))
    assert support.count_non_finite(name, matrix_of(every)) == non_finite > 0


@pytest.mark.parametrize("result", TYPES)
@settings(max_examples=15)
@given(cases, st.sampled_from(sorted(TYPES)), st.sampled_from([1.0, 100.0]), st.integers(0, 2**31))
def test_references_equal_float64_for_operands_of_any_type(
    support: SupportKernels, result: str, case: Case, operand: str, scale: float, seed: int
) -> None:
    """Also where results are beyond the range of their type."""
    case, random = replace(case, in_place=False), np.random.default_rng(seed)
    types = {"a": operand, "b": operand, "c": result, "d": result}
    mixed = MixedOperands(case, types, scale, random)
    gemm = int(random.integers(case.batch))
    where = random.integers(0, [[case.m], [case.n]], (2, 9))
    got, wanted = support.reference_entries(mixed.problem, " ".join(types.values()), gemm, where)
    a, b, c, d = (mixed.values(name)[gemm] for name in types)
    exact = case.alpha * (a @ b) + (case.beta * c if case.beta else 0)
    error = 1e-15 * case.k * (abs(case.alpha) * np.abs(a) @ np.abs(b) + scale)
    low, high = limits(result)
    is_whole = result in elements.INTEGER_RANGES
    # A sum so near to a half that its order decides may go to either side.
    error = error + (np.abs(exact - np.floor(exact) - 0.5) <= error if is_whole else 0)
    exact = np.clip(np.rint(exact) if is_whole else exact, low, high)
    assert (np.abs(wanted - exact[tuple(where)]) <= error[tuple(where)]).all()
    np.testing.assert_array_equal(got, d[tuple(where)])


def limits(name: str) -> tuple[float, float]:
    """Return the range that results of a type are clamped to."""
    largest = {"e4m3": 448.0, "e5m2": 57344.0}.get(name, np.inf)
    return elements.INTEGER_RANGES.get(name, (-largest, largest))


@pytest.mark.parametrize("result", ["e4m3", "e5m2", "s8", "s32"])
@pytest.mark.parametrize("factor", [1e6, -1e6])
def test_references_end_where_the_type_of_the_result_ends(
    support: SupportKernels, result: str, factor: float
) -> None:
    left, right = np.array([factor], np.float32), np.array([1e6], np.float32)
    problem = matrix_of(np.zeros(1))
    problem["a"], problem["b"] = left.ctypes.data, right.ctypes.data
    problem["k"], problem["alpha"] = 1, 1
    origin = np.zeros((2, 1))
    wanted = support.reference_entries(problem, f"f32 f32 {result} {result}", 0, origin)[1]
    assert wanted == limits(result)[factor > 0]


@pytest.mark.parametrize("name", TYPES)
def test_what_fill_nan_writes_is_counted_within_d_alone(support: SupportKernels, name: str) -> None:
    """Not between the rows and the GEMMs of D; and never of s8, which has no value to spare."""
    case = Case(5, 7, 1, batch=3, padding=2)
    mixed = MixedOperands(case, dict.fromkeys("abcd", name), 1.0, np.random.default_rng(0))
    memory, cells = mixed.matrices["d"].memory, mixed.matrices["d"].cells
    support.fill_nan(name, memory)
    nothing = elements.INTEGER_RANGES.get(name, (np.nan, 0))[0]
    assert np.array_equal(elements.values_of(memory, name), [nothing] * len(memory), equal_nan=True)
    total = cells.size
    for i, place in enumerate(np.ndindex(cells.shape)):
        left = 0 if name == "s8" else total - i
        assert support.count_non_finite(name, mixed.problem) == left
        cells[place] = 1


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_infinity_is_not_finite_and_the_smallest_number_is(
    support: SupportKernels, name: str
) -> None:
    special = np.array([0, -0.0, 1.5, -3e38, np.inf, -np.inf, np.nan], elements.STORAGE[name])
    tiny = np.nextafter(special[:1], 1)
    assert support.count_non_finite(name, matrix_of(np.append(special, tiny))) == 3


def test_two_stamps_of_one_sm_give_its_clock_better_than_the_timer_ticks(
    support: SupportKernels,
) -> None:
    """A timer that ticks each 1,024 ns would by itself be off by a hundredth in 100 us."""
    first = support.stamp_clock(Clocks(5e8, 5, 1024, 1.755, 10**6, 3), 5)
    last = support.stamp_clock(Clocks(5e8 + 1e5, 5, 1024, 1.755, 10**6, 3), 3)
    assert set(first["sm"]) == set(last["sm"]) == {0, 1, 2}
    for end in last:
        begin = first[first["sm"] == end["sm"]][0]
        cycles_per_ns = (end["clock"] - begin["clock"]) / float(end["timer_ns"] - begin["timer_ns"])
        assert cycles_per_ns == pytest.approx(1.755, rel=2e-4)


def test_a_timer_that_stands_still_is_not_waited_for(support: SupportKernels) -> None:
    assert (support.stamp_clock(Clocks(0, 5, 1e12, 1, 0, 1), 2)["timer_ns"] == 0).all()


def test_the_load_ends_after_its_iterations_or_its_duration(support: SupportKernels) -> None:
    """Each thread of a block reads the timer once when it begins, the first once an iteration."""
    begin_ns = 256 * 5.0
    assert support.spin_gemm(3, 10**15, n_blocks=2) == 2 * (begin_ns + 3 * 5)
    assert support.spin_gemm(10**15, 2000, n_blocks=1) == pytest.approx(2000, abs=begin_ns)


def test_nothing_is_done_by_do_nothing(support: SupportKernels) -> None:
    support.do_nothing()


# Both sources as GPUs get them.


def compiled_by_nvrtc(source: str, architecture: str, *macros: tuple[str, str]):
    """Return what the builder's compiler makes of a source; skip where it is not installed."""
    pytest.importorskip("cuda.bindings.nvrtc")
    from builder.compile.nvrtc import CompileJob, installed_toolchain
    from builder.compile.one_job import compile_here

    program = CompileJob(str(CUDA / source), macros, architecture, installed_toolchain().include)
    compiled = compile_here(program)
    assert compiled.code, compiled.log
    assert "warning" not in compiled.log
    assert not re.search(r"[1-9]\d* bytes spill", compiled.log)
    return compiled


KERNELS = (
    b"fill_normal fill_nan count_non_finite reference_entries stamp_clock spin_gemm do_nothing"
).split()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc_compiles_the_support_kernels(architecture: str) -> None:
    cubin = compiled_by_nvrtc("support.cu", architecture).code
    assert all(b".text." + name in cubin for name in KERNELS)


@pytest.mark.slow
@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc_gives_the_tiled_kernel_the_shared_memory_that_it_says(
    tiled: Tiled, architecture: str, element: str
) -> None:
    for side in (1, 16, 32):
        macros = (("TILE", str(side)), ("ELEMENT", element))
        compiled = compiled_by_nvrtc("tiled_gemm.cu", architecture, *macros)
        used = [int(found) for found in re.findall(r"(\d+) bytes smem", compiled.log)]
        assert used == [constants(tiled(element), side)[1]]
        assert b"gemm_make_params" in compiled.code
