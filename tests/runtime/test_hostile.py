"""Hostile files: whatever is done to an artefact, it is refused as one or predicts sane numbers.

Thousands of files, each damaged in one or several ways; where the damage lies below the checksum,
the checksum is made right again, so that the deeper checks are reached. Every file has a number:
`damaged(number)` makes it again.
"""

from __future__ import annotations

import collections
import json
import math
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import (
    back_ends_artefact,
    kernels_artefact,
    remade,
    sealed,
    small_artefact,
)

import gpperf_lite as gp
from gpperf_lite import _safetensors
from gpperf_lite._artefact import decode, encode
from gpperf_lite._gemm import LARGEST
from gpperf_lite._physics import CONSTANTS

ORIGINALS = [
    encode(small_artefact(n_trees=2, depth=2)),
    encode(small_artefact(seed=3, n_trees=1, depth=4, power=False)),
    encode(kernels_artefact(n_trees=2, depth=1)),
    encode(back_ends_artefact(n_trees=1, depth=1)),
]
N_FILES, N_CHUNKS = 4000, 8
SMALL_FILE_BYTES, MOST_MEMORY_BYTES = 1 << 16, 1 << 26


# --- what must hold ----------------------------------------------------------------------------


def outcome(data: bytes) -> str:
    """Return "refused" or "valid"; anything else is a failure of the test."""
    try:
        artefact = decode(data)
    except gp.ArtefactError as error:
        return "refused" if len(str(error)) < 800 else "refused at too great length"
    model = gp.Model(artefact)
    json.dumps(model.card, allow_nan=False).encode()
    for dtype in model.dtypes:
        for kernel in model.kernels:
            check_predictions(model, dtype, kernel)
        check_ranking(model, dtype)
    # What it says of itself can be written and read again.
    assert decode(encode(artefact)) == artefact
    return "valid"


def check_predictions(model: gp.Model, dtype: str, kernel: gp.Kernel) -> None:
    """Assert that every figure for a few GEMMs is finite and positive, one alone as in a batch."""
    layout = kernel.layout or "tn"
    sizes = (1, 768, 2**20, LARGEST)
    sides = [max(1, size // kernel.alignment) * kernel.alignment for size in sizes]
    batches = [1, 1, 3, LARGEST]
    try:
        many = model.predict_batch(sides, sides, sides, dtype, layout, batch=batches, kernel=kernel)
    except gp.UnknownKernelError:
        return  # it was not trained for this dtype
    for row, (side, batch) in enumerate(zip(sides, batches, strict=True)):
        one = model.predict(gp.Gemm(side, side, side, dtype, layout, batch), kernel)
        document = one.to_dict()
        json.dumps(document, allow_nan=False)
        figures = [one.runtime_s, *one.runtime_interval_s, one.tflops]
        if one.power_w is not None and one.power_interval_w is not None:
            figures += [one.power_w, *one.power_interval_w, one.energy_j or 0.0]
        assert all(math.isfinite(figure) and figure > 0.0 for figure in figures)
        low, high = one.runtime_interval_s
        assert low <= one.runtime_s <= high
        assert many.runtime_s[row] == one.runtime_s


def check_ranking(model: gp.Model, dtype: str) -> None:
    """Assert that kernels are compared only with those that timed the same, best first.

    And that without a kernel there is an answer, or a reason why not.
    """
    gemm = gp.Gemm(768, 768, 768, dtype)
    try:
        ranking = model.rank(gemm)
        assert len({one.timed for one in ranking} - {""}) <= 1
        assert len({one.kernel.name for one in ranking}) == len(ranking)
        assert model.best(gemm) == ranking[0]
        one = model.predict(gemm)
    except gp.UnknownKernelError:
        return
    many = model.predict_batch(768, 768, 768, dtype)
    assert (many.runtime_s[0], many.timed[0], many.notes[0]) == (
        one.runtime_s,
        one.timed,
        one.notes,
    )


# --- ways to do damage -------------------------------------------------------------------------


def broken_bytes(dice: random.Random, data: bytes) -> bytes:
    """Flip, cut, insert, double or take out a few bytes."""
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        at, n_bytes = dice.randrange(len(data) + 1), dice.choice([1, 2, 8, 100])
        way = dice.randrange(6)
        if way == 0:
            flipped = bytes(byte ^ (1 << dice.randrange(8)) for byte in data[at : at + 1])
            data = data[:at] + flipped + data[at + 1 :]
        elif way == 1:
            data = data[:at]
        elif way == 2:
            data = data[:at] + dice.randbytes(n_bytes) + data[at:]
        elif way == 3:
            data = data[:at] + data[at : at + n_bytes] * 2 + data[at + n_bytes :]
        elif way == 4:
            data = data[:at] + data[at + n_bytes :]
        else:
            data = data[:at] + bytes(n_bytes) + data[at + n_bytes :]
    return data


NASTY: list[Any] = [
    *[None, True, False, 0, 1, -1, 2, 3, 8, 255, 2**31 - 1, 2**31, 2**53, 10**19, -(10**18)],
    *[0.0, -0.0, 0.5, 1.0, 1.5, -1.5, 1e-300, 5e-324, 1e300, -1e300, 1e9, 1e3, 1e-3],
    *[math.nan, math.inf, -math.inf],
    *["", "x", "tn", "bf16", "f32", "fp8", "power", "runtime", "library", "tiled", "0", "1"],
    *["\ud800", "\x1b[2J", "\0", "a" * 1000, "\u202e", "é", "cutlass2", "vllm", "trtllm"],
    *["gemm", "quantise+gemm", "layer", ["x", "y"], ["\x1b[2J"], [0, 1, 2, 3], [1, 0]],
    *[[], [0], [1, 2], [0.5, 1.0], [[1, 2, 3]], {}, {"a": 1}, [None], [{}], [[[[[[]]]]]]],
]


def place(dice: random.Random, tree: Any) -> tuple[Any, Any]:
    """Return a container somewhere in a tree of JSON, and a key or an index of it.

    Every branch is as likely as the one beside it, however many leaves it has.
    """
    while True:
        key = dice.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        if not tree[key] or not isinstance(tree[key], (dict, list)) or dice.random() < 0.2:
            return tree, key
        tree = tree[key]


def spoil(dice: random.Random, tree: dict[str, Any]) -> None:
    """Put something else into a few places of a tree of JSON."""
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        if not tree:
            return
        holder, key = place(dice, tree)
        other, other_key = place(dice, tree)
        way = dice.randrange(6)
        if way <= 1:
            holder[key] = dice.choice(NASTY)
        elif way == 2:
            holder[key] = near(dice, holder[key])
        elif way == 3:
            del holder[key]
        elif way == 4:
            holder[key] = json.loads(json.dumps(other[other_key]))
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            holder[dice.choice(["x", "dtype", "tile", "", "\ud800"])] = holder[key]


def near(dice: random.Random, value: Any) -> Any:
    """Return a value of the same type, not far away."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return dice.choice([value - 1, value + 1, -value, 2 * value, value * 1000, float(value)])
    if isinstance(value, float):
        return dice.choice([-value, value * 1e3, value * 1e-3, value + 1.0, 0.0, value * 1e12])
    if isinstance(value, str):
        at = dice.randrange(len(value) + 1)
        return dice.choice([value[:at], value[:at] + "x" + value[at:], value.upper(), value * 2])
    return value[::-1] if isinstance(value, list) else dict(reversed(list(value.items())))


def spoiled_manifest(dice: random.Random, data: bytes) -> bytes:
    return remade(data, lambda manifest, _: spoil(dice, manifest))


def broken_manifest(dice: random.Random, data: bytes) -> bytes:
    """Break the text of the manifest, which may then be no JSON."""
    metadata, tensors, _ = _safetensors.decode(data)
    header, payload = _safetensors.pack(tensors)
    text = broken_bytes(dice, metadata["manifest"].encode()).decode("utf-8", "replace")
    return sealed(text, header, payload, metadata["card"])


def spoiled_header(dice: random.Random, data: bytes) -> bytes:
    """Spoil types, shapes and offsets of the tensors."""
    metadata, tensors, _ = _safetensors.decode(data)
    header, payload = _safetensors.pack(tensors)
    spoil(dice, header)
    return sealed(metadata["manifest"], header, payload, metadata["card"])


def broken_payload(dice: random.Random, data: bytes) -> bytes:
    metadata, tensors, _ = _safetensors.decode(data)
    header, payload = _safetensors.pack(tensors)
    return sealed(metadata["manifest"], header, broken_bytes(dice, payload), metadata["card"])


def scrambled_payload(dice: random.Random, data: bytes) -> bytes:
    """Put other numbers into the tensors, as many as before."""
    metadata, tensors, _ = _safetensors.decode(data)
    header, payload = _safetensors.pack(tensors)
    changed = bytearray(payload)
    for _ in range(dice.choice([1, 3, 30])):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return sealed(metadata["manifest"], header, bytes(changed), metadata["card"])


def spoiled_tensors(dice: random.Random, data: bytes) -> bytes:
    """Give tensors other shapes, types and names, the header being right about them."""

    def change(_: object, tensors: dict[str, Any]) -> None:
        name = dice.choice(list(tensors))
        tensor = tensors[name]
        rows, columns = tensor.shape
        tensors[dice.choice([name, name, name, "x", "1.feature"])] = dice.choice(
            [
                tensor.reshape(-1),
                tensor.T,
                tensor[:-1],
                tensor[:, :-1],
                np.concatenate([tensor, tensor]),
                np.resize(tensor, (rows, 2 * columns)),
                np.resize(tensor, (rows, dice.randrange(12))),
                np.resize(tensor, (dice.randrange(3), columns)),
                tensor.astype(dice.choice(["u1", "<i2", "<f4"])),
                np.full_like(tensor, dice.choice([0, 1, 7, 255 if tensor.dtype == "u1" else -1])),
            ]
        )

    with np.errstate(all="ignore"):
        return remade(data, change)


WAYS: list[Callable[[random.Random, bytes], bytes]] = [
    broken_bytes,
    broken_manifest,
    spoiled_header,
    broken_payload,
    scrambled_payload,
    spoiled_tensors,
    *[spoiled_manifest] * 4,
]


def damaged(number: int) -> tuple[str, bytes]:
    """Return the way that file `number` was damaged, and the file."""
    dice = random.Random(number)
    way = dice.choice(WAYS)
    return way.__name__, way(dice, dice.choice(ORIGINALS))


# --- tests -------------------------------------------------------------------------------------


def test_the_originals_are_valid() -> None:
    assert [outcome(data) for data in ORIGINALS] == ["valid"] * len(ORIGINALS)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_a_damaged_file_is_refused_or_predicts_sane_numbers(chunk: int) -> None:
    """In little memory; and enough of the files are of either kind that this says something."""
    seen: collections.Counter[tuple[str, str]] = collections.Counter()
    for number in range(chunk, N_FILES, N_CHUNKS):
        way, data = damaged(number)
        try:
            seen[way, outcome(data)] += 1
        except Exception as error:
            raise AssertionError(f"file {number} ({way}): {error!r}") from error
    for way in WAYS:
        assert seen[way.__name__, "refused"] > 0
    for name in ("spoiled_manifest", "scrambled_payload"):
        assert seen[name, "valid"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(2))
def test_a_small_file_takes_little_memory(chunk: int) -> None:
    tracemalloc.start()
    try:
        for number in range(N_FILES + chunk, N_FILES + 300, 2):
            way, data = damaged(number)
            assert len(data) < SMALL_FILE_BYTES
            tracemalloc.reset_peak()
            outcome(data)
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES, f"file {number} ({way})"
    finally:
        tracemalloc.stop()


def limits(dice: random.Random, low: float, high: float) -> float:
    """Return a number at one of its limits, or of any magnitude between them."""
    anywhere = 10.0 ** dice.uniform(-320.0, math.log10(high))
    return dice.choice([low, high, min(max(anywhere, low), high)])


def extreme(number: int) -> bytes:
    """Return a valid file whose every number is as extreme as the format allows."""
    dice = random.Random(number)

    def change(manifest: dict[str, Any], _: object) -> None:
        facts = {"clock_hz": (1e3, 1e12), "l2_bytes": (1.0, 1e15), "dram_bytes_per_s": (1e3, 1e18)}
        gpu = manifest["gpu"]
        gpu |= {name: limits(dice, *ends) for name, ends in facts.items()}
        gpu |= {"sm_count": dice.choice([1, 100, 10**6]), "idle_power_w": 1e-3}
        gpu |= {"power_limit_w": dice.choice([math.nextafter(1e-3, 1.0), 1e6])}
        gpu["peak_flops"] = {name: limits(dice, 1e3, 1e21) for name in gpu["peak_flops"]}
        for kernel in manifest["kernels"]:
            if kernel["family"] != "library":
                kernel["tile"] = [dice.choice([1, 128, 2**14]) for _ in "mnk"]
                kernel["split_k"] = dice.choice([1, 2, 2**16])
        for estimator in manifest["estimators"]:
            library = manifest["kernels"][0]["family"] == "library"
            physics = "library" if library else "kernel"
            names = CONSTANTS["power" if estimator["target"] == "power" else physics]
            constants = {name: limits(dice, low, high) for name, low, high in names}
            if constants.get("launch_s") == 0.0:
                constants["launch_s"] = 5e-324
            estimator["constants"] = constants
            estimator["forest"]["bias"] = dice.choice([-(2**20), 0, 2**20])
            rows = estimator["interval"]["half_widths"]
            widths = [sorted(dice.choice([0, 1, 2**13, 2**20]) for _ in row) for row in rows]
            estimator["interval"]["half_widths"] = widths

    return remade(dice.choice(ORIGINALS), change)


@pytest.mark.slow
# Times that no kernel takes leave the range of float32, in which forests compare.
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_valid_file_of_extreme_numbers_predicts_sane_ones() -> None:
    for number in range(250):
        assert outcome(extreme(number)) == "valid", f"extreme file {number}"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert outcome(data) == "refused"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(json_values)
def test_any_json_for_a_manifest_is_refused(value: Any) -> None:
    assert outcome(sealed(json.dumps(value), {}, b"")) == "refused"


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_any_json_for_a_header_is_refused(value: Any) -> None:
    text = json.dumps(value).encode()
    assert outcome(len(text).to_bytes(8, "little") + text + bytes(24)) == "refused"


@given(st.data())
def test_any_json_in_any_place_of_a_manifest_is_refused_or_sane(data: st.DataObject) -> None:
    def change(manifest: dict[str, Any], _: object) -> None:
        holder, key = place(data.draw(st.randoms(use_true_random=False)), manifest)
        holder[key] = data.draw(json_values)

    original = data.draw(st.sampled_from(ORIGINALS))
    assert outcome(remade(original, change)) in ("refused", "valid")


def bomb(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(8, "little") + data


def wide(value: Any, *path: Any) -> bytes:
    """Return an original with a large value at a path of its manifest."""

    def change(manifest: dict[str, Any], _: object) -> None:
        holder: Any = manifest
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value

    return remade(ORIGINALS[0], change)


FIRST = ("estimators", 0)
LIBRARY = {"name": "library", "family": "library"}
BOMBS: dict[str, Callable[[], bytes]] = {
    "many tensors": lambda: bomb("{" + ",".join(f'"{i}":{{}}' for i in range(100_000)) + "}"),
    "many keys": lambda: bomb('{"a":{' + ",".join(f'"{i}":0' for i in range(100_000)) + "}}"),
    "one key often": lambda: bomb("{" + ",".join(['"a":0'] * 300_000) + "}"),
    "one long key": lambda: bomb('{"' + "a" * 2_000_000 + '":0}'),
    "many empty lists": lambda: bomb('{"a":[' + "[]," * 500_000 + "[]]}"),
    "many digits": lambda: bomb('{"a":' + "1" * 2_000_000 + "}"),
    "many decimals": lambda: bomb('{"a":0.' + "1" * 2_000_000 + "}"),
    "many brackets": lambda: bomb('{"a":' + "[" * 2_000_000),
    "many axes": lambda: bomb(
        '{"a":{"dtype":"U8","data_offsets":[0,0],"shape":[' + "9," * 500_000 + "9]}}"
    ),
    "many estimators": lambda: wide([{}] * 4097, "estimators"),
    "many kernels": lambda: wide([LIBRARY] * 4096, "kernels"),
    "many indices": lambda: wide([0] * 4096, *FIRST, "kernels"),
    "many edges": lambda: wide([1e-5] * 4096, *FIRST, "interval", "runtime_edges_s"),
    "many widths": lambda: wide([[1] * 400] * 1000, *FIRST, "interval", "half_widths"),
    "many layouts": lambda: wide(["tn"] * 4096, *FIRST, "domain", "layouts"),
    "many features": lambda: wide(["m"] * 4096, "features"),
    "many peaks": lambda: wide({f"d{i}": 1e12 for i in range(50_000)}, "gpu", "peak_flops"),
    "long name": lambda: wide("n" * 1_000_000, "name"),
    "nested name": lambda: wide(json.loads('{"a":' * 400 + "1" + "}" * 400), "name"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_file_made_to_exhaust_its_reader_is_refused(name: str) -> None:
    """In memory of the order of its own size."""
    data = BOMBS[name]()
    tracemalloc.start()
    try:
        assert outcome(data) == "refused"
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()
