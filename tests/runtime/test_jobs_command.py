"""The command `jobs`: a table for people, JSON and CSV for programs, and what it does not model."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from stand_ins.shell import printed, refused

import gpperf_lite as gp

TEXT = """job,m,n,k,dtype,count,deadline_s
prefill,2048,6144,4096,bf16,32_000,60
prefill,2048,4096,4096,bf16,32000,
decode,16,6144,4096,fp8,1e5,
\x1b[31mred,16,6144,4096,nvfp4,1,
large,1000000,1000000,4096,bf16,,
"""
GPUS = "h200,b200,l40s,rtx2080ti"


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    path = tmp_path / "jobs.csv"
    path.write_text(TEXT)
    return str(path)


def test_the_table_marks_the_cheapest_and_tells_what_is_meant(
    jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, head, *lines = printed(
        capsys, "jobs", jobs, f"--gpu={GPUS}", "--power-cap=800"
    ).splitlines()
    assert first == "* the fewest joules of a job, within its limits"
    assert head.split()[:8] == [
        "job", "GPU", "runtime", "low", "high", "sustained", "deadline", "energy",
    ]  # fmt: skip
    assert all(line == line.rstrip() for line in lines)
    marked = [line.split()[:2] for line in lines[:16] if "*" in line]
    assert marked == [["prefill", "h200_sxm"], ["decode", "h200_sxm"], ["?[31mred", "b200_sxm"]]
    (unknown,) = (line for line in lines[:16] if line.split()[:2] == ["prefill", "rtx2080ti"])
    assert unknown.split()[2:] == ["-", "-", "-", "-", "60.00", "s", *"-" * 5]
    text = "\n".join(lines)
    assert "prefill on b200_sxm: its peak of 871.4 W is above the power cap of 800.0 W" in text
    assert "prefill on rtx2080ti: dtype must be one that rtx2080ti answers for: f16" in text
    assert "large on l40s: a GEMM does not fit in memory" in text
    assert "cheapest on none: 1 of 4 jobs" in text
    assert "cheapest on h200_sxm: 2 of 4 jobs, " in text
    assert "(3 lines)" in text
    assert "as the errors of one model go\n  together" in text
    assert "no slowdown is modelled" in text
    assert "\x1b" not in text
    assert "slowdown" not in printed(capsys, "jobs", jobs, "--gpu=h200")


def test_json_and_csv_are_the_placements(
    jobs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--gpu=h200,rtx4070", "--power-cap=690", "--deadline=1e-3", "--confidence=0.5"]
    asked = {"power_cap_w": 690.0, "deadline_s": 1e-3, "confidence": 0.5}
    expected = gp.place_jobs(gp.read_jobs(jobs), ["h200", "rtx4070"], **asked)
    rows = json.loads(printed(capsys, "jobs", jobs, *limits, "--json"))
    cheapest = [expected.cheapest(row.job) is row for row in expected]
    told = zip(expected, cheapest, strict=True)
    assert rows == json.loads(json.dumps([{**row.to_dict(), "cheapest": is_} for row, is_ in told]))
    assert rows[1]["energy_j"] is None
    output = tmp_path / "placed.csv"
    assert printed(capsys, "jobs", jobs, *limits, "--csv", str(output)) == ""
    text = output.read_text()
    assert printed(capsys, "jobs", jobs, *limits, "--csv") == text
    for row, line in zip(expected, csv.DictReader(io.StringIO(text)), strict=True):
        for name in ("runtime_s", "energy_j", "power_w", "peak_power_w", "deadline_s"):
            value = getattr(row, name)
            assert line[name] == ("" if value is None else repr(value))
        low_s, high_s = row.runtime_interval_s or ("", "")
        assert (line["runtime_low_s"], line["runtime_high_s"]) == (str(low_s), str(high_s))
        assert line["reasons"] == "; ".join(row.reasons)
        assert line["notes"].count(" line") == len(row.notes)


def test_unknown_power_is_a_dash_and_never_cheapest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("job,m,n,k,dtype,layout\na,512,512,512,f32,nn\n")
    line = printed(capsys, "jobs", str(path), "--gpu=rtx4070").splitlines()[2]
    # No deadline, energy, power and peak; what was timed is not stated.
    assert line.split()[-6:] == ["-", "-", "-", "-", "-", "yes"]
    assert "*" not in line
    text = printed(capsys, "jobs", str(path), "--gpu=rtx4070", "--power-cap=1000")
    assert "a on rtx4070: its power is not known, and there is a power cap" in text


def test_a_long_table_is_cut_for_people_and_stdin_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "job,m,n,k,dtype\n" + "".join(f"j{i},64,64,64,bf16\n" for i in range(210))
    for form in ([], ["--json"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        out = printed(capsys, "jobs", "-", "--gpu=h200", *form)
        if form:
            assert len(json.loads(out)) == 210
        else:
            assert "... and 10 more rows: --csv FILE or --json has them all" in out
            assert "(210 lines)" in out


def test_mistakes_are_one_line(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, why in (
        (["none.csv"], "none.csv: No such file"),
        ([jobs, "--power-cap=0"], "power_cap_w must be a number above 0"),
        ([jobs, "--deadline=nan"], "deadline_s must be a number above 0"),
        ([jobs, "--gpu=h2000"], "h2000"),
    ):
        assert why in refused(capsys, "jobs", *arguments)
