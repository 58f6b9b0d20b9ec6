"""Facts of GPUs: every mistake in the file is one error that names file, GPU, key and rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuilderError, SourceError
from builder.gpus import GpuFactsError, find_gpu, known_gpus, read_gpus
from gpperf_lite import Gpu
from gpperf_lite._builtin import short_name

SHIPPED = Path(__file__).parents[2] / "builder" / "gpus.toml"
GOOD = """
[h200_sxm]
name = "NVIDIA H200"
compute_capability = [9, 0]
sm_count = 132
clock_mhz = 1980
memory_gb = 141
l2_mb = 50
dram_gb_per_s = 4800
power_limit_w = 700
idle_w = 126.2
peak_tflops = { f32 = 66.9, bf16 = 989.4 }

[t4]
name = "Tesla T4"
compute_capability = [7, 5]
sm_count = 40
clock_mhz = 1590
memory_gb = 16
l2_mb = 4
dram_gb_per_s = 320
peak_tflops = { f32 = 8.1 }
"""
H200 = GOOD.partition("[t4]")[0]
LINES = [line for line in H200.splitlines() if " = " in line]
OPTIONAL = ("power_limit_w", "idle_w")
NEEDED = [line for line in LINES if not line.startswith(OPTIONAL)]


def gpus(folder: Path, text: str | bytes) -> dict[str, Gpu]:
    path = folder / "gpus.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_gpus(path)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(GpuFactsError) as caught:
        gpus(folder, text)
    assert isinstance(caught.value, BuilderError)
    return str(caught.value)


def key_of(line: str) -> str:
    return line.partition(" = ")[0]


def test_facts_become_si_units(tmp_path: Path) -> None:
    assert gpus(tmp_path, GOOD) == {
        "h200_sxm": Gpu(
            "NVIDIA H200", (9, 0), 132, 1.98e9, 141e9, 50 * 2.0**20, 4.8e12,
            {"f32": 66.9 * 1e12, "bf16": 989.4 * 1e12}, 700.0, 126.2,
        ),
        "t4": Gpu(
            "Tesla T4", (7, 5), 40, 1.59e9, 16e9, 4 * 2.0**20, 320e9, {"f32": 8.1 * 1e12}
        ),
    }  # fmt: skip


def test_the_file_that_is_shipped_is_valid_and_every_gpu_is_found() -> None:
    assert read_gpus(SHIPPED) == known_gpus()
    for name, gpu in known_gpus().items():
        assert find_gpu(name) == (name, gpu)
    with pytest.raises(SourceError, match="no facts of a GPU called 'H300'"):
        find_gpu("H300")


@pytest.mark.parametrize("line", NEEDED, ids=key_of)
def test_a_fact_that_is_missing_is_named(tmp_path: Path, line: str) -> None:
    text = refusal(tmp_path, GOOD.replace(line, "", 1))
    assert f"gpus.toml: [h200_sxm]: {key_of(line)} must be " in text
    assert text.endswith("(it is missing)")


@pytest.mark.parametrize("key", OPTIONAL)
def test_power_may_be_missing(tmp_path: Path, key: str) -> None:
    line = next(line for line in LINES if key_of(line) == key)
    assert len(gpus(tmp_path, GOOD.replace(line, "", 1))) == 2


@pytest.mark.parametrize("wrong", ["true", '"700 W"', "[]", "{}", "2024-01-01", "nan"])
@pytest.mark.parametrize("line", LINES, ids=key_of)
def test_a_fact_of_a_wrong_type_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    if (key_of(line), wrong) in {("name", '"700 W"'), ("peak_tflops", "{}")}:
        return  # right ones
    text = refusal(tmp_path, GOOD.replace(line, f"{key_of(line)} = {wrong}", 1))
    assert f"gpus.toml: [h200_sxm]: {key_of(line)} must be " in text
    assert " (got " in text


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("name", '""'),
        ("name", '"two\\nlines"'),
        ("compute_capability", "[9]"),
        ("compute_capability", "[9, 0, 0]"),
        ("compute_capability", "[9, -1]"),
        ("compute_capability", "[9.0, 0]"),
        ("sm_count", "0"),
        ("sm_count", "132.0"),
        ("sm_count", "1_000_001"),
        ("clock_mhz", "0"),
        ("clock_mhz", "1e99"),
        ("memory_gb", "-141"),
        ("memory_gb", "inf"),
        ("l2_mb", "0"),
        ("dram_gb_per_s", "1e-9"),
        ("power_limit_w", "0"),
        ("idle_w", "-1"),
        ("idle_w", "700"),
        ("idle_w", "701.5"),
    ],
)
def test_a_fact_out_of_its_range_is_named(tmp_path: Path, key: str, wrong: str) -> None:
    line = next(line for line in LINES if key_of(line) == key)
    text = refusal(tmp_path, GOOD.replace(line, f"{key} = {wrong}", 1))
    assert f"gpus.toml: [h200_sxm]: {key} must be " in text
    assert " (got " in text


@pytest.mark.parametrize(
    ("peaks", "reason"),
    [
        ("bf16 = 0", "peak_tflops: bf16 must be a number from 1e-09 to 1e+09 (got 0)"),
        ("bf16 = 'fast'", "peak_tflops: bf16 must be a number"),
        ("bf61 = 989.4", "peak_tflops: 'bf61' must be a dtype, one of f64 f32"),
        ("bf61 = 989.4", "did you mean 'bf16'"),
        ("f16 = 989.4, half = 989.4", "peak_tflops: f16 must be there once (got 'half' too)"),
    ],
)
def test_a_peak_that_is_none_is_named(tmp_path: Path, peaks: str, reason: str) -> None:
    assert reason in refusal(tmp_path, GOOD.replace("bf16 = 989.4", peaks))


def test_an_unknown_fact_is_named_with_the_nearest(tmp_path: Path) -> None:
    text = refusal(tmp_path, GOOD.replace("sm_count", "sm_counts", 1))
    assert "gpus.toml: [h200_sxm]: unknown key 'sm_counts'; did you mean 'sm_count'?" in text
    assert "(allowed: name compute_capability sm_count " in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("h200_sxm = 1\n", "gpus.toml: [h200_sxm] must be a table (got 1)"),
        ("[[h200_sxm]]\nsm_count = 132\n", "[h200_sxm] must be a table (got [{'sm_count': 132}])"),
        (GOOD.replace("[h200_sxm]", "[H200]"), "[H200] must have the name that it is looked up by"),
        (GOOD.replace("[h200_sxm]", "[H200]"), "[h200_sxm]"),
        ('["\\u001b[2J"]\n', "\\x1b"),
        ("[h200_sxm\n", "no valid TOML"),
        (b"name = '\xff'\n", "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
    ],
)
def test_a_file_that_is_none_of_gpus_is_refused(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    assert reason in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GpuFactsError, match="there is no file of GPUs"):
        read_gpus(tmp_path / "gpus.toml")
    with pytest.raises(GpuFactsError, match="cannot read the file of GPUs"):
        read_gpus(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.booleans().map(lambda value: str(value).lower()),
        st.integers(-(2**70), 2**70).map(str),
        st.floats().map(str),
        st.sampled_from(["'H200'", "''", "'bf16'", "07:32:00", "1979-05-27", "'\\u001b'"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["f16", "half", "a", "name"]), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=5,
)


@given(key=st.sampled_from([*map(key_of, LINES), "unknown"]), value=VALUES)
def test_any_value_makes_gpus_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    lines = [line for line in H200.splitlines() if key_of(line) != key]
    text = "\n".join([*lines, f"{key} = {value}"])
    try:
        found, reason = gpus(tmp_path_factory.getbasetemp(), text), "gpus.toml"
    except GpuFactsError as error:
        found, reason = {}, str(error)
    assert [short_name(name) for name in found] in (["h200_sxm"], [])
    assert "gpus.toml" in reason
    assert reason.isprintable()


@pytest.mark.parametrize("name", known_gpus())
def test_a_gpu_is_found_by_the_name_that_its_driver_reports(name: str) -> None:
    assert find_gpu(known_gpus()[name].name)[0] == name
