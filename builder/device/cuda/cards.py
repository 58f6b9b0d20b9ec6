"""The GPUs that the driver sees, and the one of them that a name means.

Nothing here creates a context, so a process that never measures may ask.
"""

from __future__ import annotations

from typing import NamedTuple

from ..interface import DeviceError
from .driver import Driver


class Card(NamedTuple):
    """A GPU that the driver sees."""

    ordinal: int
    uuid: str
    name: str
    pci: str


def list_cards(driver: Driver) -> list[Card]:
    """Return the GPUs that are visible, in the driver's order."""
    return [_card(driver, index) for index in range(driver.call("cuDeviceGetCount"))]


def _card(driver: Driver, index: int) -> Card:
    handle = driver.call("cuDeviceGet", index)
    raw = bytes(driver.call("cuDeviceGetUuid", handle).bytes).hex()
    parts = (raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:])
    name = driver.call("cuDeviceGetName", 256, handle)
    pci = driver.call("cuDeviceGetPCIBusId", 32, handle)
    return Card(index, "GPU-" + "-".join(parts), _text(name), _text(pci))


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace").strip()


def find_card(cards: list[Card], which: int | str) -> Card:
    """Return the GPU that an index, a UUID (or its beginning) or a PCI id names.

    Raises DeviceError where it names none, or several.
    """
    if not cards:
        raise DeviceError(
            100, "open_gpu", "no GPU is visible: 'python -m builder doctor' says what is missing"
        )
    found = [card for card in cards if _is_named(card, str(which).strip().lower())]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{card.ordinal} = {card.name} {card.uuid} {card.pci}" for card in cards)
    problem = "several GPUs" if found else "no GPU"
    raise DeviceError(
        101,
        "open_gpu",
        f"{problem} by the name {which!r}: give an index, UUID or PCI id of {known}",
    )


def _is_named(card: Card, name: str) -> bool:
    if name.isdecimal():
        return int(name) == card.ordinal
    if ":" in name:
        return _pci_address(name) == _pci_address(card.pci)
    uuid = card.uuid.lower()
    return bool(name) and uuid.removeprefix("gpu-").startswith(name.removeprefix("gpu-"))


def _pci_address(text: str) -> tuple[int, ...] | None:
    """Return domain, bus, device and function; the domain is left out or has 4 or 8 digits."""
    parts = text.lower().replace(".", ":").split(":")
    try:
        numbers = tuple(int(part, 16) for part in parts)
    except ValueError:
        return None
    return (0, *numbers) if len(numbers) == 3 else numbers
