"""Former spellings of commands, and what took their place."""

from __future__ import annotations

from collections.abc import Sequence

_SUCCESSORS = {
    ("docs", ""): "report features",
    ("doctor", "--probe"): "probe",
    ("evaluate", "--artefact"): "evaluate model DATASET --artefact MODEL",
    ("evaluate", "--floor"): "evaluate floor DATASET",
    ("evaluate", "--method"): "evaluate methods DATASET --method METHOD",
    ("evaluate", "--report"): "report accuracy --sources FOLDER",
    ("evaluate", "--study"): "evaluate study CSV",
    ("evaluate", "--tiles"): "evaluate tiles DATASET --dtype DTYPE",
    ("evaluate", "--unseen"): "report unseen --sources FOLDER",
    ("plan", "--few"): "calibrate --choose N --sweep TOML --gpu GPU",
    ("train", "--recipe"): "models build --sources FOLDER",
}
"""The new command by the old one and the option that it was chosen by; "" for the command."""


def successor(arguments: Sequence[str], known: Sequence[str]) -> str | None:
    """Name the command that took the place of the one in `arguments`; None where it is no old one.

    known: the commands of the group that is asked for: `evaluate model DATASET --artefact MODEL`
    is no old spelling.
    """
    if not arguments or (len(arguments) > 1 and arguments[1] in known):
        return None
    options = {"", *(argument.partition("=")[0] for argument in arguments[1:])}
    found = [
        new for (name, old), new in _SUCCESSORS.items() if name == arguments[0] and old in options
    ]
    return found[0] if found else None
