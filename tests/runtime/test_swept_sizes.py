"""Sizes as people type them: whole numbers, lists and ranges; what has two meanings is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.shell import refused

import gpperf_lite as gp
from gpperf_lite._sweep import typed_sizes

numbers = st.integers(1, 2**31 - 1)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4096", [4096]),
        ("4_096", [4096]),
        ("1_048_576", [1048576]),
        ("1e3", [1000]),
        ("4.096E3", [4096]),
        ("0512", [512]),  # as `seq -w` counts
        ("1024,4096", [1024, 4096]),
        ("1024, 4096", [1024, 4096]),
        ("4,608", [4, 608]),  # nothing tells it from a list such as 64,128
        ("128,1e3", [128, 1000]),
        ("1024:4096:1024", [1024, 2048, 3072, 4096]),
        ("1:3,8", [1, 2, 3, 8]),
    ],
)
def test_a_text_of_one_meaning_is_taken(text: str, sizes: list[int]) -> None:
    assert typed_sizes("m", text) == sizes


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("4,096", "'096' begins with a zero: write 4096 if that is meant"),
        ("1,048,576", "'048' begins with a zero: write 1048576 if that is meant"),
        ("1,024:2,048", "'024' begins with a zero: write 1024:2048 if"),
        ("1,02e3", "'02e3' begins with a zero"),
        ("64,0128", "'0128' begins with a zero"),
        ("0,5", "a comma stands between sizes, which are whole numbers from 1 on"),
        ("64,0", "a comma stands between sizes"),
        ("4k", "write 4096 or 4000, as 4k may be either"),
        ("4K", "write 4096 or 4000, as 4K may be either"),
        ("4Ki", "write 4096$"),
        ("2M", "write 2097152 or 2000000"),
        ("4.096", "write it without a point"),
        ("4096.0", "write it without a point"),
        ("1.5e0", "1.5e0 is 1.5"),
        ("4096,", r"got '4096,'\)$"),
        ("", r"got ''\)$"),
        ("4 096", "a whole number"),
        ("1_2", "a whole number"),
        ("+5", "a whole number"),
        ("-5", "a whole number"),
        ("\N{FULLWIDTH DIGIT FOUR}", "a whole number"),
        ("9" * 5000, "a whole number"),
    ],
)
def test_a_text_of_two_meanings_or_none_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(gp.InputError, match=f"^m must be .*{advice}"):
        typed_sizes("m", text)


@given(st.lists(numbers, min_size=1))
def test_a_list_is_what_was_listed(sizes: list[int]) -> None:
    assert typed_sizes("m", ",".join(map(str, sizes))) == sizes
    assert typed_sizes("m", ",".join(f"{size:_}" for size in sizes)) == sizes


@given(st.integers(1000, 2**31 - 1))
def test_a_number_with_commas_of_thousands_is_never_another_one(size: int) -> None:
    """It is refused wherever a zero tells it, and never a smaller number of sizes than it shows."""
    text = f"{size:,}"
    groups = text.split(",")
    if any(group.startswith("0") for group in groups):
        with pytest.raises(gp.InputError, match="begins with a zero"):
            typed_sizes("m", text)
    else:
        assert typed_sizes("m", text) == [int(group) for group in groups]


@given(st.text(alphabet="0123456789kKeE,.:_ +-x", max_size=12) | st.text(max_size=20))
def test_any_text_is_sizes_or_an_error_of_ours(text: str) -> None:
    with suppress(gp.InputError):
        sizes = typed_sizes("k", text)
        assert sizes
        assert all(isinstance(size, int) for size in sizes)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["4096x4096x4096"], "put blanks between them: 4096 4096 4096"),
        (["4096,64,512"], "put blanks between them: 4096 64 512"),
        (["64", "64"], "three sizes are needed, M N K or --m --n --k (got 2)\n"),
        (["64", "64", "64", "--batch=4,096"], "batch must be a whole number"),
        (["64", "64", "64", "--confidence=0,95"], "such as 0.95 (got '0,95'): a comma is no point"),
        (["64", "64", "64", "--confidence=95%"], "--confidence: it must be a number such as 0.95"),
        (["64", "64", "64", "--alpha=0,5"], "--alpha: it must be a number"),
        (["64", "64", "64", "--beta=half"], "--beta: it must be a number"),
    ],
)
def test_the_command_answers_what_people_type(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    assert hint in refused(capsys, "predict", *arguments)
