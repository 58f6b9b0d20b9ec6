"""Facts of GPUs: every mistake in the file is one error that names file, GPU, key and rule."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.built_in import built_in

import gpperf_lite as gp
from gpperf_lite import Gpu, InputError, UnknownGpuError
from gpperf_lite._gpu_facts import _FILE, find_gpu, known_gpus, read_gpus
from gpperf_lite._gpu_names import short_name

H200 = {
    "name": "NVIDIA H200",
    "source": "NVIDIA H200 data sheet",
    "compute_capability": [9, 0],
    "sm_count": 132,
    "clock_mhz": 1980,
    "memory_gb": 141,
    "l2_mb": 50,
    "dram_gb_per_s": 4800,
    "peak_tflops": {"f32": 66.9, "bf16": 989.4},
    "power_limit_w": 700,
    "idle_w": 126.2,
}
T4 = {
    "name": "Tesla T4",
    "source": "NVIDIA T4 data sheet",
    "compute_capability": [7, 5],
    "sm_count": 40,
    "clock_mhz": 1590,
    "memory_gb": 16,
    "l2_mb": 4,
    "dram_gb_per_s": 320,
    "peak_tflops": {"f32": 8.1},
}
OPTIONAL = ("power_limit_w", "idle_w")
NEEDED = [key for key in H200 if key not in OPTIONAL]


def gpus(folder: Path, content: Any) -> dict[str, Gpu]:
    path = folder / "gpus.json"
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_gpus(path)


def refusal(folder: Path, content: Any) -> str:
    with pytest.raises(InputError) as caught:
        gpus(folder, content)
    assert str(caught.value).isprintable()
    return str(caught.value)


def changed(key: str, value: Any) -> dict[str, Any]:
    return {"h200_sxm": {**H200, key: value}, "t4": T4}


def without(key: str) -> dict[str, Any]:
    return {"h200_sxm": {name: value for name, value in H200.items() if name != key}, "t4": T4}


def test_facts_become_si_units(tmp_path: Path) -> None:
    assert gpus(tmp_path, {"h200_sxm": H200, "t4": T4}) == {
        "h200_sxm": Gpu(
            "NVIDIA H200", (9, 0), 132, 1.98e9, 141e9, 50 * 2.0**20, 4.8e12,
            {"f32": 66.9 * 1e12, "bf16": 989.4 * 1e12}, 700.0, 126.2,
        ),
        "t4": Gpu(
            "Tesla T4", (7, 5), 40, 1.59e9, 16e9, 4 * 2.0**20, 320e9, {"f32": 8.1 * 1e12}
        ),
    }  # fmt: skip


def test_the_file_that_is_shipped_is_valid_and_every_gpu_is_found() -> None:
    assert read_gpus(_FILE) == known_gpus()
    for name, gpu in known_gpus().items():
        assert find_gpu(name) == find_gpu(name.upper()) == (name, gpu)


@pytest.mark.parametrize("name", known_gpus())
def test_a_gpu_is_found_by_the_name_that_its_driver_reports(name: str) -> None:
    assert find_gpu(known_gpus()[name].name)[0] == name


@pytest.mark.parametrize(
    "name", ["NVIDIA A100-SXM4-320GB", "NVIDIA A800 80GB PCIe", "RTX 4091", "H300", "", "é"]
)
def test_a_gpu_that_is_not_known_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called") as caught:
        find_gpu(name)
    assert repr(name) in str(caught.value)
    assert "'gpperf gpus' lists those that are known" in str(caught.value)
    assert "add another to gpperf_lite/gpus.json" in str(caught.value)


def test_a_long_name_is_cut() -> None:
    with pytest.raises(UnknownGpuError) as caught:
        find_gpu("\x1b" * 100_000)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [None, 200, b"h200", ["h200"]])
def test_a_name_that_is_no_text_is_refused(name: Any) -> None:
    with pytest.raises(InputError, match="the name of a GPU must be a text"):
        find_gpu(name)


def test_what_a_caller_does_to_the_gpus_it_got_does_not_change_the_next_ones() -> None:
    known_gpus().clear()
    assert "h200_sxm" in known_gpus()


@pytest.mark.parametrize("name", gp.available())
def test_a_built_in_model_holds_the_facts_of_its_gpu(name: str) -> None:
    gpu, known = built_in(name).gpu, known_gpus()[name]
    # What is idle may be estimated, for a board whose power was not measured; a note says so.
    assert replace(gpu, idle_power_w=known.idle_power_w) == known
    assert known.idle_power_w in (None, gpu.idle_power_w)


def test_facts_of_a100_and_gb300() -> None:
    """Those of NVIDIA's data sheets; L2 and SMs of GB300 are those of GB200."""
    a100, gb200, gb300 = (known_gpus()[name] for name in ("a100_sxm", "gb200", "gb300"))
    assert (a100.compute_capability, a100.sm_count, a100.clock_hz) == ((8, 0), 108, 1.41e9)
    assert (a100.memory_bytes, a100.l2_bytes) == (80e9, 40 * 2.0**20)
    assert (a100.dram_bytes_per_s, a100.power_limit_w) == (2.039e12, 400.0)
    tflops = {"f64": 19.5, "f32": 19.5, "tf32": 156, "f16": 312, "bf16": 312, "s8": 624}
    assert a100.peak_flops == {dtype: peak * 1e12 for dtype, peak in tflops.items()}
    assert (gb300.compute_capability, gb300.sm_count) == ((10, 3), gb200.sm_count)
    assert (gb300.l2_bytes, gb300.dram_bytes_per_s) == (gb200.l2_bytes, gb200.dram_bytes_per_s)
    assert (gb300.memory_bytes, gb300.power_limit_w) == (279e9, 1400.0)
    assert gb300.peak_flops == {
        **{dtype: gb200.peak_flops[dtype] for dtype in ("f32", "tf32", "f16", "bf16")},
        **dict.fromkeys(("fp8", "fp8_block"), 5e15),
        "nvfp4": 15e15,
    }


def test_arithmetic_in_half_the_bits_is_at_least_as_fast() -> None:
    """A slip in one digit of a peak breaks the order, or a ratio that no GPU has."""
    for name, gpu in known_gpus().items():
        for wide, narrow in (("f32", "tf32"), ("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "nvfp4")):
            if wide in gpu.peak_flops and narrow in gpu.peak_flops:
                ratio = gpu.peak_flops[narrow] / gpu.peak_flops[wide]
                # Where sums in f32 are halved, tf32 is as fast as f32, and fp4 is not halved.
                least = 0.99 if wide == "f32" else 1.9
                most = {"f32": 16.0, "fp8": 4.1}.get(wide, 2.1)
                assert least < ratio < most, (name, narrow)
        if gpu.compute_capability >= (8, 0):  # before, there was no bf16
            assert gpu.peak_flops.get("f16") == gpu.peak_flops.get("bf16"), name


def test_neither_importing_nor_loading_reads_the_facts() -> None:
    code = (
        "import sys; opened = []; "
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) "
        "if event == 'open' else None); "
        "import gpperf_lite; gpperf_lite.load('h200').predict(gpperf_lite.Gemm(64, 64, 64)); "
        "before = any('gpus.json' in path for path in opened); "
        "assert 'gpperf_lite._gpu_facts' not in sys.modules; "
        "import gpperf_lite._gpu_facts as facts; "
        "imported = any('gpus.json' in path for path in opened); facts.known_gpus(); "
        "print(before, imported, any('gpus.json' in path for path in opened))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(gp.__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False", "True"]


@pytest.mark.parametrize("key", NEEDED)
def test_a_fact_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    text = refusal(tmp_path, without(key))
    assert f"gpus.json: h200_sxm: {key} must be " in text
    assert text.endswith("(it is missing)")


@pytest.mark.parametrize("key", OPTIONAL)
def test_power_may_be_missing(tmp_path: Path, key: str) -> None:
    assert len(gpus(tmp_path, without(key))) == 2


@pytest.mark.parametrize("wrong", [None, True, "700 W", [], {}, math.nan], ids=repr)
@pytest.mark.parametrize("key", H200)
def test_a_fact_of_a_wrong_type_is_named(tmp_path: Path, key: str, wrong: Any) -> None:
    if (key, wrong) in [("name", "700 W"), ("source", "700 W"), ("peak_tflops", {})]:
        return  # right ones
    text = refusal(tmp_path, changed(key, wrong))
    assert f"gpus.json: h200_sxm: {key} must be " in text
    assert " (got " in text


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("name", ""),
        ("name", "two\nlines"),
        ("source", "a" * 513),
        ("compute_capability", [9]),
        ("compute_capability", [9, 0, 0]),
        ("compute_capability", [9, -1]),
        ("compute_capability", [9.0, 0]),
        ("sm_count", 0),
        ("sm_count", 132.0),
        ("sm_count", 1_000_001),
        ("clock_mhz", 0),
        ("clock_mhz", 1e99),
        ("memory_gb", -141),
        ("memory_gb", math.inf),
        ("memory_gb", 10**400),
        ("l2_mb", 0),
        ("dram_gb_per_s", 1e-9),
        ("power_limit_w", 0),
        ("idle_w", -1),
        ("idle_w", 700),
        ("idle_w", 701.5),
    ],
)
def test_a_fact_out_of_its_range_is_named(tmp_path: Path, key: str, wrong: Any) -> None:
    text = refusal(tmp_path, changed(key, wrong))
    assert f"gpus.json: h200_sxm: {key} must be " in text
    assert " (got " in text


@pytest.mark.parametrize(
    ("peaks", "reason"),
    [
        ({"bf16": 0}, ": bf16 must be a number from 1e-09 to 1e+09 (got 0)"),
        ({"bf16": "fast"}, ": bf16 must be a number"),
        ({"bf61": 989.4}, ": 'bf61' must be a dtype, one of f64 f32"),
        ({"bf61": 989.4}, "did you mean 'bf16'"),
        ({"f16": 989.4, "half": 989.4}, ": f16 must be there once (got 'half' too)"),
    ],
)
def test_a_peak_that_is_none_is_named(tmp_path: Path, peaks: Any, reason: str) -> None:
    text = refusal(tmp_path, changed("peak_tflops", peaks))
    assert "gpus.json: h200_sxm: peak_tflops: " in text
    assert reason in text


def test_an_unknown_fact_is_named_with_the_nearest(tmp_path: Path) -> None:
    text = refusal(tmp_path, changed("sm_counts", 132))
    assert "gpus.json: h200_sxm: unknown key 'sm_counts'; did you mean 'sm_count'?" in text
    assert "(allowed: name source compute_capability sm_count " in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "gpus.json must be a JSON object (got [])"),
        ({"h200_sxm": 1}, "gpus.json: h200_sxm must be a JSON object (got 1)"),
        ({"h200_sxm": [H200]}, "h200_sxm must be a JSON object (got [{'name'"),
        ({"H200": H200}, "gpus.json: H200 must have the name that it is looked up by, 'h200_sxm'"),
        ({"\x1b[2J": H200}, "\\x1b"),
        ({"\ud800": H200}, "\\ud800"),
        ('{"t4": 1, "t4": 2}', "no valid JSON (the key 't4' is there twice)"),
        ('{"t4": {"sm_count": 1, "sm_count": 2}}', "the key 'sm_count' is there twice"),
        ("{", "no valid JSON"),
        ("", "no valid JSON"),
        (b'{"\xff": 1}', "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('{"t4": ' + "9" * 5000 + "}", "gpus.json"),
    ],
)
def test_a_file_that_is_none_of_gpus_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    assert reason in refusal(tmp_path, content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file of GPUs"):
        read_gpus(tmp_path / "gpus.json")
    with pytest.raises(InputError, match="cannot read the file of GPUs"):
        read_gpus(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.sampled_from(["H200", "", "bf16", "\x1b", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["f16", "half", "a", "name"]), inner, max_size=3),
    ),
    max_leaves=5,
)


@given(key=st.sampled_from([*H200, "unknown", "\u202e"]), value=VALUES)
def test_any_value_makes_gpus_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    try:
        found = gpus(tmp_path_factory.getbasetemp(), {"h200_sxm": {**H200, key: value}})
        reason = "gpus.json"
    except InputError as error:
        found, reason = {}, str(error)
    assert [short_name(name) for name in found] in (["h200_sxm"], [])
    assert "gpus.json" in reason
    assert reason.isprintable()


@given(place=st.floats(0, 0.9999), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_an_error_of_ours_or_makes_gpus(
    tmp_path_factory: pytest.TempPathFactory, place: float, value: int, cut: bool
) -> None:
    content = bytearray(json.dumps({"h200_sxm": H200, "t4": T4}).encode())
    index = int(place * len(content))
    content[index:] = b"" if cut else bytes([value]) + content[index + 1 :]
    try:
        found, reason = gpus(tmp_path_factory.getbasetemp(), bytes(content)), "gpus.json"
    except InputError as error:
        found, reason = {}, str(error)
    assert len(found) in (2, 0)
    assert "gpus.json" in reason
    assert reason.isprintable()
