"""A collection as a process of its own: python collect_command.py SWEEP OUTPUT [FAULTS].

It prints JSON lines, or with LIVE in the environment what people are shown.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from builder.collect import CollectOptions, collect
from stand_ins.plans import QUICK

if __name__ == "__main__":
    sweep, output, *faults = sys.argv[1:]
    options = CollectOptions(
        Path(sweep),
        Path(output),
        simulate=7,
        faults=Path(faults[0]) if faults else None,
        cubins=Path(output).parent / "cubins",
        as_json="LIVE" not in os.environ,
    )
    sys.exit(collect(options, QUICK))
