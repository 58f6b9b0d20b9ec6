"""A session: one process that adds to a journal; by which rules it measures what on which GPU."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gpperf_lite import Gpu, __version__
from gpperf_lite._builtin import short_name
from gpperf_lite._descriptions import gpu_to_json

from ...device import Identity
from ...errors import BuilderError
from ...measure import Protocol
from ...plan import Plan
from ..journal import SCHEMA, Journal, Line

_SIMULATED = "simulated"
"""What a simulated GPU has for a driver, and in brackets at the end of its name."""

_MAY_CHANGE = {
    "uuid": "GPU",
    "driver": "driver",
    "protocol_hash": "protocol",
    "plan": "plan",
    "builds": "compiled kernels",
}


class ChangedError(BuilderError):
    """A journal was begun on something else than what is to go on with it."""


def facts_of(
    identity: Identity, gpu: Gpu, plan: Plan, protocol: Protocol, keys: Mapping[str, str]
) -> dict[str, Any]:
    """Return who measures what by which rules, as JSON values; keys: of cubins, by kernel."""
    return {
        **asdict(identity),
        "gpu": short_name(gpu.name),
        "gpu_facts": gpu_to_json(gpu),
        "is_simulated": _is_simulated(identity),
        "protocol": asdict(protocol),
        "protocol_hash": protocol.hash,
        "plan": plan.hash,
        "builds": _hash_of(keys),
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
    """Raise ChangedError where a journal may not go on, because the facts now are others."""
    if before["gpu"] != now["gpu"]:
        raise ChangedError(
            f"the journal {journal} was begun on {before['gpu']}, this is {now['gpu']}: "
            "choose another folder"
        )
    changes = [
        f"{what} {_told(before, name)} to {_told(now, name)}"
        for name, what in _MAY_CHANGE.items()
        if before[name] != now[name]
    ]
    if changes and not allow_changed:
        raise ChangedError(
            f"the journal {journal} was begun on something else (changed: "
            f"{', '.join(changes)}): choose another folder, or ask for it with --allow-changed"
        )


def _told(facts: Line, name: str) -> str:
    """Return a fact for people, who know a plan by its sweep."""
    return f"{facts[name]} of {facts['sweep']}" if name == "plan" else str(facts[name])


def _is_simulated(identity: Identity) -> bool:
    return identity.driver == _SIMULATED or identity.name.endswith(f"({_SIMULATED})")


def _hash_of(keys: Mapping[str, str]) -> str:
    text = json.dumps(dict(keys), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
