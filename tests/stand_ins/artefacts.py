"""Small artefacts, made in memory from seeded dice: equal arguments give equal artefacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpperf_lite import _safetensors
from gpperf_lite._artefact import Artefact
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator, Unmeasured
from gpperf_lite._features import ALL_FEATURES, FEATURES
from gpperf_lite._forest import Forest
from gpperf_lite._gpu import Gpu
from gpperf_lite._interval import Interval
from gpperf_lite._kernel import LIBRARIES, LIBRARY, Kernel
from gpperf_lite._physics import CONSTANTS
from gpperf_lite._slowness import OWN_FACTS

GPU = Gpu(
    name="NVIDIA Test 100",
    compute_capability=(9, 0),
    sm_count=100,
    clock_hz=1.5e9,
    memory_bytes=80e9,
    l2_bytes=50.0 * 2**20,
    dram_bytes_per_s=2e12,
    peak_flops={"f32": 5e13, "f16": 8e14, "bf16": 8e14, "fp8": 1.6e15},
    power_limit_w=700.0,
    idle_power_w=100.0,
)

KERNEL_NAMES = (
    "cutlass_simt_sgemm_128x128_8x2_nn_align1",
    "cutlass_simt_sgemm_64x128_8x2_nn_align1",
    "cutlass_simt_sgemm_128x64_8x2_nt_align4",
    "cutlass_simt_sgemm_64x64_8x2_tn_align1",
)

# What constants are like, by the end of their names; the first that fits counts.
_TYPICAL = (
    ("launch_s", 2.5e-6),
    ("host_s", 3e-6),
    ("per_row", 1e-10),
    ("row_step", 1e-11),
    ("split_s", 2.0e-6),
    ("per_element", 1e-12),
    ("sm_s_per_mac", 5e-12),
    ("s_per_mac", 3e-15),
    ("sm_s_per_byte", 1e-11),
    ("sm_s_per_k", 1e-9),
    ("step_s", 2e-7),
    ("s_per_k", 2e-9),
    ("per_dram_byte", 6e-13),
    ("byte", 2e-13),
    ("resident_bytes", 3e7),
    ("growth", 2.0),
    ("half_warps", 4.0),
    ("streamed", 0.2),
    ("rotation", 4.0),
    ("at_rest", 0.05),
    ("compute", 0.8),
    ("dram", 0.7),
    ("unhidden", 0.1),
    ("_s", 1e-6),
)


def small_artefact(seed: int = 1, n_trees: int = 5, depth: int = 3, power: bool = True) -> Artefact:
    """Return an artefact of the library in bf16, for which f16 stands in."""
    dice = np.random.default_rng(seed)
    targets = ("runtime", "power") if power else ("runtime",)
    estimators = tuple(
        estimator(dice, target, "bf16", (0,), "library", n_trees, depth) for target in targets
    )
    provenance = {"runtime": [{"source": "dice", "licence": "none", "taken": 3, "notes": []}]}
    return Artefact(
        "small", "1", GPU, (LIBRARY,), estimators, {"f16": "bf16"}, {"seed": seed, **provenance}
    )


def kernels_artefact(seed: int = 2, n_trees: int = 4, depth: int = 2) -> Artefact:
    """Return an artefact of a few CUTLASS 2.x kernels of f32, without power.

    The slowness of the first half of them was measured, and predicts that of others.
    """
    dice = np.random.default_rng(seed)
    kernels = tuple(Kernel.from_name(name) for name in KERNEL_NAMES)
    halves = ((0, 1), (2, 3))
    estimators = tuple(
        estimator(dice, "runtime", "f32", some, "kernel", n_trees, depth) for some in halves
    )
    first, second = estimators
    slowness = forest(dice, n_trees, depth, n_features=len(OWN_FACTS))
    unmeasured = Unmeasured(slowness, first.interval)
    estimators = (first._replace(slowness=(5000, -900), unmeasured=unmeasured), second)
    return Artefact("kernels", "2", GPU, kernels, estimators, {}, {"seed": seed})


def back_ends_artefact(seed: int = 4, n_trees: int = 3, depth: int = 2) -> Artefact:
    """Return an artefact of all back ends, in dtypes that not all of them were measured in.

    bf16 is shared by all; fp8 was measured of two, of which the library shares the first, and of a
    third in another way; fp8_static and int8_wo were measured of one each.
    """
    dice = np.random.default_rng(seed)
    library, vllm, sglang, trtllm = range(4)
    parts: tuple[tuple[str, str, tuple[int, ...], str, tuple[str, ...]], ...] = (
        ("runtime", "bf16", (library, vllm, sglang, trtllm), "gemm", ()),
        ("power", "bf16", (library, vllm, sglang, trtllm), "gemm", ("power is of dice",)),
        ("runtime", "fp8", (vllm, library), "quantise+gemm", ("scales are dynamic",)),
        ("runtime", "fp8", (sglang,), "quantise+gemm", ()),
        ("runtime", "fp8", (trtllm,), "layer", ()),
        ("runtime", "fp8_static", (sglang,), "gemm", ()),
        ("runtime", "int8_wo", (trtllm,), "layer", ("weights come from DRAM", "one sample each")),
    )
    estimators = tuple(
        estimator(dice, target, dtype, kernels, "library", n_trees, depth)._replace(
            timed=timed, notes=notes
        )
        for target, dtype, kernels, timed, notes in parts
    )
    stand_ins = {"f16": "bf16", "int4_wo": "int8_wo"}
    return Artefact("back_ends", "3", GPU, LIBRARIES, estimators, stand_ins, {"seed": seed})


def estimator(
    dice: np.random.Generator,
    target: str,
    dtype: str,
    kernels: Sequence[int],
    physics: str,
    n_trees: int = 5,
    depth: int = 3,
) -> Estimator:
    """Return an estimator with usual constants and a forest of dice."""
    n_features = len(FEATURES if physics == "library" else ALL_FEATURES)
    return Estimator(
        target,
        dtype,
        tuple(kernels),
        constants(physics if target == "runtime" else target),
        forest(dice, n_trees, depth, n_features=n_features),
        domain(),
        interval(),
        {"split": "none", "mean_ape": 0.25, "n": 3},
    )


def forest(
    dice: np.random.Generator,
    n_trees: int,
    depth: int,
    largest_leaf: int = 400,
    n_features: int = len(FEATURES),
) -> Forest:
    """Return a forest that asks for numbers of the magnitudes that features have."""
    shape = (n_trees, depth)
    return Forest(
        dice.integers(0, n_features, shape).astype(np.uint8),
        np.ldexp(dice.integers(1, 16, shape) / 16.0, dice.integers(-3, 17, shape)).astype(
            np.float32
        ),
        dice.integers(-largest_leaf, largest_leaf + 1, (n_trees, 2**depth)).astype(np.int16),
        int(dice.integers(-50, 51)),
    )


def constants(physics: str) -> dict[str, float]:
    """Return usual values of the physical constants, whatever they are called today."""
    values = {}
    for name, low, high in CONSTANTS[physics]:
        value = next((value for end, value in _TYPICAL if name.endswith(end)), low)
        values[name] = min(max(value, low), high)
    return values


def domain() -> Domain:
    """Return a domain of everyday sizes."""
    sizes = (16, 65536)
    return Domain(sizes, sizes, sizes, (1, 64), (2e-6, 0.25), ("nt", "tn"), "zero")


def interval() -> Interval:
    """Return an interval of three regimes and three confidences."""
    widths = ((300, 900, 1500), (200, 700, 1200), (100, 500, 1000))
    return Interval((1e-5, 1e-3), (0.5, 0.9, 0.99), widths)


def remade(data: bytes, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> bytes:
    """Return a file whose manifest and tensors `change` has edited, with a right checksum."""
    metadata, tensors, _ = _safetensors.decode(data)
    manifest = json.loads(metadata["manifest"])
    change(manifest, tensors)
    return sealed(json.dumps(manifest), *_safetensors.pack(tensors), metadata.get("card", ""))


def sealed(manifest: str, header: dict[str, Any], payload: bytes, card: str = "") -> bytes:
    """Return a file of these parts with a right checksum: by the specification, not by our code.

    A file of version 1 has no card.
    """
    try:
        is_first = json.loads(manifest)["format_version"] == 1
    except (ValueError, KeyError, TypeError):
        is_first = False
    card = "" if is_first else card
    data = manifest.encode() + card.encode() + payload
    metadata = {"format": "gpperf-lite artefact", "manifest": manifest}
    metadata |= {"card": card} if card else {}
    if is_first:
        metadata["sha256"] = hashlib.sha256(data).hexdigest()
    else:
        metadata["blake2b"] = hashlib.blake2b(data, digest_size=32).hexdigest()
    return _safetensors.encode(metadata, payload, header)
