"""The outcome of compiling one kernel for one architecture, and the table of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpperf_lite import Kernel
from gpperf_lite._occupancy import blocks_per_sm, occupancy

from ..architectures import capability_of

_COLUMNS = ("kernel", "arch", "threads", "registers", "shared", "spills", "blocks", "occupancy")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one kernel on one architecture.

    kernel: described by its compiler where it compiled; key: of its cubin, "" where there is none.
    reason: why it cannot be used, None where it can; cached: whether it was there already.
    seconds: what compiling took.
    """

    kernel: Kernel
    architecture: str
    key: str
    reason: str | None
    cached: bool
    seconds: float

    def row(self) -> dict[str, Any]:
        """Return the row of the table, as JSON values; None is not known."""
        kernel, capability = self.kernel, capability_of(self.architecture)
        return {
            "kernel": kernel.name,
            "architecture": self.architecture,
            "threads": kernel.threads,
            "registers": kernel.registers,
            "shared_bytes": kernel.shared_bytes,
            "spill_bytes": kernel.spill_bytes,
            "blocks_per_sm": blocks_per_sm(kernel, capability) if self.key else None,
            "occupancy": occupancy(kernel, capability) if self.key else None,
            "key": self.key,
            "cached": self.cached,
            "seconds": self.seconds,
            "reason": self.reason,
        }


def table_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of a table: what can be used, what cannot and why, and the counts."""
    usable = [outcome for outcome in outcomes if outcome.reason is None]
    cells = [_COLUMNS, *(_cells(outcome) for outcome in usable)]
    if usable:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for name, *numbers in cells:
            right = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
            yield "  ".join([name.ljust(widths[0]), *right])
    for outcome in outcomes:
        if outcome.reason is not None:
            yield f"left out: {outcome.kernel.name} ({outcome.architecture}): {outcome.reason}"
    cached = sum(outcome.cached for outcome in usable)
    yield (
        f"{len(usable)} ready ({cached} from the cache), {len(outcomes) - len(usable)} left out; "
        f"{sum(outcome.seconds for outcome in outcomes):.1f} s of compiling"
    )


def _cells(outcome: Outcome) -> tuple[str, ...]:
    row = outcome.row()
    share = row["occupancy"]
    numbers = (row[name] for name in ("threads", "registers", "shared_bytes", "spill_bytes"))
    return (
        row["kernel"],
        row["architecture"],
        *("-" if number is None else str(number) for number in numbers),
        "-" if row["blocks_per_sm"] is None else str(row["blocks_per_sm"]),
        "-" if share is None else f"{share:.0%}",
    )
