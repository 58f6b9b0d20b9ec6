"""Planning: the points of a sweep that a GPU measures, their order, and the time they take.

`read_sweep` reads the TOML of a `Sweep`; `planned` makes the `Plan` of it for the kernels that are
ready, an ordered list of `Point`s, a GEMM on a kernel each; `shares` deals a plan out to several
GPUs. `guess_runtime_s` and `Costs` guess times from a data sheet alone.
"""

from .cost import Costs, guess_runtime_s
from .plan import Plan
from .shares import planned, shares
from .sweep import Point, Sweep, few_sweep, read_sweep
from .text import plan_json, plan_lines

__all__ = [
    "Costs",
    "Plan",
    "Point",
    "Sweep",
    "few_sweep",
    "guess_runtime_s",
    "plan_json",
    "plan_lines",
    "planned",
    "read_sweep",
    "shares",
]
