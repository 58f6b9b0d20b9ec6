"""The boards that have a name in common: the words that tell one from the other.

A board has a row where its names need understanding: its driver's, a cloud's, a shop's. A GeForce,
which is called by its number alone, needs none (see `_gpu_names`).

    short       its name in `gpus.json`
    families    the words that its names hold in this order; "|" between several
    telling     groups, with "/" between them: a name with a word of each is of this board, and of
                no other of the family, known or not; "80gb+hbm3" is two words together
    others      words that its names may have, and that tell nothing
    taken_as    in words, the board for which a name is taken that is too short to tell; "" where
                such a name is refused

Names of drivers are NVML's, which PyTorch and Kubernetes repeat; Google's are those of
https://cloud.google.com/compute/docs/gpus.
"""

from __future__ import annotations

from typing import NamedTuple

_SXM4, _SXM5, _SXM6 = (f"sxm sxm{socket} hgx dgx" for socket in (4, 5, 6))
_GRACE, _JETSON = "grace hopper blackwell superchip", "jetson agx nvgpu developer kit"
_PRO = "rtx blackwell edition 96gb gddr7"


class Board(NamedTuple):
    """A board, as the columns above say; a word of `telling` is a set of words that go together."""

    short: str
    families: tuple[tuple[str, ...], ...]
    telling: tuple[tuple[frozenset[str], ...], ...]
    others: frozenset[str]
    taken_as: str

    @property
    def words(self) -> frozenset[str]:
        """All words that a name of this board may have beside its family's."""
        return self.others.union(*(word for group in self.telling for word in group))

    def is_told_by(self, words: frozenset[str]) -> bool:
        """Return True where words are enough to tell this board from all others."""
        return all(any(word <= words for word in group) for group in self.telling)


def _board(
    short: str, families: str, telling: str = "", others: str = "", taken_as: str = ""
) -> Board:
    return Board(
        short,
        tuple(tuple(family.split()) for family in families.split("|")),
        tuple(
            tuple(frozenset(word.split("+")) for word in group.split())
            for group in telling.split("/")
            if group
        ),
        frozenset(others.split()),
        taken_as,
    )


BOARDS = (
    _board("a100_sxm", "a100", f"{_SXM4} / 80gb", "hbm2e", "the SXM board of 80 GB"),
    _board("a100_sxm_40gb", "a100", f"{_SXM4} / 40gb", "hbm2", "the SXM board of 40 GB"),
    _board("a100_pcie_40gb", "a100", "pcie / 40gb", "hbm2"),
    _board("a100_pcie_80gb", "a100", "pcie / 80gb", "hbm2e"),
    # The label of Kubernetes on Google's machines, whose A100 of 80 GB has another.
    _board("a100_sxm_40gb", "tesla a100", "40gb", "", "Google's A100, the SXM board of 40 GB"),
    _board("h100_sxm", "h100", f"{_SXM5} mega 80gb+hbm3", "80gb hbm3", "the SXM board of 80 GB"),
    _board("h100_pcie", "h100", "pcie", "80gb hbm2e"),
    _board("h100_nvl", "h100", "nvl", "94gb hbm3 pcie"),
    # The driver calls the SXM board by the family's name.
    _board("h200_sxm", "h200", f"{_SXM5} nvidia", "141gb hbm3e", "the SXM board of 141 GB"),
    _board("h200_nvl", "h200", "nvl", "141gb hbm3e pcie"),
    _board("h800_sxm", "h800", f"{_SXM5} nvidia", "80gb hbm3", "the SXM board of 80 GB"),
    _board("h20", "h20", "", "sxm sxm5 hgx 96gb hbm3"),
    _board("gh200", "gh200", "96gb 480gb 120gb", f"{_GRACE} hbm3", "the board of 96 GB of HBM3"),
    _board("b200_sxm", "b200", f"{_SXM6} nvidia", "180gb 192gb hbm3e", "the SXM board of 180 GB"),
    _board("b300_sxm", "b300", _SXM6, "ac 270gb 288gb hbm3e", "the SXM board of 270 GB"),
    _board("gb200", "gb200", "", f"{_GRACE} dgx nvl72 186gb 192gb hbm3e"),
    _board("gb300", "gb300", "", f"{_GRACE} dgx nvl72 279gb 288gb hbm3e"),
    _board("gb10", "gb10|dgx spark", "", f"{_GRACE} dgx spark 128gb"),
    _board("v100_sxm_16gb", "v100", "sxm sxm2 / 16gb", "hbm2", "the SXM2 board of 16 GB"),
    _board("v100_sxm_32gb", "v100", "sxm sxm2 / 32gb", "hbm2", "the SXM2 board of 32 GB"),
    _board("v100_pcie_16gb", "v100", "pcie / 16gb", "hbm2"),
    _board("v100_pcie_32gb", "v100", "pcie / 32gb", "hbm2"),
    _board("p100_pcie_16gb", "p100", "pcie / 16gb", "hbm2"),
    _board("p4", "p4", "", "pcie 8gb gddr5"),
    _board("t4", "t4", "", "pcie 16gb gddr6"),
    _board("a30", "a30", "", "pcie 24gb hbm2"),
    _board("a10", "a10", "", "pcie 24gb gddr6"),
    _board("a10g", "a10g", "", "pcie 24gb gddr6"),
    _board("a40", "a40", "", "pcie 48gb gddr6"),
    _board("l4", "l4", "", "pcie 24gb gddr6"),
    _board("l40", "l40", "", "pcie 48gb gddr6"),
    _board("l40s", "l40s", "", "pcie 48gb gddr6"),
    _board("rtx_a6000", "a6000", "", "rtx 48gb gddr6"),
    _board("rtx_a5000", "a5000", "", "rtx 24gb gddr6"),
    # Without its generation, RTX 6000 is as well a card of Turing.
    _board("rtx_6000_ada", "rtx 6000", "ada", "generation 48gb gddr6"),
    _board("rtx_5000_ada", "rtx 5000", "ada", "generation 32gb gddr6"),
    _board("rtx_pro_6000_server", "pro 6000", "server", _PRO, "the Server Edition"),
    _board("rtx_pro_6000_workstation", "pro 6000", "workstation", _PRO),
    _board("rtx_pro_6000_max_q", "pro 6000", "maxq", f"workstation {_PRO}"),
    # The driver calls every module of these chips by the chip's name alone, and the developer kit
    # came with other memories.
    _board("jetson_agx_orin", "orin", "64gb", _JETSON, "the Jetson AGX Orin of 64 GB"),
    _board("jetson_agx_thor", "thor", "128gb", _JETSON, "the Jetson AGX Thor of 128 GB"),
)
"""Rows of one family stand together; of those that a short name fits, the first is taken."""

FAMILIES: dict[str, list[tuple[tuple[str, ...], Board]]] = {}
"""The families, each with a board of it, by their last word."""

for _one in BOARDS:
    for _family in _one.families:
        FAMILIES.setdefault(_family[-1], []).append((_family, _one))
