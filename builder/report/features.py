"""docs/features.md, written from the features themselves."""

from __future__ import annotations

from gpperf_lite._features import ALL_FEATURES, FEATURES
from gpperf_lite._physics import CONSTANTS

from ..markdown import paragraph

HEAD = """# Features

Written from the code by `python -m builder report features`; do not edit.

`gpperf_lite/_features.py` computes them, once, for training and for use. The forests compare them
as float32. All tile counts are for the whole batch. The forests of the library see the first
{n_library}, those of known kernels all of them; what is not known of a kernel is 0.

| column | feature | meaning |
|---|---|---|
"""

_CONSTANTS = """
## Constants of the physical model

`gpperf_lite/_physics.py` says what they do. They are fitted for each dtype and GPU, and stored in
the artefact.

"""


def feature_page() -> str:
    """Return the page as Markdown."""
    rows = [f"| {i} | `{name}` | {text} |" for i, (name, text) in enumerate(ALL_FEATURES.items())]
    constants = [
        line
        for physics, entries in CONSTANTS.items()
        if entries
        for line in paragraph(
            f"- **{physics}**: " + ", ".join(f"`{name}`" for name, _, _ in entries), "  "
        )
    ]
    head = HEAD.format(n_library=len(FEATURES))
    return head + "\n".join(rows) + "\n" + _CONSTANTS + "\n".join(constants) + "\n"
