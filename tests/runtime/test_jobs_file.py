"""A file of jobs: columns in any order, numbers as people type them, mistakes named by line."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpperf_lite as gp
from gpperf_lite import _jobs_file

HEAD = "job,m,n,k,dtype"
ROW = "a,1,2,3,bf16"


def read(tmp_path: Path, text: str | bytes) -> gp.Jobs:
    path = tmp_path / "jobs.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return gp.read_jobs(path)


def listed(jobs: gp.Jobs) -> list[tuple[object, ...]]:
    """Return job, sizes, count and facts of each line."""
    numbers = zip(*jobs.sizes.values(), jobs.counts, strict=True)
    return [
        (jobs.names[job], *map(int, line), *jobs.groups[group])
        for job, line, group in zip(jobs.job, numbers, jobs.group, strict=True)
    ]


def test_columns_have_any_order_and_lines_of_a_job_need_not_stand_together(tmp_path: Path) -> None:
    text = (
        "count,dtype,k,n,m,job,layout,beta,batch,kernel,deadline_s\n"
        "7,fp8,3,2,1,b,nt,0.5,4,vllm,\n"
        "1,bf16,30,20,10,a,,,,,\n"
        "\n"
        ",half,300,200,100,b,,,,,1.5e3\n"
    )
    jobs = read(tmp_path, text)
    assert (jobs.names, jobs.deadlines_s) == (("b", "a"), (1500.0, None))
    assert listed(jobs) == [
        ("b", 1, 2, 3, 4, 7, "fp8", "nt", 0.5, "vllm"),
        ("b", 100, 200, 300, 1, 1, "f16", "tn", 0.0, None),
        ("a", 10, 20, 30, 1, 1, "bf16", "tn", 0.0, None),
    ]
    assert repr(jobs) == "<gpperf_lite.Jobs 2 jobs, 3 lines>"


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEAD}\n{ROW}\n",
        f"{HEAD}\r\n{ROW}\r\n\r\n",
        f"{HEAD}\n{ROW}",
        "JOB; M ;N;K;dtype\na; 1 ;2;3;BF16\n",
        "job\tm\tn\tk\tdtype\na\t1\t2.0\t3e0\tbfloat16\n",
        '"job","m","n","k","dtype"\n"a","1","2","3","bf16"\n ,,,,\n',
        f"\n\n{HEAD},count\n{ROW},1\n",
    ],
)
def test_what_spreadsheets_write_is_taken(tmp_path: Path, text: str) -> None:
    assert listed(read(tmp_path, text)) == [("a", 1, 2, 3, 1, 1, "bf16", "tn", 0.0, None)]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "it is empty: the header job,m,n,k,dtype is missing"),
        ("\n \n", 1, "it is empty"),
        ("job,count\n", 1, "the header has no column m n k dtype"),
        (f"{HEAD}\n", 1, "there is no line of a job below the header"),
        ("job,m,n,k\na,1,2,3\n", 1, "the header has no column dtype"),
        (f"{HEAD},m\n", 1, "there are two columns 'm'"),
        (f"{HEAD},cuont\n{ROW},1\n", 1, r"\(got 'cuont'\); did you mean 'count'\?"),
        (f"{HEAD}\n{ROW}\na,1,2\n", 3, "it has 3 fields, and the header 5"),
        (f"{HEAD}\n\n\na,4k,2,3,bf16\n", 4, "m must be a whole number .* write 4096 or 4000"),
        (f'{HEAD}\na,"4,096",2,3,bf16\n', 2, r"m must be a whole number \(got '4,096'\)"),
        (f"{HEAD}\na,1,0,3,bf16\n", 2, "n must be an integer from 1 to 2147483647"),
        (f"{HEAD}\na,1,2,3000000000,bf16\n", 2, "k must be an integer from 1 to 2147483647"),
        (f"{HEAD}\na,1,,3,bf16\n", 2, r"n must be a whole number \(got ''\)"),
        (f"{HEAD}\na,1,2,3,bf17\n", 2, "dtype must be one of .* did you mean 'bf16'"),
        (f"{HEAD},layout\n{ROW},tx\n", 2, "layout must be one of nn nt tn tt"),
        (f"{HEAD},beta\n{ROW},nan\n", 2, "beta must be a finite number"),
        ("job;m;n;k;dtype;beta\na;1;2;3;bf16;0,5\n", 2, "beta must be .*: a comma is no point"),
        (f"{HEAD},count\n{ROW},0\n", 2, "count must be an integer from 1"),
        (f"{HEAD},batch\n{ROW},-1\n", 2, "batch must be a whole number"),
        (f"{HEAD},deadline_s\n{ROW},0\n", 2, "deadline_s must be a number above 0"),
        (
            f"{HEAD},deadline_s\n{ROW},1\n{ROW},2\n",
            3,
            "deadline_s of job 'a' is 2, and 1 in line 2",
        ),
        (f"{HEAD}\n ,1,2,3,bf16\n", 2, "the name of a job must be a text that is not empty"),
        (f'{HEAD}\n"a,1,2,3,bf16\n', 2, "it is no CSV"),
        (f"{HEAD}\n{'a' * 200_000},1,2,3,bf16\n", 2, "it is no CSV"),
        (f"{HEAD}\n".encode() + b"\xe9,1,2,3,bf16\n", 2, "it is not UTF-8"),
        (f"{HEAD}\n".encode("utf-16"), 1, "it is not UTF-8"),
    ],
)
def test_a_mistake_is_named_by_its_line(
    tmp_path: Path, text: str | bytes, line: int, why: str
) -> None:
    with pytest.raises(gp.InputError, match=rf"jobs\.csv, line {line}: .*{why}"):
        read(tmp_path, text)


def test_a_mistake_far_down_has_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jobs_file, "_BLOCK", 7)
    good = f"{HEAD}\n" + f"{ROW}\n" * 50
    assert len(read(tmp_path, good).counts) == 50
    with pytest.raises(gp.InputError, match="line 52: m must be"):
        read(tmp_path, f"{good}a,x,2,3,bf16\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(gp.InputError, match="cannot be read: .*none.csv: No such file"):
        gp.read_jobs(tmp_path / "none.csv")
    with pytest.raises(gp.InputError, match="Is a directory"):
        gp.read_jobs(tmp_path)
    with pytest.raises(gp.InputError, match="must be a path"):
        gp.read_jobs(3)  # type: ignore[arg-type]


def test_a_minus_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(f"{HEAD}\n{ROW}\nb,0,0,0,bf16\n".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(gp.InputError, match="^stdin, line 3: m must be"):
        gp.read_jobs("-")


names = st.text(st.characters(codec="utf-8"), min_size=1).map(str.strip).filter(bool)
rows = st.tuples(
    names.filter(lambda name: not {"\n", "\r", "\0"} & set(name)),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.sampled_from(["bf16", "fp8"]),
    st.integers(1, 10**15),
)


@given(st.lists(rows, min_size=1, max_size=8))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, some: list) -> None:  # type: ignore[type-arg]
    """Lines of a job come in their order; a job is as many lines as it has in the file."""
    text = io.StringIO()
    csv.writer(text).writerows([[*HEAD.split(","), "count"], *some])
    jobs = read(tmp_path_factory.mktemp("jobs"), text.getvalue())
    found = [(job, m, n, k, dtype, count) for job, m, n, k, _, count, dtype, *_ in listed(jobs)]
    order = list(dict.fromkeys(job for job, *_ in some))
    assert found == sorted(some, key=lambda row: order.index(row[0]))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_jobs_or_a_mistake_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("jobs")
    for head in (b"", b"job,m,n,k,dtype\n"):
        with suppress(gp.InputError):
            assert len(read(folder, head + data)) >= 1
