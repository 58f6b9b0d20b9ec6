"""Times that contradict one another: a GEMM that took longer than a larger one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._arithmetic import Floats


def slower_than_larger(sizes: NDArray[np.floating | np.integer], runtime_s: Floats) -> Floats:
    """Return the runtime of each GEMM over that of the fastest larger one, shape (n_gemms,).

    Larger is larger in one size or more, and smaller in none; 0 where there is no such GEMM.
    sizes: of one kernel's GEMMs, shape (n_gemms, 3); runtime_s: in s, shape (n_gemms,).
    """
    times = np.zeros(len(runtime_s))
    for at, mine in enumerate(sizes):
        larger = (sizes >= mine).all(axis=1) & (sizes > mine).any(axis=1)
        if larger.any():
            times[at] = runtime_s[at] / runtime_s[larger].min()
    return times
