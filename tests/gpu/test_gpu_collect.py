"""A collection on a GPU, end to end: the quick sweep for a minute."""

from __future__ import annotations

import time
from pathlib import Path

import gpu_kernels as kernels
import numpy as np

from builder.collect import CollectOptions, collect
from builder.dataset import read
from builder.device.cuda import Card

DEADLINE_S = 60.0


def test_the_quick_sweep_gives_a_valid_dataset_within_its_deadline(
    card: Card, tmp_path: Path
) -> None:
    """Its kernels must be compiled ahead: in this minute there is no time for it."""
    output = tmp_path / "quick.parquet"
    options = CollectOptions(
        kernels.QUICK,
        output,
        gpus=(card.uuid,),
        deadline_s=DEADLINE_S,
        cubins=kernels.cache(),
        quiet=True,
    )
    begun_s = time.monotonic()
    assert collect(options) == 0
    elapsed_s = time.monotonic() - begun_s
    dataset = read(output)
    status = dataset.column("status")
    regime = dataset.column("regime")
    print(f"{elapsed_s:.1f} s, {len(dataset)} rows, {np.sum(status == 'ok')} of them ok")
    print({name: int(np.sum(regime == name)) for name in set(regime)})
    assert elapsed_s < DEADLINE_S + 5.0
    assert np.sum(status == "ok") > 50
    assert np.mean(status == "failed") < 0.1
    timed = dataset.usable().column("runtime_s")
    assert np.all(timed > 0)
    assert set(dataset.column("device")) == {card.uuid}
