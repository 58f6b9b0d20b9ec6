"""Files of configurations: named as the engines look for them, and never over what was tuned."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builder.__main__ import main
from builder.configurations import Layer, read_winners
from builder.errors import BuilderError
from builder.export import file_name, write_configs
from builder.export.tuned_files import SGLANG, TOKENS, VLLM
from gpperf_lite import Gpu
from gpperf_lite._gpu_facts import find_gpu

TABLE = "vllm_tuned_configs/vllm_0.33.0_triton_best_configs.parquet"
LINEAR = Layer("dense", 4096, 7168, "fp8_w8a8", 128)
EXPERTS = Layer("moe", 768, 2048, "bf16", 0, 128, 8)
VALUES = ("BLOCK_SIZE_M", "BLOCK_SIZE_N", "BLOCK_SIZE_K", "GROUP_SIZE_M", "num_warps", "num_stages")


def gpu(name: str) -> Gpu:
    """Return the facts of a GPU."""
    return find_gpu(name)[1]


BLOCKED = Layer("moe", 128, 7168, "fp8_w8a8", 128, 256, 8)


@pytest.mark.parametrize(
    ("layer", "name", "engine", "expected"),
    [
        (EXPERTS, "h200", VLLM, "E=128,N=768,device_name=NVIDIA_H200.json"),
        (EXPERTS, "h200 nvl", VLLM, "E=128,N=768,device_name=NVIDIA_H200.json"),
        (EXPERTS, "h200 nvl", SGLANG, "E=128,N=768,device_name=NVIDIA_H200_NVL.json"),
        (BLOCKED, "h100", VLLM, "E=256,N=128,device_name=NVIDIA_H100_80GB_HBM3,dtype=fp8_w8a8,"
                                "block_shape=[128,128].json"),
        (BLOCKED, "b200", SGLANG, "E=256,N=128,device_name=NVIDIA_B200,dtype=fp8_w8a8,"
                                  "block_shape=[128, 128].json"),
        (LINEAR, "b200", VLLM, "N=4096,K=7168,device_name=NVIDIA_B200,dtype=fp8_w8a8,"
                               "block_shape=[128,128].json"),
        (LINEAR, "h200 nvl", VLLM, "N=4096,K=7168,device_name=NVIDIA_H200_NVL,dtype=fp8_w8a8,"
                                   "block_shape=[128,128].json"),
        (LINEAR, "l40s", SGLANG, "N=4096,K=7168,device_name=NVIDIA_L40S,dtype=fp8_w8a8,"
                                 "block_shape=[128, 128].json"),
    ],
)  # fmt: skip
def test_a_name_is_the_one_that_the_engine_looks_for(
    layer: Layer, name: str, engine: str, expected: str
) -> None:
    assert file_name(layer, gpu(name), engine) == expected


def test_an_engine_that_looks_for_no_such_file_gets_none() -> None:
    whole_numbers = Layer("dense", 4096, 7168, "int8_w8a8", 128)
    assert "dtype=int8_w8a8" in file_name(whole_numbers, gpu("a100"), SGLANG)
    with pytest.raises(BuilderError, match="vllm loads a file for dense layers: fp8_w8a8"):
        file_name(whole_numbers, gpu("a100"), VLLM)


def test_names_and_keys_are_those_of_real_files(shared_data: Path) -> None:
    if not (shared_data / TABLE).is_file():
        pytest.skip(f"there is no {shared_data / TABLE}")
    tokens: dict[str, list[int]] = {}
    devices = set()
    for one in read_winners(shared_data / TABLE).rows:
        if one.gpu is not None and one.layer.precision != "int8_w8a8":
            name = file_name(one.layer, one.gpu, VLLM)
            # Files of "NVIDIA_H100" alone: no driver has that name.
            assert f"device_name={one.device}" in name or one.device == "NVIDIA_H100"
            devices.add(one.device)
            tokens.setdefault(name, []).append(one.m)
    assert len(devices) >= 15
    assert sum(sorted(keys) == list(TOKENS) for keys in tokens.values()) > len(tokens) / 2


def test_a_file_has_the_values_of_a_search_for_each_m(tmp_path: Path) -> None:
    (one,) = write_configs(gpu("rtx4090"), [EXPERTS], VLLM, tmp_path)
    text = one.path.read_text()
    best = json.loads(text)
    assert text == json.dumps(best, indent=4) + "\n"
    assert list(best) == [str(m) for m in TOKENS]
    for config in best.values():
        assert tuple(config) == VALUES
        assert all(type(value) is int and value > 0 for value in config.values())
    beside = json.loads(one.path.with_suffix(".ranked.json").read_text())
    assert "no search" in beside["what"]
    assert {m: first[0] for m, first in beside["first"].items()} == best
    assert {len(first) for first in beside["first"].values()} == {16}


def test_files_of_sglang_lie_where_it_looks(tmp_path: Path) -> None:
    layers = [BLOCKED, LINEAR]
    written = write_configs(gpu("b300"), layers, SGLANG, tmp_path, triton="3.6.0")
    assert [one.path.parent for one in written] == [tmp_path / "configs/triton_3_6_0", tmp_path]
    with pytest.raises(BuilderError, match="--triton must be the version that SGLang runs"):
        write_configs(gpu("b300"), layers, SGLANG, tmp_path)


def test_sglang_names_the_scales_of_channels_that_its_int8_experts_have() -> None:
    names = [
        file_name(Layer("moe", 768, 2048, "int8_w8a8", block, 128, 8), gpu("h200"), SGLANG)
        for block in (0, 128)
    ]
    assert names == [
        "E=128,N=768,device_name=NVIDIA_H200,dtype=int8_w8a8,per_channel_quant=True.json",
        "E=128,N=768,device_name=NVIDIA_H200,dtype=int8_w8a8,block_shape=[128, 128].json",
    ]


def test_what_was_tuned_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / file_name(EXPERTS, gpu("h200"), VLLM)
    path.write_text("{}")
    first, second = write_configs(gpu("h200"), [EXPERTS, BLOCKED], VLLM, tmp_path)
    assert "may be tuned" in first.why_not
    assert (path.read_text(), second.why_not) == ("{}", "")
    again = write_configs(gpu("h200"), [BLOCKED], VLLM, tmp_path)
    assert again == [second]
    tuned = second.path.read_text().replace('"num_warps": 4', '"num_warps": 8')
    second.path.write_text(tuned)
    with pytest.raises(BuilderError, match="may be tuned"):
        write_configs(gpu("h200"), [BLOCKED], VLLM, tmp_path)
    assert second.path.read_text() == tuned
    with pytest.raises(BuilderError, match="it is among those in"):
        write_configs(gpu("h200"), [EXPERTS], VLLM, tmp_path / "new", tuned=tmp_path)
    assert not (tmp_path / "new").exists()
    with pytest.raises(BuilderError, match="--tuned must be a folder"):
        write_configs(gpu("h200"), [EXPERTS], VLLM, tmp_path, tuned=tmp_path / "none")


def test_a_layer_that_is_not_ranked_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["export", "h200", "--format", VLLM, "--output", str(tmp_path)]
    sizes = "E=8,N=14336,K=4096,top_k=2"
    assert main([*asked, "--moe", sizes, "E=1024,N=768,K=2048,top_k=8"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^wrote .*/E=8,N=14336,device_name=NVIDIA_H200\.json$", out, re.MULTILINE)
    assert "left out" in out
    assert "experts must be from 1 to 512, as in searches (got 1024)" in out
    assert main([*asked, "--moe", "E=1024,N=768,K=2048,top_k=8"]) == 2
    assert "experts must be from 1 to 512" in capsys.readouterr().err


def test_sizes_of_layers_are_of_engines_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["export", "h200", "--output", str(tmp_path / "h200.h")]
    assert main([*asked, "--dense", "N=4096,K=7168"]) == 2
    why = "--dense must be with --format vllm-config or sglang-config (got c)"
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "--moe or --dense must name a layer"),
        (["--moe", "E=8,N=14336"], "--moe must have sizes such as E=128"),
        (["--dense", "N=four,K=7168"], "--dense must have sizes such as N=4096"),
        (["--dense", "N=4096,K=7168"], "precision of which searches are known"),
    ],
)
def test_arguments_that_name_no_layer_are_refused(
    arguments: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["export", "h200", "--format", VLLM, "--output", str(tmp_path)]
    assert main([*asked, *arguments]) == 2
    assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
