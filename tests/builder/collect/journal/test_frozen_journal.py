"""A journal that was begun by an earlier builder: read, gone on with and exported like a new one.

`journal_of_schema_1.jsonl` is a session that was stopped, with a build that is quarantined, and one
whose process died in the middle of a row. It is never made anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from stand_ins.plans import QUICK, run_session, small_plan, timed_keys

from builder.collect.journal import DIED, export_journal, read_lines
from builder.collect.journal.journal import decode, encode
from builder.collect.worker import COMPLETE
from builder.device.simulated import Faults

FROZEN = Path(__file__).parent / "journal_of_schema_1.jsonl"
PLAN, FAULTS = small_plan(6, 2), Faults(wrong=("tiled_hgemm_32",))

ROWS, PROVENANCE = "79bfc9137a1197db", "fc5c478e275205aa"
"""Digests of what the builder that wrote the journal exported of it."""

NEWER = ("gpu_provenance", "taken")
"""What provenance says since."""


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy whose protocol is said to be ours: what its hash is made of is not frozen."""
    copy = tmp_path / "gpu-0.jsonl"
    *whole, torn = FROZEN.read_bytes().split(b"\n")
    with copy.open("wb") as file:
        for line in map(decode, whole):
            if line["kind"] == "session":
                line["facts"]["protocol_hash"] = QUICK.hash
            file.write(encode(line))
        file.write(torn)
    return copy


def test_it_is_exported_as_it_was() -> None:
    dataset = export_journal(FROZEN)
    rows = dataset.table.to_pylist()
    assert {(row.pop("software"), row.pop("machine"), row.pop("timed")) for row in rows} == {
        ("gpperf-lite", None, "gemm")
    }
    assert digest(rows) == ROWS
    (told,) = dataset.provenance
    assert digest({name: told[name] for name in told if name not in NEWER}) == PROVENANCE
    assert not dataset.kernels
    assert list(dataset.gpus) == ["h200_simulated"]


def test_it_goes_on_and_measures_what_is_left_once(path: Path) -> None:
    before = read_lines(path)
    assert run_session(path, PLAN, faults=FAULTS).how == COMPLETE
    lines = read_lines(path)
    assert lines[: len(before)] == before
    rest = [line["kind"] for line in lines[len(before) :]]
    assert rest[:2] == ["session", "row"]
    assert lines[len(before) + 1]["columns"]["reason"] == DIED
    others = [point for point in PLAN.points if point.kernel != "tiled_hgemm_32"]
    assert timed_keys(path) == {point.key: 1 for point in others}
    assert len(export_journal(path).provenance[0]["sessions"]) == 3
