"""Back ends: which collections stand for one, what fills its gaps, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.collected import TRUTH_S, collection, odd_times
from stand_ins.tables import GPU, GRID, QUICK_TRAINING, dataset_of

from builder.dataset import Dataset, concatenate
from builder.errors import DatasetError
from builder.train.back_ends import consensus_points, labels_by_unit, library_points
from builder.train.stratum import Stratum, strata_of
from gpperf_lite._gpu_facts import known_gpus

HOST_BOUND = [["host_bound"] if time_s < 1e-5 else [] for time_s in TRUTH_S]
N_BOUND = sum(map(len, HOST_BOUND))


def quantised(software: str, version: str = "1", **columns: object) -> Dataset:
    """Return a collection of fp8, in which each framework runs a kernel of its own."""
    return collection(software, version, kernel=software, dtype="fp8", **columns)


def strata(*datasets: Dataset) -> dict[str, Stratum]:
    found = strata_of(concatenate(list(datasets)), GPU, QUICK_TRAINING, {})
    return {stratum.name: stratum for stratum in found}


def test_older_releases_that_agree_with_the_newest_are_further_collections_of_it() -> None:
    """Whatever factor lies between them; the newest comes first."""
    newest = quantised("vllm", "3", runtime_s=odd_times(1))
    agrees = quantised("vllm", "2", runtime_s=odd_times(2, 1.4))
    another = quantised("vllm", "1", runtime_s=odd_times(3, noise=0.4))
    labels = labels_by_unit(concatenate([newest, agrees, another]))["fp8", "vllm"]
    assert labels.measured.collections == ("vllm 3", "vllm 2")
    assert list(labels.left_out) == ["vllm 1"]
    text = labels.left_out["vllm 1"]
    assert text.startswith("it lies ")
    assert text.endswith("% from vllm 3, as another kernel would")
    assert labels.notes == ()
    # The order of releases decides which one is right.
    labels = labels_by_unit(concatenate([another, agrees, newest]))["fp8", "vllm"]
    assert labels.measured.collections == ("vllm 1",)
    assert list(labels.left_out) == ["vllm 2", "vllm 3"]


def test_an_older_release_that_cannot_be_compared_is_left_out() -> None:
    few = quantised("vllm", "1").where(np.arange(len(GRID)) < 19)
    labels = labels_by_unit(concatenate([quantised("vllm", "2"), few]))["fp8", "vllm"]
    assert labels.left_out == {"vllm 1": "it shares too few points with vllm 2 to be compared"}
    enough = quantised("vllm", "1").where(np.arange(len(GRID)) < 20)
    labels = labels_by_unit(concatenate([quantised("vllm", "2"), enough]))["fp8", "vllm"]
    assert labels.left_out == {}


def test_a_release_that_is_as_noisy_in_cublas_is_told_from_another_kernel() -> None:
    """cuBLAS is one kernel in both, so what lies between them there is their noise and factor."""
    bf16_s, fp8_s = (odd_times(seed, 1.2, noise=0.2) for seed in (1, 2))
    newest = [collection("vllm", "2"), quantised("vllm", "2")]
    older = [
        collection("vllm", "1", runtime_s=bf16_s),
        quantised("vllm", "1", runtime_s=fp8_s),
    ]
    both = labels_by_unit(concatenate([*newest, *older]))["fp8", "vllm"]
    assert both.measured.collections == ("vllm 2", "vllm 1")
    # Without its cuBLAS, or where that lies near or by another factor, it is another kernel.
    another = [
        collection("vllm", "1", runtime_s=odd_times(1, 1.2, noise=0.02)),
        collection("vllm", "1", runtime_s=odd_times(1, 0.5, noise=0.2)),
    ]
    for cublas in ([], *([one] for one in another)):
        labels = labels_by_unit(concatenate([*newest, *cublas, older[1]]))["fp8", "vllm"]
        assert list(labels.left_out) == ["vllm 1"]


def test_few_points_in_cublas_too_are_no_likeness() -> None:
    few = np.arange(len(GRID)) < 19
    newest = [collection("vllm", "2"), quantised("vllm", "2")]
    older = [one.where(few) for one in (collection("vllm", "1"), quantised("vllm", "1"))]
    labels = labels_by_unit(concatenate([*newest, *older]))["fp8", "vllm"]
    assert list(labels.left_out) == ["vllm 1"]


def test_what_is_not_quantised_is_one_stratum_of_all_frameworks_however_far_apart() -> None:
    names = ("vllm", "sglang", "trtllm")
    library = [
        collection(name, runtime_s=odd_times(number, noise=0.4))
        for number, name in enumerate(names)
    ]
    found = strata(*library, *map(quantised, names))
    bf16 = found["bf16 library"]
    assert bf16.measured.collections == ("vllm 1", "sglang 1", "trtllm 1")
    assert bf16.labels.left_out == {}
    assert list(bf16.answers.values()) == ["library", "vllm", "sglang", "trtllm"]
    assert list(bf16.kernels) == ["library"]
    assert set(found) == {"bf16 library", "fp8 vllm", "fp8 sglang", "fp8 trtllm"}


def test_library_of_a_quantised_dtype_is_vllms() -> None:
    found = strata(collection("vllm"), quantised("vllm"), quantised("sglang"))
    assert list(found["bf16 library"].answers.values()) == ["library", "vllm", "sglang"]
    assert list(found["fp8 vllm"].answers.values()) == ["vllm", "library"]
    assert list(found["fp8 sglang"].answers.values()) == ["sglang"]
    own = strata(collection("torch", dtype="fp8"), quantised("vllm"))
    assert list(own["fp8 vllm"].answers.values()) == ["vllm"]


def test_an_index_means_one_kernel_in_every_stratum() -> None:
    found = strata(*(make(name) for name in ("vllm", "sglang") for make in (collection, quantised)))
    names: dict[int, str] = {}
    for stratum in found.values():
        for index, name in stratum.answers.items():
            assert names.setdefault(index, name) == name
    assert sorted(names) == list(range(len(names)))
    assert len(set(names.values())) == len(names)


def test_gaps_are_filled_by_other_back_ends_and_shifted_by_the_factor_between_them() -> None:
    ours = quantised("vllm", runtime_s=odd_times(1, 2.0, noise=0.0), flags=HOST_BOUND)
    theirs = [quantised(name, runtime_s=TRUTH_S) for name in ("sglang", "trtllm")]
    labels = labels_by_unit(concatenate([ours, *theirs]))
    vllm = labels["fp8", "vllm"]
    longest_us = 2e6 * TRUTH_S[[bool(row) for row in HOST_BOUND]].max()
    assert vllm.notes == (
        f"fp8 of vllm under {longest_us:.0f} us was timed with its host: there it follows sglang "
        "and trtllm's, which was not",
    )
    points = vllm.consensus()
    assert len(points) == len(GRID)
    assert set(points.kernel) == {"vllm"}
    times = dict(zip(zip(points.m, points.n, points.k, strict=True), points.runtime_s, strict=True))
    assert [times[size] for size in GRID] == pytest.approx(2.0 * TRUTH_S, rel=1e-9)
    assert len(vllm.points.where(vllm.points.collection == "vllm 1")) == len(GRID) - N_BOUND
    # Theirs are as they were.
    assert labels["fp8", "sglang"].points.runtime_s.tolist() == TRUTH_S.tolist()
    assert labels["fp8", "sglang"].notes == ()


def test_where_too_few_points_are_shared_gaps_are_filled_without_a_shift() -> None:
    late = np.arange(len(GRID)) >= len(GRID) - 19
    flags = [[] if is_late else ["host_bound"] for is_late in late]
    ours = quantised("vllm", runtime_s=2.0 * TRUTH_S, flags=flags)
    points = labels_by_unit(concatenate([ours, quantised("sglang")]))["fp8", "vllm"].points
    filled = points.where(points.collection == "sglang 1")
    assert len(filled) == len(GRID) - 19
    assert set(filled.runtime_s) <= set(TRUTH_S)


def test_a_back_end_that_only_its_host_timed_is_predicted_as_the_others() -> None:
    ours = quantised("vllm", runtime_s=np.full(len(GRID), 1e-4), flags=[["host_bound"]] * len(GRID))
    labels = labels_by_unit(concatenate([ours, quantised("sglang")]))["fp8", "vllm"]
    assert labels.notes == ("fp8 of vllm was timed only with its host: predicted as sglang's",)
    assert labels.points.runtime_s.tolist() == TRUTH_S.tolist()
    assert (set(labels.points.kernel), labels.points.collections) == ({"vllm"}, ("sglang 1",))


def test_back_ends_that_need_filling_themselves_fill_nobodys_gaps() -> None:
    """Nor does another dtype, nor a kernel that is no back end."""
    ours = quantised("vllm", flags=[["host_bound"]] * len(GRID))
    also = quantised("sglang", flags=HOST_BOUND)
    library = collection("torch", dtype="fp8")
    other = collection("sglang", kernel="sglang", dtype="fp8_block")
    labels = labels_by_unit(concatenate([ours, also, library, other]))
    note = "fp8 of vllm was measured with the host's time for a launch in it"
    assert labels["fp8", "vllm"].notes == (note,)
    assert labels["fp8", "vllm"].measured.collections == ("vllm 1",)
    assert labels["fp8", "sglang"].notes == ()
    assert len(labels["fp8", "sglang"].points) == len(GRID) - N_BOUND


@pytest.mark.parametrize("kernel", ["library", "vllm"])
def test_a_table_that_is_all_its_hosts_is_learned_from_with_a_note(kernel: str) -> None:
    bound = collection("vllm", kernel=kernel, flags=[["host_bound"]] * len(GRID))
    ((key, labels),) = labels_by_unit(bound).items()
    assert key == ("bf16", kernel)
    assert labels.points.runtime_s.tolist() == TRUTH_S.tolist()
    assert labels.notes == (
        f"bf16 of {kernel} was measured with the host's time for a launch in it",
    )
    with pytest.raises(DatasetError, match="no usable row"):
        labels_by_unit(collection("vllm", flags=[["failed", "host_bound"]] * len(GRID)))


def test_host_bound_rows_of_the_library_play_no_part_where_others_were_timed_without() -> None:
    labels = labels_by_unit(collection("vllm", flags=HOST_BOUND))["bf16", "library"]
    assert len(labels.points) == len(GRID) - N_BOUND
    assert labels.notes == ()


def test_a_note_tells_what_is_left_out_where_nothing_as_short_was_timed() -> None:
    slow = 100.0 * TRUTH_S
    labels = labels_by_unit(collection("vllm", runtime_s=slow, flags=HOST_BOUND))
    longest_us = 1e6 * slow[[bool(row) for row in HOST_BOUND]].max()
    assert labels["bf16", "library"].notes == (
        f"bf16 of library was launched eagerly, and rows of up to {longest_us:.0f} us, which are "
        "the host's, are left out: what takes less is told by physics",
    )


def test_rows_under_lasting_load_are_no_labels() -> None:
    lasting = collection("vllm", regime="sustained", runtime_s=9.0 * TRUTH_S)
    labels = labels_by_unit(concatenate([collection("vllm"), lasting]))["bf16", "library"]
    assert labels.points.runtime_s.tolist() == TRUTH_S.tolist()


def test_what_was_timed_is_told_where_all_rows_say_the_same() -> None:
    found = strata(
        collection("vllm", timed="gemm"),
        quantised("vllm", timed="quantise+gemm"),
        quantised("trtllm", timed=["gemm", *["layer"] * (len(GRID) - 1)]),
        quantised("sglang"),
    )
    told = {name: stratum.timed for name, stratum in found.items()}
    assert told == {
        "bf16 library": "gemm", "fp8 vllm": "quantise+gemm", "fp8 trtllm": "", "fp8 sglang": "",
    }  # fmt: skip


def test_a_point_is_evaluated_once_whoever_measured_it() -> None:
    both = concatenate([collection("vllm"), collection("sglang"), quantised("sglang")])
    points = consensus_points(both)
    assert len(points) == 2 * len(GRID)
    assert set(zip(points.kernel, points.dtype, strict=True)) == {
        ("library", "bf16"), ("sglang", "fp8"),
    }  # fmt: skip


def test_library_is_what_all_share_and_vllms_elsewhere_on_each_gpu_apart() -> None:
    l40s = [
        replace(one, gpus={"l40s": known_gpus()["l40s"]})
        for one in (collection("vllm", gpu="l40s"), quantised("vllm", gpu="l40s"))
    ]
    both = concatenate([collection("vllm"), quantised("vllm"), quantised("sglang"), *l40s])
    points = library_points(both)
    assert set(points.kernel) == {"library"}
    found = list(zip(points.gpu, points.dtype, strict=True))
    assert {key: found.count(key) for key in found} == {
        (gpu, dtype): len(GRID) for gpu in ("h200_sxm", "l40s") for dtype in ("bf16", "fp8")
    }
    with pytest.raises(DatasetError, match="no row is of the kernel 'library', or of 'vllm'"):
        library_points(quantised("sglang"))
    with pytest.raises(DatasetError, match="no row is of the kernel 'library'"):
        library_points(dataset_of(1, kernel="tiled_sgemm_16", dtype="f32"))
