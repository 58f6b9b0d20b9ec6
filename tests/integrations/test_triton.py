"""Triton's doors, through its autotuner where it is installed, else through one like it."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stand_ins.built_in import built_in
from stand_ins.pages import blocks
from stand_ins.triton import IS_THERE, Config, pruned

import gpperf_lite as gp
from gpperf_lite.integrations.triton import early_config_prune, perf_model

PAGE = Path(__file__).parents[2] / "docs" / "triton.md"


class Tensor:
    """What a tensor says of itself."""

    def __init__(self, rows: int, columns: int, dtype: str, *, is_row_major: bool = True) -> None:
        self.shape, self.dtype = (rows, columns), dtype
        self._stride = (columns, 1) if is_row_major else (1, rows)

    def stride(self) -> tuple[int, int]:
        return self._stride


def call(m: int, n: int, k: int, dtype: str = "torch.bfloat16", **given: Any) -> dict[str, Any]:
    """Return the arguments of a call: activations times a weight stored n x k."""
    return {
        "a_ptr": Tensor(m, k, dtype),
        "b_ptr": Tensor(k, n, dtype, is_row_major=False),
        "c_ptr": Tensor(m, n, dtype),
        "M": m, "N": n, "K": k, **given,
    }  # fmt: skip


def config(m: int, n: int, k: int, warps: int = 4, stages: int = 3, name: str = "BLOCK_") -> Any:
    kwargs = {f"{name}M": m, f"{name}N": n, f"{name}K": k}
    return Config(kwargs, num_warps=warps, num_stages=stages)


CONFIGS = [
    config(m, n, k, warps)
    for m in (16, 64, 128)
    for n in (32, 64, 128, 256)
    for k in (32, 64)
    for warps in (4, 8)
]

MEASURED = [(2048, 8192, 1024), (1024, 1024, 1024), (4096, 4096, 4096), (16384, 16384, 1024)]


@pytest.mark.parametrize("sizes", MEASURED)
def test_of_configurations_with_known_times_the_best_survives(sizes: tuple[int, int, int]) -> None:
    """Those of CUTLASS's kernels on an RTX 2080 Ti; the doors see tiles and warps alone."""
    model, gemm = built_in("rtx2080ti"), gp.Gemm(*sizes, "f16")
    by_tile = {
        (*kernel.tile, kernel.threads // 32): kernel
        for kernel in model.kernels
        if kernel.tile and kernel.threads and "splitk" not in kernel.name and kernel.layout == "tn"
    }
    assert len(by_tile) > 50
    configs = [config(m, n, k, warps, 2) for m, n, k, warps in by_tile]
    times = {
        one: model.predict(gemm, kernel=kernel).runtime_s
        for one, kernel in zip(configs, by_tile.values(), strict=True)
    }
    best, arguments = min(configs, key=times.__getitem__), call(*sizes, "torch.float16")
    kept = pruned(configs, arguments, early_config_prune=early_config_prune(model, top=8))
    assert best in kept
    assert len(kept) == 8
    told = pruned(configs, arguments, perf_model=perf_model(model), top_k=4)
    assert best in told
    assert set(told) <= set(kept)
    # At worst by a tenth, where half of all take half as long again.
    assert times[told[0]] < 1.1 * times[best]
    assert sorted(times.values())[len(times) // 2] > 1.5 * times[best]


def test_pruning_keeps_the_order_in_which_configurations_come() -> None:
    kept = pruned(CONFIGS, call(4096, 4096, 4096), early_config_prune=early_config_prune("h200", 5))
    assert kept == [one for one in CONFIGS if one in kept]
    assert len(kept) == 5
    assert min(one.kwargs["BLOCK_M"] * one.kwargs["BLOCK_N"] for one in kept) >= 64 * 128


@pytest.mark.parametrize(
    ("gpu", "arguments"),
    [
        ("h200", call(10**6, 4096, 4096)),  # larger than anything measured
        ("h200", call(10**12, 4096, 4096)),  # larger than anything
        ("h200", call(64, 64, 64, "torch.float16")),  # a dtype that another stands in for
        ("h200", call(64, 64, 64, "torch.float64")),  # one that it does not know
        ("h200", call(64, 64, 64, "torch.complex64")),
        ("h200", call(512, 512, 512, b_ptr=Tensor(512, 512, "torch.bfloat16"))),  # layout tt
        ("h200", call(64, 512, 64, b_ptr=Tensor(64, 512, "torch.float16"))),  # of two dtypes
        ("h200", call(64, 512, 64, b_ptr=Tensor(7, 512, "torch.bfloat16"))),  # of other sizes
        ("h200", call(64, 512, 64, a_ptr=0, b_ptr=0, c_ptr=0)),  # no tensors
        ("h200", call(64, 512, 64, M=None)),
        ("a10", call(4096, 4096, 4096)),  # a GPU that was not measured
    ],
)
def test_out_of_the_domain_nothing_is_left_out(gpu: str, arguments: dict[str, Any]) -> None:
    assert pruned(CONFIGS, arguments, early_config_prune=early_config_prune(gpu, 1)) == CONFIGS
    told = pruned(CONFIGS, arguments, perf_model=perf_model(gpu), top_k=3)
    assert told == CONFIGS[:3]


def test_what_tells_no_tile_or_cannot_run_is_left() -> None:
    odd = [Config({"SPLIT": 1}), config(256, 256, 256, 4, 9), config(128, 128, 64, warps=64)]
    door = early_config_prune("h200", top=1)
    kept = pruned([*odd, *CONFIGS], call(4096, 4096, 4096), early_config_prune=door)
    assert kept[:3] == odd
    assert len(kept) == 4
    few = CONFIGS[:3]
    assert pruned(few, call(4096, 4096, 4096), early_config_prune=early_config_prune("h200")) == few


def test_a_configuration_that_no_kernel_can_have_is_left_and_the_others_are_pruned() -> None:
    absurd = config(2**30, 128, 64, stages=2**40)
    kept = pruned(
        [absurd, *CONFIGS], call(4096, 4096, 4096), early_config_prune=early_config_prune("h200", 5)
    )
    assert kept[0] is absurd
    assert len(kept) == 6
    assert perf_model("h200")(**call(4096, 4096, 4096), **absurd.all_kwargs()) == math.inf


def test_names_dtypes_and_layouts_are_told_where_they_are_others() -> None:
    """Blocks of the other usual name, a weight handed over n x k, and pointers without strides."""
    asked, door = call(4096, 2048, 4096), early_config_prune("h200", top=3)
    expected = [one.kwargs["BLOCK_M"] for one in door(CONFIGS, asked)]
    others = [
        config(*one.kwargs.values(), one.num_warps, one.num_stages, "BLOCK_SIZE_")
        for one in CONFIGS
    ]
    assert [one.kwargs["BLOCK_SIZE_M"] for one in door(others, asked)] == expected
    stored = {**asked, "b_ptr": Tensor(2048, 4096, "torch.bfloat16")}
    assert [one.kwargs["BLOCK_M"] for one in door(CONFIGS, stored)] == expected
    named = {"a": 0, "b": 0, "rows": 4096, "columns": 2048, "depth": 4096}
    told = early_config_prune(
        "h200", 3, sizes=("rows", "columns", "depth"), dtype="bf16", layout="tn"
    )
    assert [one.kwargs["BLOCK_M"] for one in told(CONFIGS, named)] == expected
    assert len(early_config_prune("h200", 3)(CONFIGS, named)) == len(CONFIGS)
    # A block size that is an argument of the call, and not of the configuration.
    shared = [Config({"BLOCK_M": m, "BLOCK_N": 128}) for m in (16, 32, 64, 128)]
    assert len(door(shared, asked, BLOCK_K=64)) == 3


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("torch.bfloat16", "bf16"), ("bf16", "bf16"),
        ("torch.float16", "f16"), ("fp16", "f16"),
        ("torch.float32", "tf32"), ("fp32", "tf32"),
        ("torch.float64", "f64"), ("fp64", "f64"),
        ("torch.int8", "s8"),
        ("torch.float8_e4m3fn", "fp8"), ("fp8e4nv", "fp8"),
        ("torch.float8_e5m2", "fp8"), ("fp8e5", "fp8"),
        ("torch.float8_e4m3fnuz", None), ("fp8e4b8", None),
        ("torch.int32", None), ("torch.bool", None), ("torch.complex64", None),
    ],
)  # fmt: skip
def test_a_tensor_s_dtype_is_known_by_torch_s_name_and_by_triton_s(
    name: str, dtype: str | None
) -> None:
    from gpperf_lite.integrations.triton import _dtype_of

    assert _dtype_of(Tensor(64, 64, name)) == dtype


def test_a_predicted_time_is_the_model_s_in_milliseconds() -> None:
    asked = call(4096, 4096, 4096)
    told = perf_model(built_in("h200_sxm"))(**asked, **config(128, 128, 64, 8).all_kwargs())
    library = 1e3 * built_in("h200_sxm").predict(gp.Gemm(4096, 4096, 4096, "bf16")).runtime_s
    assert 0.5 * library < told < 4.0 * library
    assert perf_model("h200")(**asked, num_warps=4, num_stages=3) == math.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top must be a number from 1 on"),
        ({"top": True}, "top must be a number from 1 on"),
        ({"sizes": "MNK"}, "sizes must be the names of m, n and k"),
        ({"sizes": ("M", "N")}, "sizes must be the names of m, n and k"),
        ({"dtype": "no"}, "dtype must be one of"),
        ({"layout": "xy"}, "layout must be one of"),
        ({"gpu": 3}, "gpu must be a name, a path, a Gpu or a Model"),
        ({"gpu": "no such gpu"}, "no such gpu"),
    ],
)
def test_arguments_that_are_not_valid_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gp.GpperfError, match=message):
        early_config_prune(**{"gpu": "h200", **options})


def test_importing_the_doors_loads_the_runtime_alone() -> None:
    code = "import sys, gpperf_lite.integrations.triton; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"triton", "torch", "jax"} & set(done.stdout.split()) == set()


def test_the_block_of_the_page_prints_what_the_page_says(tmp_path: Path) -> None:
    """From a file, as Triton asks; figures aside, which a better model changes."""
    if not IS_THERE:
        pytest.skip("triton is not installed: pip install triton")
    (code,), (text,) = blocks(PAGE, "python"), blocks(PAGE, "text")
    (tmp_path / "page.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.sub(r"\d+", "#", done.stdout) == re.sub(r"\d+", "#", text)
