"""The model at a glance: blocks of text and tables, for a page and for a Markdown card."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpperf_lite import Kernel, available
from gpperf_lite._card_page import texts
from gpperf_lite._kernel_listing import names_or_families

from ..evaluate import CONFIDENCES
from ..figures import METHOD_NAMES
from ..markdown import paragraph, table
from ..train import errors_of
from .evidence import Evidence, Rows

_LONGEST_NAMES = 32
_SHORT = 20
"""Rows of a table, or sentences, that a page shows at once; more are folded away."""

_SOURCE = re.compile(r"(runtime|power) from |\d+ tables ")


@dataclass(frozen=True)
class Block:
    """Sentences, or a table with a sentence before it, under one heading."""

    title: str
    sentences: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def html(self) -> str:
        """Return the block as HTML; the table scrolls sideways on a narrow screen."""
        title = f"<h3>{html.escape(self.title)}</h3>"
        if self.head:
            parts = [*(f"<p>{html.escape(text)}</p>" for text in self.sentences), self._table()]
        else:
            items = "".join(f"<li>{html.escape(text)}</li>" for text in self.sentences)
            parts = [f"<ul>{items}</ul>"]
        if max(len(self.rows), len(self.sentences)) <= _SHORT:
            return "\n".join([title, *parts])
        inside = "\n".join(parts)
        return f"<details>\n<summary>{title}</summary>\n{inside}\n</details>"

    def _table(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.head)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        title = html.escape(self.title, quote=True)
        return (
            f'<div class="wide" tabindex="0" role="region" aria-label="{title}">'
            f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
            "</table></div>"
        )

    def markdown(self) -> list[str]:
        """Return the block as lines of Markdown."""
        lines = [f"## {self.title}", ""]
        if self.head:
            for text in self.sentences:
                lines += [*paragraph(text), ""]
            return [*lines, *table(self.head, self.rows), ""]
        for text in self.sentences:
            lines += paragraph(f"- {text}", "  ")
        return [*lines, ""]


def _cell(text: str) -> str:
    is_number = re.fullmatch(r"[+-]?[\d.]+%?", text)
    return f"<td{' class=number' if is_number else ''}>{html.escape(text)}</td>"


def blocks_of(evidence: Evidence) -> list[Block]:
    """Return the model at a glance."""
    card = evidence.model.card
    known = {kernel.name: kernel for kernel in evidence.model.kernels}
    told = tuple(texts(card))
    sources = tuple(text for text in told if _SOURCE.match(text))
    doubts = (text for text in told if not _SOURCE.match(text))
    return [
        _facts(card),
        Block(
            "Held-out accuracy, on the card",
            (
                "Absolute percentage errors of groups that were held out of training whole, and "
                "the share of measurements inside the 90 % interval.",
                *_elsewhere(card["name"]),
            ),
            ("target", "dtype", "kernels", "timed", "held out", "rows", "mean", "median", "p90",
             "covers"),
            tuple(_accuracy(card, known)),
        ),
        compared(evidence.rows),
        Block("What it is not good for", (*_measured(card, known), *doubts)),
        *_collections(card, known),
        Block("Sources", sources or ("The card names none.",)),
    ]  # fmt: skip


def _measured(card: Mapping[str, Any], known: Mapping[str, Kernel]) -> Iterator[str]:
    """Yield a sentence for each kind of runtime on the sizes outside of which it is a guess."""
    by_sizes: dict[str, list[str]] = {}
    for one in card["estimators"]:
        if one["target"] == "runtime" and not one["remarks"]:
            domain = one["domain"]
            sizes = ", ".join(_range(name, *domain[name]) for name in ("m", "n", "k", "batch"))
            layouts = " ".join(domain["layouts"])
            text = f"layout {layouts}, {sizes}"
            by_sizes.setdefault(text, []).append(f"{one['dtype']} of {_named(one, known)}")
    for text, names in by_sizes.items():
        yield (
            f"Measured were {text} ({'; '.join(names)}). Elsewhere the prediction fades to physics "
            "alone, its interval widens, and a note says so."
        )


def _elsewhere(name: str) -> Iterator[str]:
    """Yield the place of the baselines of a built-in model, on the groups of its card."""
    if name in available():
        yield "docs/accuracy.md has the study's forest and the roofline on the same groups."


def _range(name: str, low: int, high: int) -> str:
    return f"{name} from {low} to {high}" if low < high else f"{name} {low}"


def _facts(card: Mapping[str, Any]) -> Block:
    gpu = card["gpu"]
    peaks = ", ".join(f"{name} {rate / 1e12:.4g}" for name, rate in gpu["peak_flops"].items())
    rows = [
        ("model", f"{card['name']}, version {card['version']}"),
        ("GPU", f"{gpu['name']}, {gpu['sm_count']} SMs at {gpu['clock_hz'] / 1e6:.0f} MHz"),
        (
            "memory",
            f"{gpu['memory_bytes'] / 1e9:.4g} GB, {gpu['dram_bytes_per_s'] / 1e12:.3g} TB/s",
        ),
        ("peak, TFLOP/s", peaks),
        ("power", _power(gpu)),
        ("kernels", f"{len(card['kernels'])}: {_some(card['kernels'])}"),
        ("dtypes", " ".join(dict.fromkeys(one["dtype"] for one in card["estimators"]))),
        ("predicts", " ".join(dict.fromkeys(one["target"] for one in card["estimators"]))),
    ]
    return Block("What it is", (), ("fact", "value"), tuple(rows))


def _power(gpu: Mapping[str, Any]) -> str:
    limit, idle = gpu.get("power_limit_w"), gpu.get("idle_power_w")
    known = [f"{value:.4g} W {noun}" for value, noun in ((idle, "idle"), (limit, "limit")) if value]
    return ", ".join(known) or "not known"


def _some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _accuracy(card: Mapping[str, Any], known: Mapping[str, Kernel]) -> Iterator[tuple[str, ...]]:
    for one in card["estimators"]:
        accuracy = one["accuracy"]
        shares = [accuracy.get(key) for key in ("mean_ape", "median_ape", "p90_ape", "coverage_90")]
        yield (
            one["target"],
            one["dtype"],
            _named(one, known),
            one["timed"] or "-",
            str(accuracy.get("split", "-")),
            str(accuracy.get("n", "-")),
            *("-" if share is None else f"{share:.2%}" for share in shares),
        )


def _named(one: Mapping[str, Any], known: Mapping[str, Kernel]) -> str:
    return str(names_or_families([known[name] for name in one["kernels"]], _LONGEST_NAMES))


def compared(rows: Rows) -> Block:
    """Return errors on the rows of a report beside the baselines', by dtype and kernel.

    Held out alike; that of a baseline is of the points that it has an answer for.
    """
    answered = rows.answered
    points = answered.runtime.points
    title = "beside the baselines, on the rows of this report"
    head = ("dtype", "kernel", "rows", "mean", "median", "p90", "bias", "covers (of 90 %)")
    more = tuple(f"{METHOD_NAMES[name]}, mean" for name in answered.baselines)
    lines = []
    for dtype, kernel in sorted(set(zip(points.dtype, _kinds(points.kernel), strict=True))):
        mine = (points.dtype == dtype) & (_kinds(points.kernel) == kernel)
        lines.append((dtype, kernel, *_cells(rows, mine)))
    if len(lines) > 1:
        lines.append(("all", "all", *_cells(rows, np.ones(len(points), bool))))
    doubts = (f"{answered.n_left_out} points are of kernels or dtypes that it does not know.",)
    sentences = (rows.source, *(doubts if answered.n_left_out else ()), *answered.doubts)
    text = f"Simulated GPU: {title}" if rows.is_simulated else title.capitalize()
    return Block(text, sentences, (*head, *more), tuple(lines))


def _kinds(kernels: Any) -> Any:
    """Return the family of each kernel, or the name of a back end, shape (n_points,)."""
    families = {name: name for name in set(kernels)}
    for name in families:
        if name.startswith("cutlass"):
            families[name] = "CUTLASS"
        elif name.startswith("tiled"):
            families[name] = "tiled"
    return np.array([families[name] for name in kernels], object)


def _cells(rows: Rows, mine: Any) -> tuple[str, ...]:
    answers = rows.answered.runtime.where(mine)
    measured = answers.points.runtime_s
    errors = errors_of(answers.runtime_s, measured)
    at = CONFIDENCES.index(0.9)
    inside = float(np.mean((answers.low_s[at] <= measured) & (measured <= answers.high_s[at])))
    others = []
    for predicted in rows.answered.baselines.values():
        known = np.isfinite(predicted[mine])
        mean = (
            np.abs(predicted[mine][known] / measured[known] - 1.0).mean() if known.any() else None
        )
        others.append("-" if mean is None else f"{mean:.2%}")
    shares = (f"{one:.2%}" for one in (errors.mean_ape, errors.median_ape, errors.p90_ape))
    return (str(errors.n), *shares, f"{errors.bias:+.2%}", f"{inside:.2%}", *others)


def _collections(card: Mapping[str, Any], known: Mapping[str, Kernel]) -> list[Block]:
    """Return the collections that runtimes were learned from, and how they differ, if known."""
    runtimes = [one for one in card["estimators"] if one["target"] == "runtime"]
    rows = [row for one in runtimes for row in _collection_cells(one, _named(one, known))]
    if not rows:
        return []
    text = (
        "Factor: what a collection measures over the reference of all; distance: the mean distance "
        "from it once that is taken off."
    )
    head = ("dtype", "kernels", "collection", "points", "factor", "distance")
    return [Block("Collections, and how they differ", (text,), head, tuple(rows))]


def _collection_cells(estimator: Mapping[str, Any], named: str) -> Iterator[tuple[str, ...]]:
    accuracy = estimator["accuracy"]
    for one in accuracy.get("collections", ()):
        if isinstance(one, dict):
            factor, distance = f"{one['factor']:.3f}", f"{one['distance']:.1%}"
            yield estimator["dtype"], named, one["name"], str(one["n"]), factor, distance
    for name, why in accuracy.get("left_out", {}).items():
        yield estimator["dtype"], named, name, "left out", "-", str(why)
