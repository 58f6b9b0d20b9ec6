"""CUTLASS's Operator API: its own operators, ranked for a GPU that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stand_ins.built_in import built_in
from stand_ins.pages import blocks

import gpperf_lite as gp
from gpperf_lite._kernel import Tile

REASON = "is not installed: pip install torch nvidia-cutlass-operators"
torch = pytest.importorskip("torch", reason=f"torch {REASON}")
ops = pytest.importorskip("cutlass.operators", reason=f"cutlass.operators {REASON}")

from gpperf_lite.integrations import cutlass as door  # noqa: E402
from gpperf_lite.integrations.cutlass import GpperfHeuristic  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "cutlass.md"
LARGE, FLAT = (4096, 4096, 4096), (64, 4096, 4096)


def arguments(m: int, n: int, k: int, dtype: str = "bfloat16", *batch: int) -> Any:
    """Return activations times a weight stored n x k, without memory."""
    like = {"dtype": getattr(torch, dtype), "device": "meta"}
    a, b = torch.empty(*batch, m, k, **like), torch.empty(*batch, n, k, **like).mT
    return ops.GemmArguments(a, b, torch.empty(*batch, m, n, **like), torch.float32)


def candidates(args: Any, target: str = "90a") -> list[Any]:
    return list(ops.get_operators(args, target_sm=target))


def tile(operator: Any) -> tuple[int, ...]:
    return tuple(operator.metadata.design.tile_shape)


def predicted_s(operator: Any, gemm: gp.Gemm, gpu: str = "h200_sxm") -> float:
    """Return the time of an operator for Hopper by what its tile and its cluster tell."""
    design = operator.metadata.design
    kernel = gp.Kernel(
        "cutlass3x_sm90", "cutlass3", gemm.dtype,
        tile=Tile(*design.tile_shape), cluster=Tile(*design.cluster_shape),
    )  # fmt: skip
    return built_in(gpu).predict(gemm, kernel).runtime_s


def is_of_hopper(operator: Any) -> bool:
    return bool(operator.metadata.operator_class.designed_for_min_cc == 90)


@pytest.mark.parametrize("sizes", [LARGE, FLAT, (512, 512, 512), (2048, 6144, 4096)])
def test_operators_come_by_their_predicted_runtime(sizes: tuple[int, int, int]) -> None:
    args = arguments(*sizes)
    given = candidates(args)
    ranked = GpperfHeuristic("h200").rank(args, given, target_sm="90a")
    own = [one for one in ranked if is_of_hopper(one)]
    times = [predicted_s(one, gp.Gemm(*sizes, "bf16")) for one in own]
    assert len(own) == 24
    assert times == sorted(times)
    assert times[-1] > 1.3 * times[0]
    # The same objects, each once.
    assert sorted(map(id, ranked)) == sorted(map(id, given))


def test_a_large_gemm_wants_large_tiles_and_a_flat_one_enough_tiles_for_all_sms() -> None:
    """In discovery order the smallest tile is always first."""
    first = {}
    for sizes in (LARGE, FLAT):
        args = arguments(*sizes)
        assert tile(candidates(args)[0]) == (64, 64, 64)
        (best, *_) = ops.get_operators(args, target_sm="90a", heuristic=GpperfHeuristic("h200"))
        first[sizes] = tile(best)
    # Of all tiles, it loads the fewest elements of A and B for each multiply-add ...
    assert first[LARGE] == (128, 256, 64)
    # ... but of it there are 16 for 64 x 4096, which leave 116 of 132 SMs idle; of this one 64.
    assert first[FLAT] == (64, 64, 64)


def test_operators_that_are_equal_to_the_model_stay_in_the_order_given() -> None:
    args = arguments(*LARGE)
    given = candidates(args)
    for operators in (given, given[::-1]):
        ranked = GpperfHeuristic("h200").rank(args, operators)
        clusters = [one for one in ranked if tile(one) == (128, 256, 64)]
        assert len(clusters) == 4
        assert clusters == [one for one in operators if one in clusters]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_the_limit_is_honoured(limit: int) -> None:
    args, heuristic = arguments(*LARGE), GpperfHeuristic("h200")
    given = candidates(args)
    ranked = heuristic.rank(args, given)
    assert heuristic.rank(args, given, limit=limit) == ranked[:limit]
    unknown = arguments(*LARGE, dtype="float16")
    assert heuristic.rank(unknown, given, limit=limit) == given[:limit]


def test_operators_of_an_older_generation_come_last() -> None:
    args = arguments(*LARGE)
    given = sorted(candidates(args), key=is_of_hopper)
    ranked = GpperfHeuristic("h200").rank(args, given)
    assert [is_of_hopper(one) for one in ranked] == [True] * 24 + [False] * 4


def test_it_is_there_by_its_name_and_takes_the_gpu_of_the_target_where_none_is_given() -> None:
    heuristic = ops.get_heuristic("gpperf")
    assert heuristic is GpperfHeuristic
    args = arguments(16, 8192, 8192)
    told = [
        [one.metadata.operator_name for one in ops.get_operators(
            args, target_sm="100a", heuristic=one, limit=9)]
        for one in (heuristic(), heuristic("b200"), heuristic(built_in("b200_sxm")))
    ]  # fmt: skip
    assert told[0] == told[1] == told[2]
    with pytest.raises(gp.InputError, match="gpu must be given"):
        ops.get_operators(args, heuristic=heuristic())


def test_tiles_are_those_of_one_block_along_m_and_n_of_the_problem() -> None:
    """Two blocks that multiply together share a tile; TGV's is of the transposed product."""
    by_tile = {}
    for number, one in enumerate(candidates(arguments(16, 8192, 8192), "100a")):
        kernel = door._kernel_of(one, "bf16", number)
        by_tile[type(one).__name__, tile(one), getattr(one.metadata.design, "use_2cta_mma", 0)] = (
            kernel.tile if kernel else None
        )
    assert by_tile["PersistentDenseGemmOperator", (256, 128, 64), True] == (128, 128, 64)
    assert by_tile["PersistentDenseGemmOperator", (128, 128, 64), False] == (128, 128, 64)
    assert by_tile["TgvGemmOperator", (64, 16, 128), False] == (16, 64, 128)
    assert None not in by_tile.values()


def scaled(m: int, n: int, k: int) -> Any:
    """Return a product whose operands have a scale for each 32 elements."""

    def operand(rows: int, *, is_b: bool) -> Any:
        values = torch.empty(rows, k, dtype=torch.float8_e4m3fn)
        scales = torch.empty(rows, k // 32, dtype=torch.float8_e8m0fnu)
        mode, swizzle = ops.ScaleMode.Blockwise1x32, ops.ScaleSwizzleMode.Swizzle32x4x4
        return ops.ScaledOperand(values.mT if is_b else values, scales, mode, swizzle)

    out = torch.empty(m, n, dtype=torch.bfloat16)
    return ops.GemmArguments(operand(m, is_b=False), operand(n, is_b=True), out, torch.float32)


def laid_out(*, is_b_row_major: bool, is_out_row_major: bool) -> Any:
    a, b, out = (torch.empty(512, 512, dtype=torch.bfloat16) for _ in range(3))
    b, out = b if is_b_row_major else b.T, out if is_out_row_major else out.T
    return ops.GemmArguments(a, b, out, torch.float32)


def strided() -> Any:
    """Return a product of every second column of A, which a library copies first."""
    a, b, out = (torch.empty(512, size, dtype=torch.bfloat16) for size in (1024, 512, 512))
    return ops.GemmArguments(a[:, ::2], b.T, out, torch.float32)


def of_two_dtypes() -> Any:
    a, b = (torch.empty(512, 512, dtype=one) for one in (torch.bfloat16, torch.float16))
    return ops.GemmArguments(a, b.T, torch.empty_like(a), torch.float32)


@pytest.mark.parametrize(
    ("gpu", "args"),
    [
        ("h200", None),
        ("h200", arguments(10**6, 4096, 4096)),  # larger than anything measured
        ("h200", arguments(*LARGE, "float16")),  # a dtype that another stands in for
        ("h200", arguments(*LARGE, "float64")),  # one that it does not know
        ("h200", arguments(*LARGE, "int16")),  # one that nobody knows
        ("h200", arguments(*LARGE, "bfloat16", 64)),  # batches were not measured
        ("h200", laid_out(is_b_row_major=True, is_out_row_major=True)),  # layout tt
        ("h200", laid_out(is_b_row_major=False, is_out_row_major=False)),
        ("h200", scaled(256, 256, 256)),
        ("h200", strided()),
        ("h200", of_two_dtypes()),
        ("a10", arguments(*LARGE)),  # a GPU that was not measured
    ],
)
def test_out_of_the_domain_operators_stay_in_the_order_given(gpu: str, args: Any) -> None:
    given = candidates(arguments(*LARGE))[::-1]
    assert GpperfHeuristic(gpu).rank(args, given, target_sm="90a") == given
    assert GpperfHeuristic(gpu).rank(args, given, limit=2) == given[:2]


def test_a_target_that_has_no_model_changes_nothing() -> None:
    args = arguments(*LARGE)
    given = candidates(args)
    assert GpperfHeuristic().rank(args, given, target_sm="120a") == given


def test_what_tells_no_tile_comes_last() -> None:
    class Odd:
        metadata = type("", (), {"design": None, "operator_class": ops.Operator})

    args, odd = arguments(*LARGE), Odd()
    given = candidates(args)
    ranked = GpperfHeuristic("h200").rank(args, [odd, *given])
    assert ranked[-1] is odd
    assert ranked[:-1] == GpperfHeuristic("h200").rank(args, given)


def test_f16_is_ranked_as_bf16_where_the_user_says_so() -> None:
    args = arguments(*LARGE, "float16")
    ranked = GpperfHeuristic("h200", dtype="bf16").rank(args, candidates(args))
    assert tile(ranked[0]) == (128, 256, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpu": 3}, "gpu must be a name, a path, a Gpu or a Model"),
        ({"gpu": "no such gpu"}, "no such gpu"),
        ({"gpu": "h200", "dtype": "no"}, "dtype must be one of"),
    ],
)
def test_arguments_that_are_not_valid_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gp.GpperfError, match=message):
        GpperfHeuristic(**options)


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.Heuristic, "rank", lambda self, args, operators, device: operators)
    with pytest.raises(gp.InputError, match=r"as 0\.3 has it"):
        door._check_door()


def test_the_block_of_the_page_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(blocks(PAGE, "python")[0], {})
    assert capsys.readouterr().out == blocks(PAGE, "text")[0]
