"""Files of configurations that vLLM and SGLang load for a layer, from a ranking and not a search.

Names and contents are what their readers ask for: of vLLM 0.33 `get_config_file_name` and
`get_w8a8_block_fp8_configs`, of SGLang 0.5.23 the functions of the same names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite._gpu import Gpu

from ..configurations import DENSE, MOE, Layer, built_in
from ..errors import BuilderError
from ..files import write_text

VLLM, SGLANG = "vllm-config", "sglang-config"
ENGINES = (VLLM, SGLANG)

TOKENS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 1536, 2048, 3072, 4096)
"""The m that vLLM's searches go through; of others the engines take the nearest."""

FIRST = 16
"""The configurations of each m that are listed beside the file, for whoever can time them."""

_LOADED = {
    VLLM: {MOE: ("bf16", "fp8_w8a8", "int8_w8a16"), DENSE: ("fp8_w8a8",)},
    SGLANG: {
        MOE: ("bf16", "fp8_w8a8", "int8_w8a8", "int8_w8a16"),
        DENSE: ("fp8_w8a8", "int8_w8a8"),
    },
}
"""The precisions of which an engine looks for files."""

_BESIDE = ".ranked.json"


class Written(NamedTuple):
    """A file that was written, or the reason why it was not: empty where it was."""

    path: Path
    why_not: str = ""


def file_name(layer: Layer, gpu: Gpu, engine: str) -> str:
    """Return the name under which an engine looks for the configurations of a layer on a GPU.

    Raises BuilderError where it looks for none.
    """
    precision = layer.figures.name
    if layer.precision not in _LOADED[engine][layer.kind]:
        known = ", ".join(_LOADED[engine][layer.kind])
        raise BuilderError(
            f"precision must be one of which {engine.removesuffix('-config')} loads a file for "
            f"{layer.kind} layers: {known} (got {layer.precision})"
        )
    device = re.sub(r"[\s/]+", "_", gpu.name) if engine == VLLM else gpu.name.replace(" ", "_")
    if engine == VLLM and layer.kind == MOE and "H200" in device.split("_"):
        device = "NVIDIA_H200"
    sizes = f"N={layer.n},K={layer.k}" if layer.kind == DENSE else f"E={layer.experts},N={layer.n}"
    comma = "," if engine == VLLM else ", "
    blocks = f",block_shape=[{layer.block}{comma}{layer.block}]" if layer.block else ""
    dtype = f",dtype={precision}" if precision else ""
    # Its experts in int8 without blocks have a scale for each channel, which it names.
    has_channels = engine == SGLANG and (layer.kind, precision, blocks) == (MOE, "int8_w8a8", "")
    channels = ",per_channel_quant=True" if has_channels else ""
    return f"{sizes},device_name={device}{dtype}{blocks}{channels}.json"


def write_configs(
    gpu: Gpu,
    layers: Sequence[Layer],
    engine: str,
    folder: Path,
    triton: str | None = None,
    tuned: Path | None = None,
) -> list[Written]:
    """Write the file of each layer, and beside it its first configurations; of all or of some.

    folder: what VLLM_TUNED_CONFIG_FOLDER or SGLANG_MOE_CONFIG_DIR will name. triton: the version
    that SGLang runs, which is in the path of its files of experts. tuned: a folder of files that
    are known already, which are never written again, whatever their sub-folder.

    A layer is left out where it cannot be ranked, or where a file of its name is there that was
    not written here. Raises BuilderError where all are.
    """
    if tuned is not None and not tuned.is_dir():
        raise BuilderError(f"--tuned must be a folder (there is none: {tuned})")
    found = [_written(gpu, layer, engine, folder, triton, tuned) for layer in layers]
    if all(one.why_not for one in found):
        raise BuilderError("; ".join(f"no {one.path.name}: {one.why_not}" for one in found))
    return found


def _written(
    gpu: Gpu, layer: Layer, engine: str, folder: Path, triton: str | None, tuned: Path | None
) -> Written:
    path = _folder(layer, engine, folder, triton) / file_name(layer, gpu, engine)
    beside = path.with_name(path.name.removesuffix(".json") + _BESIDE)
    if path.exists() and not _is_as_written(path, beside):
        return Written(path, "there is one that was not written here, and may be tuned")
    if tuned is not None and any(one.name == path.name for one in tuned.rglob("*.json")):
        return Written(path, f"it is among those in {tuned}")
    try:
        ranked = {str(m): built_in().rank(layer, m, gpu, FIRST) for m in TOKENS}
    except BuilderError as error:
        return Written(path, str(error))
    first: dict[str, Any] = {
        m: [config.to_json() for config in configs] for m, configs in ranked.items()
    }
    said = f"Ranked by gpperf-lite for {gpu.name}: no search, nothing was timed."
    write_text(beside, json.dumps({"what": said, "first": first}, indent=1) + "\n")
    best = {m: configs[0].to_json() for m, configs in ranked.items()}
    write_text(path, json.dumps(best, indent=4) + "\n")
    return Written(path)


def _is_as_written(path: Path, beside: Path) -> bool:
    """Return True for a file that has the first configurations of the one beside it, no others."""
    try:
        first = json.loads(beside.read_text())["first"]
        best = {m: configs[0] for m, configs in first.items()}
        return bool(json.loads(path.read_text()) == best)
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return False


def _folder(layer: Layer, engine: str, folder: Path, triton: str | None) -> Path:
    if engine == VLLM or layer.kind == DENSE:
        return folder
    if triton is None or not re.fullmatch(r"\d+\.\d+\.\d+", triton):
        raise BuilderError(
            "--triton must be the version that SGLang runs, such as 3.6.0: it looks for files of "
            f"experts in a folder of that name (got {triton})"
        )
    return folder / "configs" / f"triton_{triton.replace('.', '_')}"
