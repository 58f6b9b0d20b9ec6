"""A finding: one thing that was looked at on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at, and what to do about it where it is not in order.

    status: "ok"; "warning" (it works, but what is measured will be flagged, or lacks something);
        "missing" (something will not work); "broken" (it is there and does not work).
    """

    name: str
    status: str
    text: str

    def line(self) -> str:
        """Return the finding as one line for people."""
        return f"{self.status:9}{self.name:24}{self.text}"
