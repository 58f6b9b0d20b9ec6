"""Opening a session in a journal, and the facts that must not change between sessions.

A session is one process that adds to a journal. Its facts are the GPU, the driver, the protocol,
the plan and the compiled kernels.
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gpperf_lite import Gpu, __version__
from gpperf_lite._descriptions import gpu_to_json
from gpperf_lite._gpu_names import short_name

from ...device import Identity
from ...errors import BuilderError
from ...measure import Protocol
from ...plan import Plan
from ..journal import SCHEMA, Journal, Line

_SIMULATED = "simulated"
"""The driver of a simulated GPU; it stands in brackets at the end of its name too."""

_MAY_CHANGE = {
    "uuid": "GPU",
    "driver": "driver",
    "protocol_hash": "protocol",
    "plan": "plan",
    "builds": "compiled kernels",
}


class ChangedError(BuilderError):
    """A journal was begun on another GPU, driver, protocol or plan."""


def facts_of(
    identity: Identity,
    gpu: Gpu,
    plan: Plan,
    protocol: Protocol,
    provenance: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the facts of a session as JSON values; provenance: the sources of the GPU's facts."""
    return {
        **asdict(identity),
        "gpu": short_name(gpu.name),
        "gpu_facts": gpu_to_json(gpu),
        "gpu_provenance": dict(provenance) if provenance else None,
        "is_simulated": _is_simulated(identity),
        "protocol": protocol.to_json(),
        "fault_rules": asdict(protocol.faults),
        "protocol_hash": protocol.hash,
        "plan": plan.hash,
        "builds": plan.cubins,
        "sweep": plan.sweep.name,
        "n_points": len(plan.points),
        "n_power_points": len(plan.power_points),
        "left_out": [list(one) for one in plan.left_out],
        "versions": {
            "gpperf_lite": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }


def open_session(
    journal: Journal, facts: Line, *, restart: bool = False, allow_changed: bool = False
) -> None:
    """Open a session in a journal that is new, or that was begun on the same things.

    restart: whether it goes on for a process that was lost. allow_changed: whether another GPU of
    the same model, driver, protocol or plan may go on. Raises ChangedError where it may not.
    """
    if journal.state.header is None:
        header = {"schema": SCHEMA, "run": secrets.token_hex(8), "started": _now()}
        journal.append("header", **header)
    if journal.state.facts is not None:
        check_same(journal.path, journal.state.facts, facts, allow_changed)
    journal.append("session", restart=restart, started=_now(), facts=dict(facts))
    journal.sync()


def latest_facts(lines: Iterable[Line]) -> Line | None:
    """Return the facts of the latest session in the lines of a journal; None before the first."""
    facts: Line | None = None
    for line in lines:
        if line["kind"] == "session":
            facts = line["facts"]
    return facts


def check_same(journal: Path, before: Line, now: Line, allow_changed: bool) -> None:
    """Raise ChangedError where the facts now are others than those that a journal was begun on."""
    if before["gpu"] != now["gpu"]:
        raise ChangedError(
            f"the journal {journal} was begun on {before['gpu']}, this is {now['gpu']}: "
            "choose another folder"
        )
    changes = [
        f"{what} {_shown(before, name)} to {_shown(now, name)}"
        for name, what in _MAY_CHANGE.items()
        if before[name] != now[name]
    ]
    if changes and not allow_changed:
        raise ChangedError(
            f"the journal {journal} was begun on something else (changed: "
            f"{', '.join(changes)}): choose another folder, or ask for it with --allow-changed"
        )


def _shown(facts: Line, name: str) -> str:
    """Return a fact as a text for people, who know a plan by its sweep."""
    return f"{facts[name]} of {facts['sweep']}" if name == "plan" else str(facts[name])


def _is_simulated(identity: Identity) -> bool:
    return identity.driver == _SIMULATED or identity.name.endswith(f"({_SIMULATED})")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
