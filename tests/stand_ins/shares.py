"""The shares of a test run: how long the languages of exported models take, and all else."""

from __future__ import annotations

from collections.abc import Iterable

EXPORT = "builder/export/"
NODE = (f"{EXPORT}test_module.py",)
COMPILED = tuple(f"{EXPORT}test_{one}.py" for one in ("header", "parity", "arithmetic", "arm"))


def part_of(test: str) -> str:
    """Return the language that a test runs, by its id: one that names clang, else gcc, or Node."""
    if any(name in test for name in NODE):
        return "Node"
    if any(name in test for name in COMPILED):
        return "clang" if "clang" in test else "gcc"
    return "all else"


def shares(durations: Iterable[tuple[str, float]]) -> list[str]:
    """Return a line for each part: its seconds in all processes together, and its share.

    durations: ids of tests, each as often as it was reported, and seconds.
    """
    parts = dict.fromkeys(("gcc", "clang", "Node", "all else"), 0.0)
    for test, seconds in durations:
        parts[part_of(test)] += seconds
    total = sum(parts.values()) or 1.0
    return [f"{name:10}{value:8.1f} s{value / total:8.1%}" for name, value in parts.items()]
