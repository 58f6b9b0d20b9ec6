"""Preparation: from a sweep and the GPUs of a survey to a job for each GPU.

The steps are the same on one machine and on a cluster. The GPUs must be of one model; the kernels
of the sweep are compiled for it; those that are ready are planned; each GPU gets a share of the
plan. How GPUs are surveyed and kernels compiled is the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpperf_lite import Gpu

from ..compile import ReadyKernels, uncompiled
from ..errors import BuilderError
from ..measure import Protocol
from ..plan import Plan, Sweep, planned, shares
from .journal import Folder
from .options import CollectOptions
from .survey import Surveyed, one_model
from .worker import SIMULATED, DeviceSpec, Job

_MOST_LEFT_OUT = 8

Compile = Callable[[Sequence[str], Gpu], ReadyKernels]
"""Compiles the kernels of patterns for a GPU."""


@dataclass(frozen=True)
class Prepared:
    """A collection whose GPUs are known and whose kernels are compiled.

    gpu: the model of all its GPUs; plan: of all of them together; shares: each GPU with its part of
    the plan. left_out: kernels that could not be compiled, with the reasons; n_brought: those whose
    cubins another compiler made.
    """

    options: CollectOptions
    gpu: Gpu
    plan: Plan
    shares: tuple[tuple[Surveyed, Plan], ...]
    left_out: tuple[tuple[str, str], ...]
    n_brought: int = 0

    def lines(self) -> list[str]:
        """Return lines on kernels that could not be compiled, or were by another compiler."""
        lines = [f"left out: {name}: {reason}" for name, reason in self.left_out[:_MOST_LEFT_OUT]]
        if self.n_brought:
            lines.append(
                f"{self.n_brought} kernels were compiled by another compiler than the one "
                "installed here, and are taken from the cache as they are"
            )
        return lines

    def jobs(
        self, folder: Folder, protocol: Protocol, stop_at_s: float | None = None
    ) -> list[tuple[Surveyed, Job]]:
        """Return each GPU with its job, whose journal is in a folder."""
        cubins, allow_changed = self.options.cubins, self.options.allow_changed
        return [
            (
                one,
                Job(
                    folder.journal(number),
                    plan,
                    protocol,
                    cubins,
                    stop_at_s=stop_at_s,
                    allow_changed=allow_changed,
                ),
            )
            for number, (one, plan) in enumerate(self.shares)
        ]


def prepared(
    options: CollectOptions, sweep: Sweep, surveyed: Sequence[Surveyed], compile_kernels: Compile
) -> Prepared:
    """Return the plan of a sweep for the GPUs of a survey.

    compile_kernels: called unless the GPUs are simulated, which run kernels without cubins. Raises
    SurveyError where the GPUs are of several models, SweepError where they can measure nothing.
    """
    gpu = one_model(surveyed)
    if options.simulate is None:
        kernels = compile_kernels(sweep.kernels, gpu)
    else:
        kernels = uncompiled(sweep.kernels, gpu, options.cubins)
    plan = planned(sweep, kernels.builds, gpu, kernels.left_out)
    parts = zip(surveyed, shares(plan, len(surveyed)), strict=True)
    return Prepared(options, gpu, plan, tuple(parts), kernels.left_out, kernels.n_brought)


def simulated_gpus(options: CollectOptions, count: int) -> list[DeviceSpec]:
    """Return so many simulated GPUs, each with a seed of its own and the same faults.

    Raises BuilderError where the file of the faults is no JSON.
    """
    assert options.simulate is not None
    faults = "{}"
    if options.faults is not None:
        try:
            faults = options.faults.read_text()
            json.loads(faults)
        except (OSError, ValueError) as error:
            raise BuilderError(
                f"faults must be a JSON file (got {options.faults}: {error})"
            ) from error
    seeds = range(options.simulate, options.simulate + count)
    return [DeviceSpec(SIMULATED, seed=seed, faults=faults) for seed in seeds]
