"""The engines' own readers find the files: functions of vLLM and SGLang, out of their wheels.

Name a folder of wheels in GPPERF_ENGINE_WHEELS; docs/vllm.md has the commands that fetch them.
"""

from __future__ import annotations
import __future__

import ast
import functools
import json
import os
import re
import sys
import types
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from builder.configurations import Layer
from builder.export import write_configs
from builder.export.tuned_files import SGLANG, TOKENS, VLLM
from gpperf_lite._gpu_facts import find_gpu

MOE = Layer("moe", 768, 2048, "bf16", 0, 128, 8)
BLOCKED = Layer("moe", 768, 2048, "fp8_w8a8", 128, 128, 8)
LINEAR = Layer("dense", 4096, 7168, "fp8_w8a8", 128)
GPUS = ("h200_nvl", "rtx4090", "gb300", "rtx_pro_6000_server")
KEYS = list(TOKENS)


def functions(engine: str, path: str, *names: str, **known: Any) -> SimpleNamespace:
    """Return functions of a file in an engine's wheel; known: the names that they look up."""
    folder = os.environ.get("GPPERF_ENGINE_WHEELS")
    if folder is None:
        pytest.skip("GPPERF_ENGINE_WHEELS names no folder of wheels (docs/vllm.md)")
    (wheel,) = Path(folder).glob(f"{engine}-*.whl")
    with zipfile.ZipFile(wheel) as file:
        tree = ast.parse(file.read(path))
    tree.body = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name in names]
    assert len(tree.body) == len(names)
    space = {"functools": functools, "json": json, "os": os, "re": re, "logger": MagicMock()}
    space |= known
    flags = __future__.annotations.compiler_flag
    exec(compile(tree, path, "exec", flags, dont_inherit=True), space)
    return SimpleNamespace(**space)


@pytest.mark.parametrize("name", GPUS)
def test_vllm_loads_the_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = find_gpu(name)[1]
    platforms = types.ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(  # type: ignore[attr-defined]
        get_device_name=lambda _: gpu.name
    )
    monkeypatch.setitem(sys.modules, "vllm", types.ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    names = functions(
        "vllm",
        "vllm/utils/platform_utils.py",
        "get_device_name_as_file_name",
        cache=functools.cache,
    )
    device = {"get_device_name_as_file_name": names.get_device_name_as_file_name}
    envs = SimpleNamespace(VLLM_BATCH_INVARIANT=False, VLLM_TUNED_CONFIG_FOLDER=str(tmp_path))
    experts = functions(
        "vllm", "vllm/model_executor/layers/fused_moe/fused_moe.py",
        "get_config_file_name", "get_moe_configs",
        envs=envs, __file__=str(tmp_path / "none" / "fused_moe.py"), **device,
    )  # fmt: skip
    linear = functions(
        "vllm", "vllm/model_executor/layers/quantization/utils/fp8_utils.py",
        "get_w8a8_block_fp8_configs", __file__=str(tmp_path / "fp8_utils.py"), **device,
    )  # fmt: skip
    assert experts.get_moe_configs(128, 768, None) is None
    write_configs(gpu, [MOE, BLOCKED], VLLM, tmp_path)
    write_configs(gpu, [LINEAR], VLLM, tmp_path / "configs")
    experts.get_moe_configs.cache_clear()
    assert list(experts.get_moe_configs(128, 768, None)) == KEYS
    assert list(experts.get_moe_configs(128, 768, "fp8_w8a8", 128, 128)) == KEYS
    assert list(linear.get_w8a8_block_fp8_configs(4096, 7168, 128, 128)) == KEYS


@pytest.mark.parametrize("name", GPUS)
def test_sglang_loads_the_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = find_gpu(name)[1]
    known = {"get_device_name": lambda: gpu.name, "torch": MagicMock(), "_is_cuda": True}
    known["torch"]._dynamo.is_compiling.return_value = False
    quiet = SimpleNamespace(deterministic=SimpleNamespace(enable_deterministic_inference=False))
    experts = functions(
        "sglang", "sglang/srt/layers/moe/moe_runner/triton_utils/fused_moe_triton_config.py",
        "get_config_file_name", "get_moe_configs", get_exec=lambda: quiet, __file__="none",
        triton=SimpleNamespace(__version__="3.6.0"), **known,
    )  # fmt: skip
    linear = functions(
        "sglang", "sglang/kernels/ops/gemm/fp8_kernel.py", "get_w8a8_block_fp8_configs",
        __file__=str(tmp_path / "fp8_kernel.py"), log_info_on_rank0=MagicMock(), **known,
    )  # fmt: skip
    write_configs(gpu, [MOE, BLOCKED], SGLANG, tmp_path, triton="3.6.0")
    write_configs(gpu, [LINEAR], SGLANG, tmp_path / "configs")
    monkeypatch.setenv("SGLANG_MOE_CONFIG_DIR", str(tmp_path))
    assert list(experts.get_moe_configs(128, 768, None)) == KEYS
    assert list(experts.get_moe_configs(128, 768, "fp8_w8a8", 128, 128)) == KEYS
    read = linear.get_w8a8_block_fp8_configs(4096, 7168, 128, 128)
    assert list(read) == KEYS
    (path,) = (tmp_path / "configs").glob("N=*[0-9]].json")
    assert read == {int(m): config for m, config in json.loads(path.read_text()).items()}
