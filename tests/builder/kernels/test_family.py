"""Families of kernels: the table knows every one, and says what its kernels are."""

from __future__ import annotations

import pytest

from builder.compile.cache import target_of
from builder.device.simulated.cost import cost_of
from builder.device.simulated.traits import Traits
from builder.kernels import Build, family_of, keeps_f16_sums, runs_on_tensor_cores
from builder.kernels.catalogue import catalogue
from builder.kernels.family import FAMILIES
from builder.measure import CorrectnessRules
from builder.measure.correctness import awkward_gemms, limit_of
from builder.plan import guess_runtime_s
from builder.train import unit_of
from gpperf_lite import Kernel
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._kernel import _PATTERNS
from gpperf_lite._kernel import FAMILIES as RUNTIME_FAMILIES
from gpperf_lite._occupancy import _LEAST, obstacle_on

BUILDS = tuple(catalogue().values())
BUILT = tuple(dict.fromkeys(build.kernel.family for build in BUILDS))
H200 = known_gpus()["h200_sxm"]


def first_of(family: str) -> Build:
    """A kernel of a family that an H200 can run."""
    builds = (build for build in BUILDS if build.kernel.family == family)
    return next(build for build in builds if obstacle_on(build.kernel, H200) is None)


def test_every_table_of_families_names_those_of_the_runtime() -> None:
    """A new family needs a row here, and its rules and the pattern of its names in the runtime."""
    assert tuple(FAMILIES) == RUNTIME_FAMILIES
    assert set(_LEAST) == set(RUNTIME_FAMILIES)
    assert {"library", *_PATTERNS} == set(RUNTIME_FAMILIES)


@pytest.mark.parametrize("family", BUILT)
def test_every_stage_knows_what_to_do_with_a_kernel_of_each_family(family: str) -> None:
    """It is planned, compiled, computed by the simulated GPU, verified and trained on."""
    build = first_of(family)
    gemm = awkward_gemms(build.kernel)[0]
    assert guess_runtime_s(build.kernel, gemm, H200) > 0.0
    assert target_of(build, "sm_90").startswith("sm_90")
    assert cost_of(H200, Traits(), build.kernel, gemm).runtime_s() > 0.0
    assert limit_of(build.kernel, gemm, CorrectnessRules()) > 0.0
    assert unit_of(build.kernel)


def test_kernels_of_cublas_are_trained_on_and_never_built() -> None:
    """They are known from tables alone: nobody can ask cuBLAS for one of them."""
    assert set(RUNTIME_FAMILIES) - set(BUILT) == {"cublas"}
    kernel = Kernel.from_name("volta_sgemm_128x64_tn")
    assert not family_of(kernel).is_compiled
    assert not runs_on_tensor_cores(kernel)
    assert unit_of(kernel) == "CUDA cores"


def test_the_builds_of_a_family_are_of_it_and_have_its_names() -> None:
    for name in BUILT:
        family = FAMILIES[name]
        kernels = [build.kernel for build in family.builds()]
        assert {kernel.family for kernel in kernels} == {name}
        assert {kernel.name.partition("_")[0] for kernel in kernels} == {family.prefix}


def test_the_importer_of_cutlass_profiler_knows_all_families_of_cutlass() -> None:
    """It tells by the first word of a name that `Kernel.from_name` cannot read: see `_kernel`."""
    prefixes = {name: family.prefix for name, family in FAMILIES.items()}
    of_cutlass = {name for name, prefix in prefixes.items() if prefix.startswith("cutlass")}
    assert of_cutlass == {"cutlass2", "cutlass3"}
    assert prefixes["cutlass3"] == "cutlass3x"


def test_all_but_the_library_have_a_source_to_compile() -> None:
    for build in BUILDS:
        assert bool(build.source) == family_of(build.kernel).is_compiled


def test_sums_are_kept_in_f16_where_the_program_is_compiled_so() -> None:
    for build in BUILDS:
        assert keeps_f16_sums(build.kernel) == (build.accumulator == "f16")


def test_kernels_of_cutlass_3_alone_are_of_one_architecture_with_tensor_maps() -> None:
    for name in BUILT:
        family = FAMILIES[name]
        is_of_hopper = name == "cutlass3"
        assert (family.target_suffix == "a") == family.has_tensor_maps == is_of_hopper
        assert family.resets_workspace != is_of_hopper
        assert target_of(first_of(name), "sm_90") == ("sm_90a" if is_of_hopper else "sm_90")


def test_the_units_have_the_names_that_training_groups_kernels_by() -> None:
    units = {unit_of(build.kernel) for build in BUILDS}
    assert units == {"library", "tiled", "tensor cores", "CUDA cores", "cutlass3"}
    for build in BUILDS:
        if build.kernel.family == "cutlass2":
            is_tensorop = "_tensorop_" in build.kernel.name
            assert runs_on_tensor_cores(build.kernel) == is_tensorop
            assert unit_of(build.kernel) == ("tensor cores" if is_tensorop else "CUDA cores")
