"""The explorer: a section of a page in which models are asked, by their exported modules."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import gpperf_lite

from ..errors import BuilderError
from ..export import contents_of, module_of, source_of
from .document import Section, asset, document, filled
from .facts import facts_of
from .packed import packed

_STYLES = ("results.css", "explorer.css")
"""Styles of the explorer; those for narrow screens stand last."""

_SCRIPTS = (
    "elements.js",
    "numbers.js",
    "models.js",
    "view.js",
    "chart.js",
    "snippets.js",
    "answers.js",
    "ranking.js",
    "layers.js",
    "controls.js",
    "curve.js",
    "explorer.js",
)
"""Scripts of the explorer: one scope, in this order."""


def explorer_page(models: Sequence[str | os.PathLike[str]] = ()) -> str:
    """Return the explorer of models as a document: of all built-in models where none is named.

    Raises what `explorer_section` raises.
    """
    names = models or gpperf_lite.available()
    gpus = "one GPU" if len(names) == 1 else f"{len(names)} GPUs"
    lead = (
        f"Runtime, power and energy of matrix multiplications on {gpus}. Every number is computed "
        "in this page, and equals that of the Python package to the last bit."
    )
    return document("GEMM explorer", [explorer_section(names)], lead)


def explorer_section(models: Sequence[str | os.PathLike[str]]) -> Section:
    """Return an explorer of models, each asked for as `gpperf_lite.load` is, with its errors.

    Raises BuilderError for two models of one name, and for none.
    """
    if not models:
        raise BuilderError("models must have one model at least (got none)")
    facts: list[dict[str, Any]] = []
    scripts = []
    for number, model in enumerate(models):
        source = source_of(model)
        contents = contents_of(source.artefact)
        facts.append(facts_of(contents, model))
        text, _ = module_of(contents, source, f"gpperf_{source.artefact.name}.mjs")
        one = packed(text)
        scripts.append(
            f'<script type="text/plain" id="explorer-model-{number}" '
            f"data-parts='{one.header}'>{one.data}</script>"
        )
    names = [one["id"] for one in facts]
    if len(set(names)) < len(names):
        raise BuilderError(f"models must have different names (got {', '.join(names)})")
    values = {
        "FACTS": _json(facts),
        "ENGINE": asset("engine.js"),
        "MODELS": "\n".join(scripts),
    }
    return Section(
        "explorer",
        "What would it cost?",
        filled(asset("explorer.html"), values),
        "\n".join(map(asset, _STYLES)),
        "\n".join(map(asset, _SCRIPTS)),
    )


def _json(value: Any) -> str:
    """Return a value as JSON that ends no script."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
