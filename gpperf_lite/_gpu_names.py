"""Names of GPUs: of any name that people or programs have for one, the board that it is of.

NVML's and PyTorch's names, lines of `nvidia-smi -L` and `lspci`, requests of Slurm, labels of
Kubernetes, spellings of clouds and shops. Capitals do not count, nor does what stands between
words: blanks, hyphens, underscores, control characters. A name is of one board or it is refused:
one word that is not understood is enough, since Ti, Laptop, D or 40GB are words of other boards.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ._errors import shown
from ._gpu_boards import BOARDS, FAMILIES, Board

_LONGEST = 200
_KEPT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.,:/=()[]\"'")
_MARKS = ("nvidia", "geforce", "tesla")
_IDLE = {*_MARKS, "corporation", "tensor", "core", "gpu"}
"""Words that every GPU may be called by."""

_WRAPPERS = (
    # nvidia-smi -L: "GPU 0: NVIDIA H200 (UUID: GPU-...)".
    r"gpu ?\d+ ?: ?(?P<name>[^:]+?) ?(?:\(uuid ?:[^()]*\))?",
    # lspci: "17:00.0 3D controller: NVIDIA Corporation GH100 [H100 SXM5 80GB] (rev a1)".
    r".*nvidia corporation \w+ \[(?P<name>[^][]+)\](?: \(rev \w+\))?",
    # Kubernetes: "nvidia.com/gpu.product=NVIDIA-H200", "...gke-accelerator: nvidia-l4".
    r"[^=:]*(?:gpu\.product|accelerator)[\"']? ?[=:] ?(?P<name>[^=:,]+)",
    r"nvidia\.com/(?P<name>[^=:,]+)(?: ?[=:] ?\d+)?",
    # Slurm: "gres/gpu:a100:4", "--gpus=h200:8", "gpu:nvidia_h200:8(S:0-1)".
    r"(?:gres[=/:]|gres[=/:]gpu[=/:]|gpu[:/]|gpus(?: per [a-z]+)?[= ](?:gpu:)?)"
    r"(?P<name>[^=:,()]+)(?:[=:][1-9]\d*)?(?:\([^()]*\))?",
    r"(?P<name>[^=:,()]+):[1-9]\d*",
)
_SLICE = r"\bmig\b|\b[1-7]g[. ]\d+gb\b"
_GEFORCE = r"(rtx)_?([0-9]{4})_?(ti)?_?(super)?"
"""Cards that are known as "RTX 4090", "rtx4090" or "RTX_4070_Ti_SUPER"."""

_GLUED = (
    r"([1-9]\d?x)?([a-z]{1,2}\d+[a-z]?)"
    r"(?:(sxm(?:[2-6](?=$|\d\d+gb))?|pcie|nvl(?!\d+gb)\d*|nvl)(\d+gb)?)?",
    r"([1-9]\d?x)?(rtx)?(pro)?(a?\d{4})?(ti)?(super)?(ada)?(d|m)?",
)
"""Words that stand as one, as in "8xh100sxm5" or "rtx4070tisuper"."""

_PORTABLE = {"laptop", "mobile", "notebook", "maxq", "m"}
_SPELT = (*_MARKS, "blackwell", "edition", "generation", "jetson", "laptop", "mobile", "notebook",
          "server", "super", "tensor", "workstation")  # fmt: skip
"""Words that are mended where they are misspelt: long ones, which no other is like."""


_Meant = tuple[tuple[str, ...], Board, frozenset[str]]


class GpuName(NamedTuple):
    """A name, understood.

    short: the name of the board in `gpus.json`; of another GPU its words in small letters, with
        "_" between them.
    note: on what the name was taken for, where it could be of several boards; refusal: the reason
        why it is of none; each empty where there is nothing to say.
    boards: the known ones that it may be of, where it does not tell.
    """

    short: str
    note: str = ""
    refusal: str = ""
    boards: tuple[str, ...] = ()


def short_name(name: str) -> str:
    """Return the short name of a GPU from any usual one: "NVIDIA H200" gives "h200_sxm"."""
    return gpu_name(name).short


def gpu_name(name: str) -> GpuName:
    """Return a name, understood; one that is not is there with the reason."""
    text = _folded(name)
    plain = "_".join(_split(text))
    if len(plain) > _LONGEST:
        return GpuName(plain)
    plain, text = _joined(text), _unwrapped(text)
    plain = _joined(text) or plain
    # As elsewhere here, a pattern is compiled and looked for where it can be: a name of a model is
    # asked for at each start of a program, and most are short.
    if "g" in text and re.search(_SLICE, text):
        why = "a MIG slice is part of a GPU, with SMs, L2 and bandwidth of its own"
        return GpuName(plain, refusal=why)
    words = _words(text)
    is_shared = "shared" in words[1:]
    found = _board_of([word for word in words if not is_shared or word != "shared"], plain, name)
    if is_shared and not found.refusal:
        alone = "predicted as a GPU that nobody else uses"
        return found._replace(note=f"{found.note}; {alone}" if found.note else alone)
    return found


def is_written_by_a_program(text: str) -> bool:
    """Return True for the name of a GPU with what Slurm, Kubernetes or a tool writes around it."""
    folded = _folded(text)
    return _unwrapped(folded) != folded


def corrected(name: str) -> str:
    """Return a name with its slips of the pen mended, in small letters: O for 0, "nvdia"."""
    import difflib  # only on the way to an error

    words = _unwrapped(_folded(name)[:_LONGEST]).split()
    known = set(_SPELT).union(*(board.words for board in BOARDS))
    mended = []
    for word in words:
        like = []
        if word.isalpha() and len(word) > 3 and word not in known:
            like = difflib.get_close_matches(word, _SPELT, n=1, cutoff=0.75)
        mended.append(like[0] if like else _with_digits(word))
    return " ".join(mended)


def _with_digits(word: str) -> str:
    """Return a word with the letters o, i and l as digits where they stand behind or before one."""
    letters = ""
    for at, letter in enumerate(word):
        beside = letters[-1:].isdigit() or (at and word[at + 1 : at + 2].isdigit())
        letters += {"o": "0", "i": "1", "l": "1"}.get(letter, letter) if beside else letter
    return letters


def _folded(name: str) -> str:
    """Return a name in small ASCII letters, one blank between words.

    A letter of another alphabet is a word that nothing is known by, not a gap between words.
    """
    letters = (
        letter if letter in _KEPT else f"u{ord(letter):x}" if letter.isalnum() else " "
        for letter in name.lower()
    )
    return " ".join("".join(letters).split()).strip(" \"'")


def _unwrapped(text: str) -> str:
    """Return the name of a GPU without what programs write around it."""
    is_wrapped = len(text) <= 2 * _LONGEST and any(mark in text for mark in ":=[/")
    for pattern in _WRAPPERS if is_wrapped else ():
        match = re.fullmatch(pattern, text)
        if match:
            return match["name"].strip(" \"'")
    return text


def _split(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text).split()


def _joined(text: str) -> str:
    """Return the short name of a GPU of which nothing but its words is known."""
    words = _split(text)
    while len(words) > 1 and words[0] in _MARKS:
        del words[0]
    short = "_".join(words)
    card = re.fullmatch(_GEFORCE, short) if short.startswith("rtx") else None
    return "".join(part or "" for part in card.groups()) if card else short


def _words(text: str) -> list[str]:
    """Return the words of a name, in one of their usual spellings and each by itself."""
    words = _split(text)
    if "g" in text or "q" in text or "pci" in text:
        spelt = re.sub(r"\b(\d+) ?(?:gib|gb|g)\b", r"\1gb", " ".join(words))
        words = re.sub(r"\bmax q\b", "maxq", re.sub(r"\bpci e\b", "pcie", spelt)).split()
    apart = []
    for word in words:
        if word in FAMILIES or word in _IDLE:
            apart.append(word)
            continue
        match = re.fullmatch(_GLUED[0], word) or re.fullmatch(_GLUED[1], word)
        # The first part says how many GPUs: "8x H100".
        apart += [part for part in match.groups()[1:] if part] if match else [word]
    return apart


def _board_of(words: list[str], plain: str, name: str) -> GpuName:
    """Return the board of which a name's words are.

    plain: the short name where there is none; name: as it was given.
    """
    named = [one for word in dict.fromkeys(words) for one in FAMILIES.get(word, ())]
    found = [(family, board, _without(words, family)) for family, board in named]
    meant = [(family, board, frozenset(rest)) for family, board, rest in found if rest is not None]
    if not meant:
        return _card_of(words, plain)
    fitting = [one for one in meant if one[2] - _IDLE <= one[1].words]
    if not fitting or _several(words, [family for family, _, _ in meant]):
        return GpuName(plain, refusal=_strange(words, meant))
    for _, board, told in fitting:
        if board.is_told_by(told) or plain == board.short != board.families[0][0]:
            return GpuName(board.short)
    # The first of those of the longest family.
    _, likely, _ = max(fitting, key=lambda one: len(one[0]))
    boards = tuple(dict.fromkeys(board.short for _, board, _ in fitting))
    if not likely.taken_as:
        return GpuName(plain, refusal=f"say which, {', '.join(boards)}", boards=boards)
    note = (
        f"{shown(name)} is taken as {likely.short}, {likely.taken_as}; others have names of their "
        "own: see 'gpperf gpus'"
    )
    return GpuName(likely.short, note, boards=boards)


def _without(words: list[str], family: tuple[str, ...]) -> list[str] | None:
    """Return the words of a name without those of a family; None where these are not in it."""
    n = len(family)
    starts = (at for at in range(len(words) - n + 1) if tuple(words[at : at + n]) == family)
    at = next(starts, None)
    return None if at is None else words[:at] + words[at + n :]


def _card_of(words: list[str], plain: str) -> GpuName:
    """Return the GeForce of which a name's words are, or a name of no board."""
    rest = [word for word in words if word not in _IDLE]
    match = re.fullmatch(r"(?:rtx )?(\d{4})( ti)?( super)?( \d+gb)?", " ".join(rest))
    if match and match[4]:
        return GpuName(plain)  # the data sheet has the card's memory
    if match:
        return GpuName(f"rtx{''.join(part or '' for part in match.groups())}".replace(" ", ""))
    return GpuName(plain, refusal=_strange(words, []))


def _several(words: list[str], families: list[tuple[str, ...]]) -> bool:
    """Return True where words name a GPU twice, or two of them."""
    heads = {family[-1] for family in families}
    return any(words.count(word) > 1 for word in (*heads, "rtx")) or (
        len(heads) > 1 and heads != {"gb10", "spark"}
    )


def _strange(words: list[str], meant: list[_Meant]) -> str:
    """Return the reason why words are of no board, "" where there is none to give.

    meant: families that are named, each with a board of it and the other words.
    """
    others = [word for word in words if word not in _IDLE]
    if all(word.isdigit() for word in others):
        return "it names no model of GPU"
    if _several(words, [family for family, _, _ in meant]):
        return "it names more than one GPU"
    if _PORTABLE.intersection(words):
        return "a GPU of laptops is another one than the card of its number"
    if "grid" in words or any(re.fullmatch(r"\d+[abcq]", word) for word in words):
        return "a vGPU is part of a GPU"
    families = [family for family, _, _ in meant]
    families += [("rtx", word) for word in others if re.fullmatch(r"\d0[5-9]0", word)][:1]
    if not families:
        return ""
    family = min(families, key=len)
    others = [word for word in others if word not in family]
    known = frozenset().union(*(board.words for _, board, _ in meant))
    strange = [word for word in others if word not in known] or others
    return f"no {' '.join(family)} with {' '.join(strange)[:80]!r} is known"
