"""Sweeps: what a file may say, and what is said of one that says something else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan import Point, Sweep, read_sweep
from builder.plan.sweep import Group, Range, Shapes, Size, SweepError
from gpperf_lite import Gemm

SWEEPS = sorted((Path(__file__).parents[3] / "cuda" / "sweeps").glob("*.toml"))
GOOD = """
seed = 7
points = 100
budget_s = 540
power_share = 0.5
largest_bytes = 1e9
longest_s = 0.05
memory_share = 0.2

[shapes.drawn]
log2_m = [0, 14.5]
log2_n = [3, 15]
log2_k = [3, 15]
batch = [1, 1, 8]
scalars = [[1, 0], [1.0, 0.5]]

[shapes.listed]
list = [[1, 2, 3], [4, 4, 8]]
grid = { m = [4], n = [4, 5], k = [8] }

[[kernels]]
names = ["library"]
weight = 3
shapes = "drawn"
dtypes = ["f16", "fp8"]
layouts = ["tn"]
multiples = { n = 16, k = 8 }
head_to_head = 0.25
head_to_head_kernels = 5

[[kernels]]
names = ["tiled_*", "cutlass_simt_*"]
shapes = "listed"
"""
SHORT = """
[shapes.a]
list = [[1, 1, 1]]
[[kernels]]
names = ["library"]
shapes = "a"
"""


def sweep(folder: Path, text: str | bytes) -> Sweep:
    path = folder / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sweep(path)


def test_a_sweep_is_what_its_file_says(tmp_path: Path) -> None:
    ranges = (Range(0.0, 14.5), Range(3.0, 15.0), Range(3.0, 15.0))
    drawn = Shapes(ranges, (), (1, 1, 8), ((1.0, 0.0), (1.0, 0.5)))
    listed = Shapes(None, (Size(1, 2, 3), Size(4, 4, 8), Size(4, 5, 8)))
    assert sweep(tmp_path, GOOD) == Sweep(
        "mine",
        (
            Group(("library",), drawn, 3, ("f16", "fp8"), ("tn",), Size(1, 16, 8), 0.25, 5),
            Group(("tiled_*", "cutlass_simt_*"), listed),
        ),
        7, 100, 540.0, 0.5, 1e9, 0.05, 0.2,
    )  # fmt: skip
    assert sweep(tmp_path, GOOD).kernels == ("library", "tiled_*", "cutlass_simt_*")


def test_what_a_sweep_does_not_say_has_a_default(tmp_path: Path) -> None:
    assert sweep(tmp_path, SHORT) == Sweep(
        "mine", (Group(("library",), Shapes(None, (Size(1, 1, 1),))),)
    )


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_that_is_shipped_is_valid(path: Path) -> None:
    assert read_sweep(path).name == path.stem


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("seed = 7", "-1"),
        ("seed = 7", "1.0"),
        ("seed = 7", "true"),
        ("seed = 7", '"7"'),
        ("points = 100", "0"),
        ("points = 100", "1e3"),
        ("budget_s = 540", "0"),
        ("budget_s = 540", "inf"),
        ("budget_s = 540", "[540]"),
        ("power_share = 0.5", "1"),
        ("power_share = 0.5", "nan"),
        ("largest_bytes = 1e9", "0"),
        ("longest_s = 0.05", "-0.05"),
        ("memory_share = 0.2", "1.5"),
        ("log2_m = [0, 14.5]", "[14.5, 0]"),
        ("log2_m = [0, 14.5]", "[0]"),
        ("log2_m = [0, 14.5]", "[0, 32]"),
        ("log2_m = [0, 14.5]", "[-1, 14]"),
        ("log2_m = [0, 14.5]", "[0, nan]"),
        ("log2_m = [0, 14.5]", f"[0, {10**400}]"),
        ("log2_m = [0, 14.5]", "[1.1, 1.2]"),
        ("log2_m = [0, 14.5]", "14"),
        ("batch = [1, 1, 8]", "[]"),
        ("batch = [1, 1, 8]", "[0]"),
        ("batch = [1, 1, 8]", "1"),
        ("batch = [1, 1, 8]", "[1.0]"),
        ("scalars = [[1, 0], [1.0, 0.5]]", "[1, 0]"),
        ("scalars = [[1, 0], [1.0, 0.5]]", "[[1]]"),
        ("scalars = [[1, 0], [1.0, 0.5]]", "[[1, inf]]"),
        ("scalars = [[1, 0], [1.0, 0.5]]", "[[1, true]]"),
        ("list = [[1, 2, 3], [4, 4, 8]]", "[[1, 2]]"),
        ("list = [[1, 2, 3], [4, 4, 8]]", "[[1, 2, 0]]"),
        ("list = [[1, 2, 3], [4, 4, 8]]", "[[1, 2, 2147483648]]"),
        ("list = [[1, 2, 3], [4, 4, 8]]", "[1, 2, 3]"),
        ("grid = { m = [4], n = [4, 5], k = [8] }", "[4, 4, 8]"),
        ('names = ["library"]', '"library"'),
        ('names = ["library"]', "[]"),
        ('names = ["library"]', '[""]'),
        ("weight = 3", "0"),
        ("weight = 3", "1.5"),
        ('shapes = "drawn"', '"dawn"'),
        ('shapes = "drawn"', '["drawn"]'),
        ('dtypes = ["f16", "fp8"]', '["float"]'),
        ('dtypes = ["f16", "fp8"]', '["f16", "f16"]'),
        ('dtypes = ["f16", "fp8"]', "[]"),
        ('layouts = ["tn"]', '["row"]'),
        ('layouts = ["tn"]', '"tn"'),
        ("multiples = { n = 16, k = 8 }", "16"),
        ("head_to_head = 0.25", "-0.1"),
        ("head_to_head = 0.25", "1.1"),
        ("head_to_head = 0.25", "true"),
        ("head_to_head = 0.25", '"all"'),
        ("head_to_head_kernels = 5", "1"),
        ("head_to_head_kernels = 5", "2.5"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(
    tmp_path: Path, line: str, value: str
) -> None:
    key = line.split(" = ")[0]
    with pytest.raises(SweepError, match=rf"mine\.toml.*: {key} must be .* \(got "):
        sweep(tmp_path, GOOD.replace(line, f"{key} = {value}"))


@pytest.mark.parametrize(
    ("line", "wrong", "where"),
    [
        ("grid = { m = [4]", "grid = { m = [0]", r"\[shapes.listed\]: grid: m must be "),
        ("grid = { m = [4]", "grid = { mm = [4]", r"\[shapes.listed\]: grid: unknown key 'mm'"),
        ("{ n = 16, k = 8 }", "{ n = 0 }", r"number 1: multiples: n must be an integer"),
        ("{ n = 16, k = 8 }", "{ batch = 2 }", r"number 1: multiples: unknown key 'batch'"),
    ],
)
def test_an_error_inside_a_value_says_where(
    tmp_path: Path, line: str, wrong: str, where: str
) -> None:
    with pytest.raises(SweepError, match=where):
        sweep(tmp_path, GOOD.replace(line, wrong))


@pytest.mark.parametrize(
    ("line", "unknown", "hint"),
    [
        ("seed = 7", "seeds = 7", "did you mean 'seed'"),
        ("log2_k = [3, 15]", "log2_kk = [3, 15]", "did you mean 'log2_k'"),
        ("weight = 3", "wieght = 3", "did you mean 'weight'"),
        ("list = [[1, 2, 3], [4, 4, 8]]", "lists = [[1, 2, 3]]", "did you mean 'list'"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    tmp_path: Path, line: str, unknown: str, hint: str
) -> None:
    key = unknown.split(" = ")[0]
    with pytest.raises(SweepError, match=rf"unknown key '{key}'; {hint}.* \(allowed: "):
        sweep(tmp_path, GOOD.replace(line, unknown))


def test_a_name_of_shapes_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="shapes must be one of drawn listed; did you mean 'draw"):
        sweep(tmp_path, GOOD.replace('"drawn"', '"drwan"'))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "shapes must be tables .* at least one .it is missing"),
        ("[shapes.a]\nlist = [[1, 1, 1]]\n", "kernels must be tables .*it is missing"),
        (SHORT.replace('names = ["library"]', ""), "number 1: names must be .*it is missing"),
        (SHORT.replace('shapes = "a"', ""), "number 1: shapes must be .*it is missing"),
        (SHORT.replace("list = [[1, 1, 1]]", ""), r"\[shapes.a\] must have log2_m .* or a grid"),
        (SHORT.replace("list = [[1, 1, 1]]", "log2_m = [0, 1]"), "log2_n must be .*it is missing"),
        (SHORT.replace("list = [[1, 1, 1]]", "grid = { m = [1], k = [1] }"), "grid: n must be"),
        (GOOD.replace("points = 100", ""), "points must be said where shapes are drawn"),
        (SHORT.replace("[shapes.a]\nlist", "shapes"), "shapes must be tables"),
        (SHORT.replace("[[kernels]]", "[kernels]"), "kernels must be tables"),
        ("shapes = { a = 1 }\nkernels = [1]", r"\[shapes.a\] must be a table .got 1"),
        ("shapes = { a = { list = [[1, 1, 1]] } }\nkernels = [1]", "number 1 must be a table"),
        ("[a\n", "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
        (b"name = '\xff'\n", "no valid TOML"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(SweepError, match=reason):
        sweep(tmp_path, text)


def test_a_sweep_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="there is no sweep"):
        read_sweep(tmp_path / "sweep.toml")
    with pytest.raises(SweepError, match="cannot read the sweep"):
        read_sweep(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**40), 2**40),
        st.floats(),
        st.sampled_from(["library", "a", "tn", "f16", ""]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["m", "n", "k", "a"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def toml(value: Any) -> str:
    """Return a value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f'"{value}"' if isinstance(value, str) else repr(value)


LINES = [line for line in GOOD.splitlines() if " = " in line]


@given(line=st.sampled_from(LINES), value=VALUES)
def test_any_value_makes_a_sweep_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, line: str, value: Any
) -> None:
    text = GOOD.replace(line, f"{line.split(' = ')[0]} = {toml(value)}", 1)
    try:
        found = sweep(tmp_path_factory.getbasetemp(), text)
    except SweepError as error:
        found, reason = None, str(error)
    assert "mine.toml" in reason if found is None else found.groups


SIZES = st.integers(1, 40)
POINTS = st.builds(
    Point,
    st.sampled_from(["library", "tiled_sgemm_1", "tiled_sgemm_11"]),
    st.builds(
        Gemm,
        SIZES,
        SIZES,
        SIZES,
        dtype=st.sampled_from(["f32", "f16"]),
        layout=st.sampled_from(["nn", "tn"]),
        batch=SIZES,
        alpha=st.sampled_from([1.0, 0.1, 0.1 + 2**-56, -1.0]),
        beta=st.sampled_from([0.0, -0.0, 1.0]),
    ),
)


@given(first=POINTS, second=POINTS)
def test_two_points_have_one_key_only_if_they_are_one(first: Point, second: Point) -> None:
    assert (first.key == second.key) == (first == second)


def test_the_key_of_a_point_does_not_change() -> None:
    gemm = Gemm(1, 2, 3, "bf16", "nt", 4, 0.5, 1.0)
    assert Point("library", gemm).key == "library 1x2x3x4 bf16 nt 0.5 1.0"


@pytest.mark.parametrize("key", ["head_to_head", "contest"])
def test_a_list_has_no_head_to_heads_as_each_kernel_runs_all_of_it(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(SweepError, match=rf"number 1: {key} must be 0 where .* \(got 0\.5\)"):
        sweep(tmp_path, SHORT + f"{key} = 0.5")
    assert sweep(tmp_path, SHORT + f"{key} = 0").groups[0].head_to_head == 0.0


def with_old_keys(text: str) -> str:
    return text.replace("head_to_head_kernels", "contestants").replace("head_to_head", "contest")


def test_the_old_names_of_keys_are_still_read(tmp_path: Path) -> None:
    old = with_old_keys(GOOD)
    assert "contest = 0.25" in old
    assert "contestants = 5" in old
    assert sweep(tmp_path, old) == sweep(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("line", "value"),
    [("contest = 0.25", "1.1"), ("contest = 0.25", '"all"'), ("contestants = 5", "1")],
)
def test_a_wrong_value_of_an_old_key_is_named_as_the_file_does(
    tmp_path: Path, line: str, value: str
) -> None:
    key = line.split(" = ")[0]
    with pytest.raises(SweepError, match=rf"mine\.toml.*number 1: {key} must be .* \(got "):
        sweep(tmp_path, with_old_keys(GOOD).replace(line, f"{key} = {value}"))


@pytest.mark.parametrize(
    ("old", "new"), [("contest = 0.5", "head_to_head"), ("contestants = 3", "head_to_head_kernels")]
)
def test_a_key_is_given_by_one_of_its_two_names(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(SweepError, match=rf"number 1 must have {new} or contest\w*, its old name"):
        sweep(tmp_path, GOOD.replace("weight = 3", f"weight = 3\n{old}"))


def test_the_points_of_one_gemm_have_one_key_of_it() -> None:
    gemm, other = Gemm(8, 16, 32), Gemm(8, 16, 32, layout="nn")
    assert Point("a", gemm).gemm_key == Point("b", gemm).gemm_key != Point("a", other).gemm_key
    assert Point("a", gemm).key == f"a {Point('b', gemm).gemm_key}"
