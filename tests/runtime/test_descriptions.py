"""Kernels and GPUs survive as JSON, and what describes none is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
from stand_ins.artefacts import GPU

import gpperf_lite as gp
from gpperf_lite import _descriptions
from gpperf_lite._kernel import LIBRARY, Kernel, Tile


def test_a_kernel_of_which_everything_is_known_survives() -> None:
    """No field of Kernel can be added that an artefact forgets."""
    kernel = Kernel(
        name="k",
        family="cutlass3",
        dtype="bf16",
        layout="nt",
        alignment=8,
        tile=Tile(128, 256, 64),
        warp_tile=Tile(64, 64, 64),
        instruction=Tile(16, 8, 16),
        stages=4,
        swizzle=2,
        split_k=3,
        cluster=Tile(2, 1, 1),
        schedule="pingpong",
        threads=384,
        registers=168,
        shared_bytes=230_000,
        spill_bytes=5,
    )
    default = Kernel("k", "cutlass3")
    for field in dataclasses.fields(Kernel):
        if field.name not in ("name", "family"):
            assert getattr(kernel, field.name) != getattr(default, field.name), field.name
    text = json.dumps(_descriptions.kernel_to_json(kernel))
    assert _descriptions.kernel_from_json(json.loads(text)) == kernel
    assert _descriptions.kernel_from_json(_descriptions.kernel_to_json(LIBRARY)) == LIBRARY


def test_a_gpu_survives_with_and_without_power() -> None:
    bare = dataclasses.replace(GPU, power_limit_w=None, idle_power_w=None)
    for gpu in (GPU, bare):
        text = json.dumps(_descriptions.gpu_to_json(gpu))
        assert _descriptions.gpu_from_json(json.loads(text)) == gpu


@pytest.mark.parametrize("values", [None, [], "x", 1, {}])
def test_what_is_no_kernel_or_gpu_is_refused(values: object) -> None:
    with pytest.raises(gp.ArtefactError, match="kernel"):
        _descriptions.kernel_from_json(values)
    with pytest.raises(gp.ArtefactError, match="gpu"):
        _descriptions.gpu_from_json(values)
