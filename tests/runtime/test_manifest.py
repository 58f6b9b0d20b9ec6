"""The manifest: each way that a field can be bad, the checksum being right, is refused by name."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from stand_ins.artefacts import back_ends_artefact, kernels_artefact, remade, small_artefact

import gpperf_lite as gp
from gpperf_lite import _safetensors
from gpperf_lite._artefact import decode, encode
from gpperf_lite._features import FEATURES
from gpperf_lite._physics import CONSTANTS, NEW_CONSTANTS

SMALL = encode(small_artefact())
KERNELS = encode(kernels_artefact())
BACK_ENDS = encode(back_ends_artefact())
Change = Callable[[dict[str, Any], dict[str, Any]], object]


def refusal(change: Change, data: bytes = SMALL) -> str:
    """Return why a file is refused after a change, its checksum being right."""
    with pytest.raises(gp.ArtefactError) as error:
        decode(remade(data, change))
    text = str(error.value)
    assert len(text) < 700
    assert text.isprintable()
    return text


def manifest_of(data: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_safetensors.decode(data)[0]["manifest"])
    return manifest


def at(manifest: Any, path: tuple[Any, ...]) -> Any:
    """Return what lies at a path of keys and indices."""
    for step in path:
        manifest = manifest[step]
    return manifest


def put(path: tuple[Any, ...], value: Any) -> Change:
    """Return a change that puts a value at a path."""

    def change(manifest: dict[str, Any], _: object) -> None:
        at(manifest, path[:-1])[path[-1]] = value

    return change


def drop(path: tuple[Any, ...]) -> Change:
    """Return a change that takes away what lies at a path."""
    return lambda manifest, _: at(manifest, path[:-1]).pop(path[-1])


# --- every field of the manifest ---------------------------------------------------------------

FREE_FORM = {"provenance", "accuracy"}
OPTIONAL = {
    *{field.name for field in dataclasses.fields(gp.Kernel)} - {"name", "family"},
    "power_limit_w",
    "idle_power_w",
    "needs",
    "f32",
    "fp8",
    "timed",
    "notes",
    "slowness",
    "unmeasured",
    *NEW_CONSTANTS,
}
Path_ = tuple[Any, ...]


def fields_of(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    """Yield every field below one of a manifest, but of a list only what comes first."""
    yield path, value
    if isinstance(value, dict) and path[-1] not in FREE_FORM:
        for name in value:
            yield from fields_of(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield from fields_of(value[0], (*path, 0))


PARTS = [(SMALL, (name,)) for name in manifest_of(SMALL)]
PARTS += [(SMALL, ("estimators", 1)), (KERNELS, ("kernels",)), (KERNELS, ("estimators",))]
PARTS += [(BACK_ENDS, ("kernels",)), (BACK_ENDS, ("estimators", 2))]
FIELDS = [
    (data, path, value)
    for data, part in PARTS
    for path, value in fields_of(at(manifest_of(data), part), part)
    if path != ("needs",)  # read only where the format is newer
]
REQUIRED = [
    (data, path)
    for data, path, _ in FIELDS
    if path[-1] not in OPTIONAL and type(path[-1]) is str and path[0] != "stand_ins"
] + [(SMALL, ("stand_ins",))]


def label(case: object) -> str:
    return ".".join(map(str, case)) if isinstance(case, tuple) else "-"


WRONG: dict[type, list[Any]] = {
    str: [None, True, 1, 0.5, [], {}, "", "\x1b[2J", "\ud800", "a\nb", "x" * 513],
    int: [None, True, "1", 1.5, 1.0, [], {}, math.nan, -(10**18)],
    float: [None, True, "1", [], {}, math.nan, math.inf, -math.inf, -1, -1e-300, 1e300],
    list: [None, True, "x", 1, {}, [None], [[]], [{}], [0] * 4097],
    dict: [None, True, "x", 1, [], [{}]],
}


def test_the_table_reaches_every_part_of_a_manifest() -> None:
    reached = {path[-1] for _, path, _ in FIELDS}
    for physics in ("library", "kernel", "power"):
        assert {name for name, _, _ in CONSTANTS[physics]} <= reached
    assert {field.name for field in dataclasses.fields(gp.Gpu)} <= reached
    assert {"tile", "alignment", "bf16", "half_widths", "tensors", "beta"} <= reached
    assert {"timed", "notes"} <= reached
    assert {type(value) for _, _, value in FIELDS} == set(WRONG)


@pytest.mark.parametrize(("data", "path"), REQUIRED, ids=label)
def test_a_field_that_is_missing_is_refused_by_name(data: bytes, path: Path_) -> None:
    assert str(path[-1]) in refusal(drop(path), data)


@pytest.mark.parametrize(("data", "path", "value"), FIELDS, ids=label)
def test_a_field_of_another_type_is_refused(data: bytes, path: Path_, value: object) -> None:
    for wrong in WRONG[type(value)]:
        reason = refusal(put(path, wrong), data)
        named = next(str(step) for step in reversed(path) if type(step) is str)
        assert named in reason or reason.startswith("not a valid artefact: its JSON holds")


RUNTIME, POWER = ("estimators", 0), ("estimators", 1)
LARGEST = 2**31 - 1

# Values of the right type beyond their limits.
OUT_OF_RANGE: list[tuple[Path_, list[Any]]] = [
    (("format_version",), [0, -1, 2**31]),
    (("gpu", "sm_count"), [0, -1, 2**20 + 1]),
    (("gpu", "clock_hz"), [0, 999.0, 1.1e12]),
    (("gpu", "memory_bytes"), [0.0, 1.1e18]),
    (("gpu", "l2_bytes"), [0.0, 1.1e15]),
    (("gpu", "dram_bytes_per_s"), [0.0, 999, 1.1e18]),
    (("gpu", "compute_capability"), [[], [9], [9, 0, 0], [-1, 0], [9, 1000], [9.0, 0], [True, 0]]),
    (("gpu", "peak_flops"), [{}, {"bf16": 0}, {"bf16": 1e22}, {"bf16": -1.0}]),
    (("gpu", "power_limit_w"), [0, 0.0, 1e7, 100.0, 99.0]),
    (("gpu", "idle_power_w"), [0, -1.0, 700.0, 701.0]),
    (("kernels",), [[], [{"name": "library", "family": "library"}] * 2]),
    (("kernels", 0, "name"), ["other"]),
    (("kernels", 0, "family"), ["cutlass2", "cutlass4", "LIBRARY"]),
    (("kernels", 0, "alignment"), [0, -1, 8, 2**31]),
    (("kernels", 0, "split_k"), [0, 2, 2**31]),
    ((*RUNTIME, "target"), ["energy", "Runtime", "power"]),
    ((*RUNTIME, "dtype"), ["bfloat16", "BF16", "f64", "f16"]),
    ((*RUNTIME, "kernels"), [[], [1], [-1], [0, 0], [0, 1]]),
    ((*RUNTIME, "forest", "bias"), [2**20 + 1, -(2**20) - 1]),
    ((*RUNTIME, "forest", "tensors"), ["1", "9", "x"]),
    ((*RUNTIME, "domain", "m"), [[], [1], [2, 1], [0, 5], [1, 2, 3], [1, LARGEST + 1], [1.0, 2]]),
    ((*RUNTIME, "domain", "batch"), [[True, 2], [1, 1.5], [2, 1]]),
    (
        (*RUNTIME, "domain", "runtime_s"),
        [[], [1.0], [1.0, 0.5], [0.0, 0.0], [0.0, 1.0], [1.0, 1.1e9]],
    ),
    ((*RUNTIME, "domain", "layouts"), [[], ["nx"], ["TN"], ["tn", "tn"], ["tn", 1], ["tn", ""]]),
    ((*RUNTIME, "domain", "beta"), ["one", "Zero"]),
    ((*RUNTIME, "timed"), ["", "GEMM", "gemm+quantise", "kernel", "not stated"]),
    ((*RUNTIME, "notes"), ["text", [""], ["a", 1], ["a\nb"], ["x" * 513], ["x"] * 4097]),
    ((*RUNTIME, "interval", "runtime_edges_s"), [[], [1e-5], [1e-3, 1e-5], [1e-5] * 2, [0, 1e10]]),
    ((*RUNTIME, "interval", "confidences"), [[], [0.5], [0.9, 0.5, 0.99], [0.5, 0.5, 0.9]]),
    ((*RUNTIME, "interval", "confidences"), [[0.5, 0.9, 1.01], [-0.1, 0.5, 0.9]]),
    ((*RUNTIME, "interval", "half_widths"), [[], [[1, 2, 3]], [[1, 2, 3]] * 4]),
    ((*RUNTIME, "interval", "half_widths"), [[[3, 2, 1]] * 3]),
    ((*RUNTIME, "interval", "half_widths"), [[[1, 2]] * 3, [[-1, 0, 1]] * 3, [[0, 1, 2.0]] * 3]),
    ((*RUNTIME, "interval", "half_widths"), [[[0, 1, 2**20 + 1]] * 3, [[0, 1, True]] * 3]),
    ((*POWER, "target"), ["runtime"]),
    ((*POWER, "forest", "tensors"), ["0"]),
    (("stand_ins",), [{"f16": "fp8"}, {"f16": "f16"}, {"bf16": "bf16"}, {"half": "bf16"}]),
    (("stand_ins",), [{"f64": "bf16"}, {"f16": "bfloat16"}, {"x" * 9999: "bf16"}]),
    (("estimators",), [[]]),
]


@pytest.mark.parametrize(("path", "values"), OUT_OF_RANGE, ids=label)
def test_a_value_out_of_range_is_refused(path: Path_, values: list[Any]) -> None:
    for value in values:
        refusal(put(path, value))


AT_THE_LIMIT: list[tuple[Path_, Any]] = [
    (("gpu", "sm_count"), 10**6),
    (("gpu", "compute_capability"), [0, 999]),
    (("gpu", "clock_hz"), 1000),
    (("gpu", "idle_power_w"), 0.001),
    ((*RUNTIME, "forest", "bias"), -(2**20)),
    ((*RUNTIME, "domain", "m"), [1, LARGEST]),
    ((*RUNTIME, "domain", "k"), [5, 5]),
    ((*RUNTIME, "domain", "runtime_s"), [1e-12, 1e9]),
    ((*RUNTIME, "domain", "layouts"), ["tt"]),
    ((*RUNTIME, "interval", "half_widths"), [[0, 0, 0], [5, 5, 5], [0, 1, 2**20]]),
    ((*RUNTIME, "interval", "confidences"), [0.0, 0.5, 1.0]),
    (("stand_ins",), {}),
    ((*RUNTIME, "timed"), "layer"),
    ((*RUNTIME, "notes"), ["x" * 512, "b"]),
    ((*RUNTIME, "notes"), []),
    (("name",), "x" * 512),
    (("name",), "Größe 模型"),
]


@pytest.mark.parametrize(("path", "value"), AT_THE_LIMIT, ids=label)
def test_a_value_at_its_limit_is_taken(path: Path_, value: object) -> None:
    model = gp.Model(decode(remade(SMALL, put(path, value))))
    assert model.predict(gp.Gemm(512, 512, 512, "bf16")).runtime_s > 0


@pytest.mark.parametrize("physics", ["library", "kernel", "power"])
def test_a_constant_out_of_its_limits_is_refused_by_name(physics: str) -> None:
    data, part = (
        (KERNELS if physics == "kernel" else SMALL),
        POWER if physics == "power" else RUNTIME,
    )
    for name, low, high in CONSTANTS[physics]:
        for value in (low - 1e-3, math.nextafter(high, math.inf)):
            assert f"constants.{name} must be a number" in refusal(
                put((*part, "constants", name), value), data
            )


def test_a_negative_zero_is_read_as_zero() -> None:
    path = (*RUNTIME, "constants", "host_s")
    artefact = decode(remade(SMALL, put(path, -0.0)))
    assert math.copysign(1.0, artefact.estimators[0].constants["host_s"]) == 1.0


def test_a_physical_model_that_takes_no_time_is_refused() -> None:
    def change(manifest: dict[str, Any], _: object) -> None:
        constants = at(manifest, (*RUNTIME, "constants"))
        constants.update({name: low for name, low, _ in CONSTANTS["library"]})
        constants["launch_s"] = 0.0

    with pytest.raises(gp.ArtefactError, match="launch_s"):
        decode(remade(SMALL, change))


# --- what fields say of one another ------------------------------------------------------------


def test_an_index_of_a_kernel_that_there_is_not_is_refused() -> None:
    for index in (4, -1, 2**31, 10**18):
        assert "kernels must be an integer from 0 to 3" in refusal(
            put((*RUNTIME, "kernels"), [0, index]), KERNELS
        )


@pytest.mark.parametrize("indices", [[1, 2], [2, 3], [0, 0]])
def test_two_estimators_for_one_kernel_are_refused(indices: list[int]) -> None:
    assert "two estimators answer for" in refusal(put((*RUNTIME, "kernels"), indices), KERNELS)


def test_two_kernels_of_one_name_are_refused() -> None:
    def change(manifest: dict[str, Any], _: object) -> None:
        manifest["kernels"][3] = dict(manifest["kernels"][0])

    assert "two kernels have the same name" in refusal(change, KERNELS)


def test_the_library_beside_known_kernels_in_one_estimator_is_refused() -> None:
    """They have different physics."""

    def change(manifest: dict[str, Any], _: object) -> None:
        manifest["kernels"][0] = {"name": "library", "family": "library"}

    assert "not both or none" in refusal(change, KERNELS)


@pytest.mark.parametrize("number", range(4))
def test_a_library_of_which_more_is_said_is_refused(number: int) -> None:
    for name, value in (("dtype", "bf16"), ("tile", [1, 2, 3]), ("layout", "tn"), ("stages", 2)):
        reason = refusal(put(("kernels", number, name), value), BACK_ENDS)
        assert "nothing else is known" in reason
        assert "library vllm sglang trtllm" in reason


@pytest.mark.parametrize("name", ["cublas", "VLLM", "trt-llm", "sglang2"])
def test_a_library_of_another_name_is_refused(name: str) -> None:
    assert "must be a kernel called one of" in refusal(put(("kernels", 1, "name"), name), BACK_ENDS)


@pytest.mark.parametrize("name", ["library", "vllm", "sglang", "trtllm"])
def test_a_known_kernel_with_the_name_of_a_library_is_refused(name: str) -> None:
    assert "must be a kernel called one of" in refusal(put(("kernels", 0, "name"), name), KERNELS)


def test_two_estimators_of_one_back_end_are_refused() -> None:
    change = put(("estimators", 3, "kernels"), [2, 0])
    assert "two estimators answer for" in refusal(change, BACK_ENDS)


def test_a_dtype_may_count_by_the_peak_of_another() -> None:
    """fp8_static by that of fp8, int8_wo by that of f16, or else of bf16; int8_sq by that of s8."""
    assert {"fp8_static", "int8_wo", "s8"}.isdisjoint(decode(BACK_ENDS).gpu.peak_flops)

    def without_f16(manifest: dict[str, Any], _: object) -> None:
        del manifest["gpu"]["peak_flops"]["f16"], manifest["stand_ins"]["f16"]

    model = gp.Model(decode(remade(BACK_ENDS, without_f16)))
    assert model.predict(gp.Gemm(64, 64, 64, "int4_wo"), "trtllm").runtime_s > 0
    change = put(("estimators", 6, "dtype"), "int8_sq")
    assert "is int8_sq, of which its GPU has no peak" in refusal(change, BACK_ENDS)


def test_what_was_timed_and_notes_are_read_as_they_were_written() -> None:
    estimators = decode(BACK_ENDS).estimators
    assert estimators == back_ends_artefact().estimators
    assert (estimators[2].timed, estimators[2].notes) == ("quantise+gemm", ("scales are dynamic",))
    assert {(one.timed, one.notes) for one in decode(SMALL).estimators} == {("", ())}
    assert not {"timed", "notes"} & set(manifest_of(SMALL)["estimators"][0])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dtype", ["f33", "float32", "F32", "bf16"]),
        ("layout", ["nx", "NN", "n"]),
        ("alignment", [0, -8, 2**16 + 1, 1.5]),
        ("split_k", [0, 2**16 + 1]),
        ("stages", [-1, 2**31, 2.5]),
        (
            "tile",
            [
                [],
                [128, 128],
                [128, 128, 8, 1],
                [0, 1, 1],
                [1, 1, -1],
                [1, 1, 2**14 + 1],
                [1, 1, "8"],
            ],
        ),
        ("instruction", [[1, 1], [1, 1, 0]]),
        ("cluster", [[2, 1]]),
        ("warp_tile", [[64, 64, None]]),
        ("threads", [True, "256"]),
        ("registers", [-1]),
        ("shared_bytes", [0.5]),
        ("spill_bytes", [[]]),
        ("swizzle", [{}]),
        ("schedule", ["", "\u202e", 5]),
    ],
)
def test_a_field_of_a_kernel_out_of_range_is_refused(name: str, values: list[Any]) -> None:
    for value in values:
        refusal(put(("kernels", 0, name), value), KERNELS)


def test_power_needs_both_idle_power_and_limit() -> None:
    for name in ("idle_power_w", "power_limit_w"):
        assert "no idle power or no limit" in refusal(drop(("gpu", name)))


def test_without_power_neither_is_needed() -> None:
    for name in ("idle_power_w", "power_limit_w"):
        model = gp.Model(decode(remade(KERNELS, drop(("gpu", name)))))
        assert model.predict(gp.Gemm(64, 64, 64, "f32", "nn")).power_w is None


def test_a_stand_in_for_a_dtype_of_the_future_is_refused() -> None:
    def change(manifest: dict[str, Any], _: object) -> None:
        manifest["gpu"]["peak_flops"]["mxfp8"] = 1e12
        manifest["stand_ins"]["mxfp8"] = "bf16"

    assert "got 'mxfp8'" in refusal(change)


def test_every_dtype_that_is_answered_for_needs_a_peak() -> None:
    assert "bf16, of which its GPU has no peak" in refusal(drop(("gpu", "peak_flops", "bf16")))
    assert "a peak (got 'f16')" in refusal(drop(("gpu", "peak_flops", "f16")))


@pytest.mark.parametrize("name", ["", "\ud800", "b f", "bf16\n", "x" * 33, "\u017f8", "1"])
def test_a_peak_of_what_cannot_be_a_dtype_is_refused(name: str) -> None:
    assert "peak_flops" in refusal(put(("gpu", "peak_flops", name), 1e12))


def test_a_peak_of_a_dtype_of_the_future_is_taken() -> None:
    artefact = decode(remade(SMALL, put(("gpu", "peak_flops", "mxfp8"), 1e12)))
    assert artefact.gpu.peak_flops["mxfp8"] == 1e12


def test_a_file_that_predicts_no_runtime_is_refused() -> None:
    def change(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        del manifest["estimators"][0]
        for name in ("feature", "threshold", "leaves"):
            del tensors[f"0.{name}"]

    assert "no estimator of runtime" in refusal(change)


# --- forests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["feature", "threshold", "leaves"])
def test_a_tensor_that_is_missing_is_refused(name: str) -> None:
    assert f"'0.{name}' must be there" in refusal(lambda _, tensors: tensors.pop(f"0.{name}"))


@pytest.mark.parametrize("name", ["x", "2.feature", "0", "0.Leaves"])
def test_a_tensor_that_no_forest_uses_is_refused(name: str) -> None:
    extra = {name: np.zeros((1, 1), "u1")}
    assert f"no estimator uses, such as '{name}'" in refusal(lambda _, t: t.update(extra))


def test_two_forests_that_share_tensors_are_refused() -> None:
    """Else a small file could stand for very many large forests."""

    def change(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        at(manifest, POWER)["forest"]["tensors"] = "0"
        for name in ("feature", "threshold", "leaves"):
            del tensors[f"1.{name}"]

    assert "must be there for one forest alone" in refusal(change)


def shaped(feature: tuple[int, ...], threshold: tuple[int, ...], leaves: tuple[int, ...]) -> Change:
    """Return a change that gives the tensors of the first forest other shapes."""
    return lambda _, tensors: tensors.update(
        {
            "0.feature": np.zeros(feature, "u1"),
            "0.threshold": np.zeros(threshold, "<f4"),
            "0.leaves": np.zeros(leaves, "<i2"),
        }
    )


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((5, 3), (5, 2), (5, 8)), "each one threshold"),
        (((5, 3), (4, 3), (5, 8)), "each one threshold"),
        (((5, 3), (3, 5), (5, 8)), "each one threshold"),
        (((5, 0), (5, 0), (5, 1)), "1 to 8 levels"),
        (((5, 9), (5, 9), (5, 512)), "1 to 8 levels"),
        (((5, 3), (5, 3), (5, 7)), "of 8 leaves at depth 3"),
        (((5, 3), (5, 3), (5, 16)), "of 8 leaves at depth 3"),
        (((5, 3), (5, 3), (4, 8)), "of 8 leaves at depth 3"),
        (((0, 3), (0, 3), (1, 8)), "of 8 leaves at depth 3"),
        (((4097, 1), (4097, 1), (4097, 2)), "at most 4096 trees"),
        (((15,), (5, 3), (5, 8)), "with two axes"),
        (((), (5, 3), (5, 8)), "with two axes"),
    ],
    ids=str,
)
def test_tensors_of_shapes_that_make_no_forest_are_refused(shapes: Any, reason: str) -> None:
    assert reason in refusal(shaped(*shapes))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("feature", "<i2"),
        ("feature", "<f4"),
        ("threshold", "u1"),
        ("leaves", "u1"),
        ("leaves", "<f4"),
    ],
)
def test_a_tensor_of_another_type_is_refused(name: str, dtype: str) -> None:
    def change(_: object, tensors: dict[str, Any]) -> None:
        tensors[f"0.{name}"] = tensors[f"0.{name}"].astype(dtype)

    assert "of type" in refusal(change)


def with_entry(name: str, value: float) -> Change:
    """Return a change of the last entry of one tensor of the first forest."""

    def change(_: object, tensors: dict[str, Any]) -> None:
        tensor = tensors[f"0.{name}"].copy()
        tensor[-1, -1] = value
        tensors[f"0.{name}"] = tensor

    return change


@pytest.mark.parametrize("index", [len(FEATURES), 255])
def test_a_feature_that_there_is_not_is_refused(index: int) -> None:
    assert "a feature that there is not" in refusal(with_entry("feature", index))


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
def test_a_threshold_that_is_not_finite_is_refused(threshold: float) -> None:
    assert "threshold is not finite" in refusal(with_entry("threshold", threshold))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature", len(FEATURES) - 1),
        ("threshold", np.finfo(np.float32).max),
        ("threshold", np.finfo(np.float32).smallest_subnormal),
        ("threshold", -0.0),
        ("leaves", 2**15 - 1),
        ("leaves", -(2**15)),
    ],
)
def test_an_extreme_entry_of_a_forest_is_taken(name: str, value: float) -> None:
    model = gp.Model(decode(remade(SMALL, with_entry(name, value))))
    assert model.predict(gp.Gemm(512, 512, 512, "bf16")).runtime_s > 0


def test_the_largest_forest_is_taken() -> None:
    model = gp.Model(decode(remade(SMALL, shaped((4096, 1), (4096, 1), (4096, 2)))))
    assert model.predict(gp.Gemm(512, 512, 512, "bf16")).runtime_s > 0


def test_a_forest_without_trees_is_taken_and_says_its_bias() -> None:
    def change(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        shaped((0, 4), (0, 4), (0, 16))(manifest, tensors)
        at(manifest, RUNTIME)["forest"]["bias"] = 8192

    model = gp.Model(decode(remade(SMALL, change)))
    plain = gp.Model(decode(remade(SMALL, shaped((1, 1), (1, 1), (1, 2)))))
    gemm = gp.Gemm(64, 64, 64, "bf16")
    bias = plain._artefact.estimators[0].forest.bias / 8192
    ratio = model.predict(gemm).runtime_s / plain.predict(gemm).runtime_s
    assert ratio == pytest.approx(2.0 ** (1 - bias))
    assert model.predict_batch([64], 64, 64, "bf16").runtime_s[0] == model.predict(gemm).runtime_s


# --- free form, which is in the manifest in version 1 -------------------------------------------


def of_version_1(change: Callable[..., object]) -> Callable[..., object]:
    """Return a change that makes a file of version 1 first, with empty free form."""

    def changed(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        manifest |= {"format_version": 1, "provenance": {}}
        for estimator in manifest["estimators"]:
            estimator["accuracy"] = {}
        change(manifest, tensors)

    return changed


@pytest.mark.parametrize("path", [("provenance",), (*RUNTIME, "accuracy")])
def test_free_form_is_carried_along_as_it_is(path: Path_) -> None:
    value = {"a": [1, -2.5, None, True, "ä\n", {"b": {"c": []}}], "é": {}}
    artefact = decode(remade(SMALL, of_version_1(put(path, value))))
    found = artefact.provenance if path == ("provenance",) else artefact.estimators[0].accuracy
    assert found == value
    assert decode(encode(artefact)) == artefact


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize("path", [("provenance",), (*RUNTIME, "accuracy")])
def test_free_form_that_would_break_whoever_shows_it_is_refused(path: Path_) -> None:
    assert "nested more than 16 deep" in refusal(of_version_1(put(path, nested(9))))
    assert "nested more than 16 deep" in refusal(of_version_1(put(path, nested(200))))
    for value in ({"\ud800": 1}, {"a": ["\udfff"]}, {"a": {"b": "x\ud800"}}):
        assert "surrogate" in refusal(of_version_1(put(path, value)))
    for value in (math.nan, math.inf, 10**30):
        assert "its JSON holds" in refusal(of_version_1(put(path, {"a": value})))


def test_the_card_of_the_deepest_free_form_can_be_shown() -> None:
    model = gp.Model(decode(remade(SMALL, of_version_1(put(("provenance",), nested(7))))))
    assert json.loads(json.dumps(model.card))["provenance"] == nested(7)


def test_no_text_of_a_refusal_repeats_more_than_a_little_of_the_file() -> None:
    long = "x" * 100_000
    for path in (("name",), (*RUNTIME, "dtype"), (*RUNTIME, "forest", "tensors"), ("features", 3)):
        refusal(put(path, long))
    refusal(put(("stand_ins",), {long: "bf16"}))
    refusal(put(("gpu", "peak_flops", long), 1.0))
    refusal(lambda _, tensors: tensors.update({long: np.zeros(1, "u1")}))
