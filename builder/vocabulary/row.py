"""Regimes, roles, statuses and flags of a row, each with its meaning; other modules refer to these.

`docs/dataset.md` is written from these tables. A member is the string that stands in the files.
"""

from __future__ import annotations

from enum import Enum


class _Word(str, Enum):
    """A string with a meaning; equal to the plain string, and printed and stored like it."""

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> _Word:
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    __str__ = str.__str__
    __repr__ = str.__repr__

    def __format__(self, form: str) -> str:
        return str.__format__(self, form)


class Regime(_Word):
    """The way in which a kernel was run while its row was measured."""

    BURST = "burst", "one launch on a cool GPU at full clocks: the runtime"
    SUSTAINED = (
        "sustained",
        "launch after launch for about a second or longer, under the power cap: power, and the "
        "runtime that goes with it",
    )
    REPEATED = (
        "repeated",
        "back to back for as long as somebody else's tool did it, clocks not controlled: taken as "
        "the runtime of one launch",
    )


class Role(_Word):
    """The purpose of a row of our own measuring. Rows of every role are trained on."""

    POINT = "point", "a point of the plan"
    REPEAT = "repeat", "a point whose power is measured once more"
    SENTINEL = "sentinel", "one and the same point, measured again and again to notice drift"
    GOLD = "gold", "power over a window many times as long, to say what the short windows are worth"


class Status(_Word):
    """The outcome of a measurement of our own; the column `reason` explains all but `ok`."""

    OK = "ok", "measured"
    REJECTED = "rejected", "measured, but not to be believed"
    FAILED = "failed", "not measured"


class Flag(_Word):
    """A doubt about a row, or a circumstance of it, and whether that keeps the row out.

    keeps_out: whether rows with this flag take no part in training, calibrating and evaluating.
    advice: why not, or why they do; and what a user can do about it.
    """

    keeps_out: bool
    advice: str

    def __new__(
        cls, word: str, meaning: str = "", keeps_out: bool = False, advice: str = ""
    ) -> Flag:
        """Make a member of a line of the table below."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        member.keeps_out = keeps_out
        member.advice = advice
        return member

    BELOW_RESOLUTION = (
        "below_resolution",
        "the launch is too short for what timed it: its runtime is that of the clock or of the "
        "host",
        True,
        "measure larger problems",
    )
    COARSE = (
        "coarse",
        "a launch so long that a few were timed one by one, not in batches",
        False,
        "so long a launch needs no average",
    )
    COLD = (
        "cold",
        "the first launch of a process, not warmed up: loading the kernel and raising the clocks "
        "may be in its runtime",
        True,
        "launch before you time; 'python -m builder evaluate tiles --cold all' compares such rows "
        "with one another",
    )
    DRIFT = (
        "drift",
        "it lies between two measurements of one sentinel that differ by more than the protocol "
        "allows",
        True,
        "the GPU changed on the way, and nothing says before or after which row; let it reach its "
        "working temperature, lock its clocks if you may, and collect again",
    )
    FAILED = (
        "failed",
        "it was not measured, or its result was wrong: the reason is in `reason`",
        True,
        "see the column `reason`",
    )
    HOST_BOUND = (
        "host_bound",
        "the launch is as long as those of far smaller problems: its time is that of the host "
        "which launched it",
        True,
        "runtime is the device's time; measure under a CUDA graph. Where a table has no other rows "
        "of a kernel, they are learned from, and every prediction says so",
    )
    MIG = (
        "mig",
        "the GPU is partitioned (MIG): power cannot be measured",
        False,
        "the runtime is that of the partition, and so are the facts of the GPU beside it",
    )
    OTHER_PROCESSES = (
        "other_processes",
        "another process held a compute context on the GPU (a desktop, which only draws, is not "
        "counted)",
        True,
        "it may have worked at any moment: utilisation can be told only before our own work "
        "begins, and sentinels show a change, not a load that stays; end it and collect again",
    )
    POWER_CAPPED = (
        "power_capped",
        "the power cap held clocks down",
        False,
        "under lasting load that is what is measured; a burst that meets the cap will meet it "
        "wherever it runs",
    )
    PROCESS_POWER = (
        "process_power",
        "its power is the board's average over the life of a process, in which the launch was "
        "a part of unknown length",
        True,
        "it is no kernel's power; measure while launch follows launch",
    )
    REJECTED = (
        "rejected",
        "what was measured under lasting load cannot be true: the reason is in `reason`",
        True,
        "see the column `reason`",
    )
    SIMULATED = (
        "simulated",
        "a simulated GPU was measured",
        True,
        "it says nothing of any GPU; `--simulated` takes these rows, and them alone",
    )
    SOURCES_DISAGREE = (
        "sources_disagree",
        "two sources of power differ by more than the protocol allows over the same window",
        True,
        "one of them is wrong, and nothing says which; see 'python -m builder probe'",
    )
    STARVED = (
        "starved",
        "the GPU ran out of work within the window",
        True,
        "its power is not that of the kernel; give the collector's process a core of its own",
    )
    THROTTLED = (
        "throttled",
        "clocks were held down by heat or hardware, or fell while it was timed, again and again",
        True,
        "it is slower than the GPU is; see to its cooling and collect again",
    )
    UNSTEADY = (
        "unsteady",
        "the two halves of the window differ in power or clock, even in a longer window",
        True,
        "there is no power to speak of; let the GPU reach its working temperature first",
    )
    UTILISED = (
        "utilised",
        "the GPU was busy before our own work began",
        True,
        "somebody else was working on it while we measured; wait, or end it, and collect again",
    )
    WRONG = (
        "wrong",
        "the kernel's result is wrong, so it was not timed",
        True,
        "see the column `reason`",
    )


UNUSABLE = frozenset(flag for flag in Flag if flag.keeps_out)
"""Flags that keep a row out of training, calibrating and evaluating."""
