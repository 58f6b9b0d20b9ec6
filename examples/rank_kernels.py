"""A compiler picks the kernel and the layout of each GEMM of a network.

    python examples/rank_kernels.py [MODEL]

MODEL is a built-in model that knows several kernels, or the file of one's own; by default
`rtx4070`, whose kernels are CUTLASS's SGEMM in each of the four layouts. A weight may be stored in
any layout when it is packed, so the compiler ranks over layouts too, and keeps the table that this
prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import gpperf_lite as gp

LAYOUTS = ("nn", "nt", "tn", "tt")
TOKENS, HIDDEN = 512, 512

SHAPES = {
    "query, key, value": (TOKENS, 3 * HIDDEN, HIDDEN),
    "attention output": (TOKENS, HIDDEN, HIDDEN),
    "feed forward, up": (TOKENS, 4 * HIDDEN, HIDDEN),
    "feed forward, down": (TOKENS, HIDDEN, 4 * HIDDEN),
}
"""m, n and k of each GEMM of one layer of a small transformer."""


def candidates(model: gp.Model, m: int, n: int, k: int) -> list[gp.Prediction]:
    """Rank every kernel of a model that can run a GEMM in f32, in any layout, fastest first."""
    gemms = [gp.Gemm(m, n, k, dtype="f32", layout=layout) for layout in LAYOUTS]
    found = [prediction for gemm in gemms for prediction in ranked(model, gemm)]
    return sorted(found, key=lambda prediction: prediction.runtime_s)


def ranked(model: gp.Model, gemm: gp.Gemm) -> list[gp.Prediction]:
    """Rank the kernels of a model that can run a GEMM; there may be none for its layout."""
    try:
        return list(model.rank(gemm))
    except gp.UnknownKernelError:
        return []


def main(arguments: Sequence[str] | None = None) -> None:
    """Print, for each GEMM, the best kernel and what taking the worst one would cost."""
    parser = argparse.ArgumentParser(description="rank the kernels of one layer's GEMMs")
    parser.add_argument("model", nargs="?", default="rtx4070", help="built-in model, or a file")
    model = gp.load(parser.parse_args(arguments).model)
    for name, (m, n, k) in SHAPES.items():
        found = candidates(model, m, n, k)
        best, worst = found[0], found[-1]
        low_s, high_s = best.runtime_interval_s
        print(f"{name}: {best.kernel.name}")
        print(
            f"  {best.runtime_s * 1e6:.0f} us ({low_s * 1e6:.0f} to {high_s * 1e6:.0f}), bound by "
            f"{best.bound}; the worst of {len(found)}, {worst.kernel.name}, takes "
            f"{worst.runtime_s / best.runtime_s:.2f} times as long"
        )
        for note in best.notes:
            print(f"  note: {note}")


if __name__ == "__main__":
    main()
