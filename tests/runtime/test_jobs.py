"""Jobs on GPUs: sums of what `predict` says, limits that only leave out, and the fewest joules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.artefacts import kernels_artefact
from stand_ins.built_in import built_in

import gpperf_lite as gp

GPUS = ("h200_sxm", "b200_sxm", "l40s", "rtx4070")
"""Three with power, of which two know no nvfp4, and one of f32 alone, without power."""

sizes = st.integers(1, 20_000)
gemms = st.builds(
    gp.Gemm,
    sizes,
    sizes,
    sizes,
    st.sampled_from(["bf16", "bf16", "f16", "fp8", "nvfp4", "f32"]),
    st.sampled_from(["tn", "nn"]),
    st.sampled_from([1, 7]),
    beta=st.sampled_from([0.0, 1.0]),
)
lines = st.lists(st.tuples(gemms, st.integers(1, 10**6)), min_size=1, max_size=6)
some_jobs = st.lists(
    st.tuples(lines, st.none() | st.floats(1e-4, 1e3)), min_size=1, max_size=4
).map(lambda jobs: [gp.Job(f"job {i}", *job) for i, job in enumerate(jobs)])
caps = st.floats(50.0, 1200.0)


def placed(jobs: Sequence[gp.Job], **limits: float | None) -> gp.Placements:
    return gp.place_jobs(jobs, [built_in(name) for name in GPUS], **limits)


def total(predictions: Sequence[tuple[gp.Prediction, int]], field: str) -> float:
    return math.fsum(getattr(one, field) * count for one, count in predictions)


@settings(max_examples=40)
@given(some_jobs)
def test_totals_are_sums_of_what_predict_says(jobs: list[gp.Job]) -> None:
    rows = iter(placed(jobs))
    for job in jobs:
        for name in GPUS:
            row = next(rows)
            assert (row.job, row.gpu, row.deadline_s) == (job.name, name, job.deadline_s)
            try:
                each = [(built_in(name).predict(gemm), n) for gemm, n in job.gemms]
            except gp.GpperfError:
                assert row.runtime_s is row.energy_j is row.power_w is row.peak_power_w is None
                assert len(row.reasons) == 1
                assert not row.is_candidate
                continue
            assert row.runtime_s == total(each, "runtime_s")
            assert row.sustained_runtime_s == total(each, "sustained_runtime_s")
            ends = [[(one.runtime_interval_s[end] * n) for one, n in each] for end in (0, 1)]
            assert row.runtime_interval_s == tuple(map(math.fsum, ends))
            assert row.in_domain == all(one.in_domain for one, _ in each)
            assert row.timed == " ".join(sorted({one.timed for one, _ in each} - {""}))
            notes = [note.partition(", by a factor")[0] for one, _ in each for note in one.notes]
            told = {one.note.partition(", by a factor")[0]: one.lines for one in row.notes}
            assert {note: notes.count(note) for note in notes if "do not fit" not in note} == {
                note: n for note, n in told.items() if "do not fit" not in note
            }
            if any(one.power_w is None for one, _ in each):
                assert row.energy_j is row.power_w is row.peak_power_w is None
                continue
            assert row.energy_j == total(each, "energy_j")
            assert row.peak_power_w == max(one.power_w or 0.0 for one, _ in each)
            assert row.power_w == pytest.approx(row.energy_j / row.sustained_runtime_s)
            assert row.power_w <= row.peak_power_w


@settings(max_examples=40)
@given(some_jobs, st.randoms(use_true_random=False))
def test_the_order_of_lines_and_jobs_does_not_matter(jobs: list[gp.Job], dice: object) -> None:
    shuffled = [one._replace(gemms=list(one.gemms)) for one in jobs]
    for one in shuffled:
        dice.shuffle(one.gemms)  # type: ignore[attr-defined]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(placed(jobs)) == sorted(placed(shuffled))


@settings(max_examples=40)
@given(some_jobs, caps)
def test_a_power_cap_never_adds_a_placement(jobs: list[gp.Job], cap_w: float) -> None:
    """And changes no figure: it excludes what draws more, or of which that is not known."""
    free, capped = placed(jobs), placed(jobs, power_cap_w=cap_w)
    for without, row in zip(free, capped, strict=True):
        assert row._replace(reasons=()) == without._replace(reasons=())
        if row.is_candidate:
            assert without.is_candidate
            assert row.peak_power_w is not None
            assert row.peak_power_w <= cap_w
        elif without.is_candidate:
            assert row.peak_power_w is None or row.peak_power_w > cap_w
            (reason,) = row.reasons
            known = row.peak_power_w is not None
            assert reason.startswith("its peak of " if known else "its power is not known, and")


@settings(max_examples=40)
@given(some_jobs, st.none() | caps, st.none() | st.floats(1e-4, 1e3))
def test_the_cheapest_takes_the_fewest_joules_of_those_within_their_limits(
    jobs: list[gp.Job], cap_w: float | None, usual_s: float | None
) -> None:
    found = placed(jobs, power_cap_w=cap_w, deadline_s=usual_s)
    assert found.jobs == tuple(job.name for job in jobs)
    for job in jobs:
        deadline_s = usual_s if job.deadline_s is None else job.deadline_s
        known = [
            row
            for row in found
            if row.job == job.name and row.is_candidate and row.energy_j is not None
        ]
        best = found.cheapest(job.name)
        assert (best is None) == (not known)
        if best is not None:
            assert best.energy_j == min(row.energy_j or math.inf for row in known)
            assert best.sustained_runtime_s is not None
            assert deadline_s is None or best.sustained_runtime_s <= deadline_s
            assert not any("do not fit" in one.note for one in best.notes)
            assert best.timed == known[0].timed


@settings(max_examples=20)
@given(lines, st.none() | st.floats(1e-4, 1e3))
def test_equal_jobs_have_equal_rows(some: list[tuple[gp.Gemm, int]], limit: float | None) -> None:
    found = placed([gp.Job("one", some, limit), gp.Job("other", some, limit)]).rows
    first, second = found[: len(GPUS)], found[len(GPUS) :]
    assert [row._replace(job="other") for row in first] == list(second)


LINE = gp.Gemm(2048, 4096, 4096, "bf16")


def test_a_job_that_is_late_or_too_large_is_not_placed() -> None:
    big = replace(LINE, m=2_000_000, n=2_000_000)
    late, large = placed([gp.Job("late", [LINE], 1e-7), gp.Job("large", [LINE, big])]).rows[::4]
    (reason,) = late.reasons
    assert reason.endswith(" us under lasting load, and the deadline is 100.0 ns")
    assert large.reasons == ("a GEMM does not fit in memory",)
    (note,) = [one for one in large.notes if "do not fit" in one.note]
    assert note.note.startswith("A, B and C do not fit in memory: they need 8033 GB")
    assert note.lines == 1


def test_a_deadline_of_its_own_goes_before_the_one_for_all() -> None:
    jobs = [gp.Job("own", [LINE], 100.0), gp.Job("none", [LINE])]
    own, none = placed(jobs, deadline_s=1e-7).rows[::4]
    assert (own.deadline_s, own.is_candidate) == (100.0, True)
    assert (none.deadline_s, none.is_candidate) == (1e-7, False)


def test_one_gemm_that_no_kernel_runs_spoils_no_other_job() -> None:
    """Kernels of that model need sizes that are multiples of 4, or are of other layouts."""
    model = gp.Model(kernels_artefact())
    good, bad = gp.Gemm(64, 64, 64, "f32", "nt"), gp.Gemm(63, 63, 63, "f32", "nt")
    names = ["a", "b", "c", "d", "e"]
    jobs = [gp.Job(one, [(good, 3), bad] if one in "bd" else [(good, 3)]) for one in names]
    found = gp.place_jobs(jobs, [model])
    for row in found:
        if row.job in "bd":
            with pytest.raises(gp.UnknownKernelError) as caught:
                model.predict(bad)
            assert row.reasons == (str(caught.value),)
        else:
            assert row.runtime_s == 3 * model.predict(good).runtime_s
    known = "cutlass_simt_sgemm_128x64_8x2_nt_align4"
    (row,) = gp.place_jobs([gp.Job("named", [(good, 2, known)])], [model])
    assert row.runtime_s == 2 * model.predict(good, known).runtime_s
    (row,) = gp.place_jobs([gp.Job("unknown", [(good, 2, "none such")])], [model])
    assert "kernel must be one that kernels knows" in row.reasons[0]
    layout = gp.place_jobs([gp.Job(one, [replace(good, layout="tt")]) for one in names], [model])
    assert all("no kernel of kernels" in row.reasons[0] for row in layout)


def test_what_timed_something_else_is_no_candidate() -> None:
    """As in a comparison; where the first GPU does not say, the first that does decides."""
    jobs = [gp.Job("one", [LINE])]
    a10, h200 = gp.place_jobs(jobs, ["a10", "h200"])
    assert h200.is_candidate
    assert a10.reasons == (
        "it timed what is not stated, and h200_sxm gemm: they cannot be compared",
    )
    (alone,) = gp.place_jobs(jobs, ["a10"])
    assert alone.is_candidate


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        ([], "jobs must have one at least"),
        ("jobs", "jobs must be several"),
        (gp.Job("a", [LINE]), "jobs must be several"),
        ([LINE], "jobs must be of gpperf_lite.Job"),
        ([gp.Job(" ", [LINE])], "the name of a job must be a text"),
        ([gp.Job("a", [LINE]), gp.Job("a", [LINE])], "names of their own"),
        ([gp.Job("a", [])], "job 'a': gemms must have one at least"),
        ([gp.Job("a", LINE)], "job 'a': gemms must be several"),
        ([gp.Job("a", [(LINE,)])], "gemms must be of Gemm, of pairs"),
        ([gp.Job("a", [(LINE, 1, None, 2)])], "gemms must be of Gemm, of pairs"),
        ([gp.Job("a", ["x"])], "gemms must be of Gemm, of pairs"),
        ([gp.Job("a", [(LINE, 0)])], "job 'a': count must be a whole number from 1"),
        ([gp.Job("a", [(LINE, 1.5)])], "count must be a whole number from 1"),
        ([gp.Job("a", [(LINE, float("nan"))])], "count must be a whole number from 1"),
        ([gp.Job("a", [(LINE, float("inf"))])], "count must be a whole number from 1"),
        ([gp.Job("a", [(LINE, True)])], "count must be a whole number from 1"),
        ([gp.Job("a", [(LINE, 1, 3)])], "kernel must be a name or None"),
        ([gp.Job("a", [LINE], 0.0)], "job 'a': deadline_s must be a number above 0"),
        ([gp.Job("a", [LINE], "soon")], "deadline_s must be a number above 0"),
    ],
)
def test_what_is_no_job_is_refused(jobs: object, why: str) -> None:
    with pytest.raises(gp.InputError, match=why):
        gp.place_jobs(jobs, ["h200"])  # type: ignore[arg-type]


def test_other_mistakes_are_named() -> None:
    jobs = [gp.Job("a", [LINE])]
    for limit in ("power_cap_w", "deadline_s"):
        with pytest.raises(gp.InputError, match=f"{limit} must be a number above 0"):
            gp.place_jobs(jobs, ["h200"], **{limit: -1.0})
    with pytest.raises(gp.InputError, match="confidence"):
        gp.place_jobs(jobs, ["h200"], confidence=1.0)
    with pytest.raises(gp.InputError, match="gpus must have one"):
        gp.place_jobs(jobs, [])
    with pytest.raises(KeyError):
        gp.place_jobs(jobs, ["h200"]).cheapest("b")
    found = gp.place_jobs(jobs, ["h200", "l40s"])
    assert (len(found), repr(found)) == (2, "<gpperf_lite.Placements 1 jobs, 2 rows>")
