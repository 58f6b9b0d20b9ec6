"""One launch of everything that we have written ourselves, small: for compute-sanitizer.

compute-sanitizer --tool memcheck --error-exitcode 9 python tests/gpu/gpu_exercise.py [GPU]
"""

from __future__ import annotations

import sys

import gpu_kernels as kernels
import numpy as np

from builder.architectures import architecture_of
from builder.device.cuda import open_gpu
from builder.device.cuda.pools import PoolOptions
from gpperf_lite import Gemm

NAMES = ("tiled_sgemm_1", "tiled_sgemm_16", "tiled_sgemm_31", "tiled_dgemm_8", "tiled_hgemm_32")
SMALL = PoolOptions(input_share=2e-4, output_share=2e-4, workspace_bytes=1 << 20)


def main() -> None:
    """Fill, multiply, compare, stamp and spin; print "done" where results are right."""
    which = sys.argv[1] if len(sys.argv) > 1 else "0"
    with open_gpu(which, kernels.options(kernels.cache(), pools=SMALL)) as device:
        architecture = architecture_of(device.gpu)
        for name in NAMES:
            (build,) = kernels.chosen([name])
            kernels.prepare([build], architecture, kernels.cache())
            found = kernels.cubins().get(build, architecture)
            assert found is not None, name
            for layout in ("nn", "nt", "tn", "tt"):
                gemm = Gemm(33, 47, 29, build.kernel.dtype or "f32", layout, batch=2, beta=0.5)
                rows, columns = np.divmod(np.arange(gemm.m * gemm.n, dtype=np.int64), gemm.n)
                with device.load(found[0], found[1]) as program, program.bind(gemm, 2) as bound:
                    entries = bound.compare(rows, columns)
                assert entries.non_finite == 0
                assert np.allclose(entries.got, entries.wanted, rtol=2e-2, atol=2e-2)
        first = device.stamp()
        device.spin(1e-4)
        last = device.stamp()
        device.wait()
        assert device.clock_hz(first, last) > 0
        with device.empty() as empty, empty.graph(3) as graph:
            graph.replay()
        device.wait()
    print("done")


if __name__ == "__main__":
    main()
