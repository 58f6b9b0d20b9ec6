"""The explorer: a section of a page in which models are asked, by their exported modules."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from typing import Any

import gpperf_lite
from gpperf_lite._artefact import Artefact
from gpperf_lite._kernel_models import KernelModels

from ..export import module_text, source_of
from .document import Section, asset, document, filled
from .packed import packed

_SCRIPTS = ("explorer.js",)


def explorer_page() -> str:
    """Return the explorer of all built-in models, as a document."""
    names = gpperf_lite.available()
    lead = (
        f"Runtime, power and energy of matrix multiplications on {len(names)} GPUs, as the Python "
        "package predicts them."
    )
    return document("GEMM explorer", [explorer_section(names)], lead)


def explorer_section(models: Sequence[str | os.PathLike[str]]) -> Section:
    """Return an explorer of models, each asked for as `gpperf_lite.load` is, with its errors."""
    facts, scripts = [], []
    for model in models:
        source = source_of(model)
        one = packed(module_text(source, f"gpperf_{source.artefact.name}.mjs"))
        name = str(model)
        facts.append(_facts(source.artefact, name))
        scripts.append(
            f'<script type="text/plain" id="model-{html.escape(name)}" '
            f"data-parts='{one.header}'>{one.data}</script>"
        )
    values = {
        "OPTIONS": "".join(
            f'<option value="{html.escape(one["name"])}">{html.escape(one["gpu"])}</option>'
            for one in facts
        ),
        "FACTS": _json(facts),
        "ENGINE": asset("engine.js"),
        "MODELS": "\n".join(scripts),
    }
    return Section(
        "explorer",
        "What if",
        filled(asset("explorer.html"), values),
        asset("explorer.css"),
        "\n".join(map(asset, _SCRIPTS)),
    )


def _json(value: Any) -> str:
    """Return a value as JSON that does not end a script."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _facts(artefact: Artefact, name: str) -> dict[str, Any]:
    """Return the facts of a model that the controls need before it is unpacked."""
    models = KernelModels(artefact)
    return {
        "name": name,
        "gpu": artefact.gpu.name,
        "dtypes": {dtype: {} for dtype in models.measured},
    }
