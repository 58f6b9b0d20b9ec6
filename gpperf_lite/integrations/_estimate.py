"""The estimate: what the matrix multiplications of a module cost, site by site and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ._answers import Answer, Asked, asked_of
from ._launch import Launch, Other

LowHigh = tuple[float, float]

_QUANTISED = "the model timed the quantising of A as well, which this operator does not do"


@dataclass(frozen=True)
class Site:
    """One call site: equal launches of a matrix multiplication by one module, and their cost.

    module: path of the module, "" for the outermost; operator: such as "aten.addmm"; phase:
        "forward" or "backward".
    m, n, k, batch, dtype, layout, beta: of one launch, as `Gemm` has them.
    launches: how many there are; flops, runtime_s, runtime_interval_s and energy_j are of all
        of them together. The last three are None where they are not known, and never 0.
    share: of the runtime of all that was predicted; None where this was not.
    bound, kernel, timed, notes: of the prediction (see `Prediction`).
    in_domain: True where the model was trained on GEMMs like this one.
    reason: why it was not predicted; "" where it was.
    """

    module: str
    operator: str
    phase: str
    m: int
    n: int
    k: int
    batch: int
    dtype: str
    layout: str
    beta: float
    launches: int
    flops: int
    runtime_s: float | None = None
    runtime_interval_s: LowHigh | None = None
    energy_j: float | None = None
    share: float | None = None
    bound: str | None = None
    kernel: str | None = None
    timed: str = ""
    in_domain: bool = False
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Uncounted:
    """Calls of an operator that is no matrix multiplication: no runtime here counts them.

    flops: of all calls together; None where they are not known.
    """

    operator: str
    phase: str
    calls: int
    flops: int | None


@dataclass(frozen=True)
class Estimate:
    """The predicted cost of a module's matrix multiplications, and what else it runs.

    gpu, model: names of the GPU and of the model that answered.
    sites: in the order in which they first ran; order: the sites by index, a launch each, in the
        order in which they ran.
    uncounted: operators that are no matrix multiplications, most FLOPs first.
    notes: what holds for all of it.
    """

    gpu: str
    model: str
    confidence: float
    sites: tuple[Site, ...]
    order: tuple[int, ...]
    uncounted: tuple[Uncounted, ...]
    notes: tuple[str, ...] = ()

    @property
    def predicted(self) -> tuple[Site, ...]:
        """The sites that the model answered for."""
        return tuple(one for one in self.sites if not one.reason)

    @property
    def not_predicted(self) -> tuple[Site, ...]:
        """The sites that it did not answer for, each with its reason: no total has them."""
        return tuple(one for one in self.sites if one.reason)

    @property
    def runtime_s(self) -> float | None:
        """Runtime of all that was predicted, one launch after the other; None where nothing was."""
        return _sum([one.runtime_s for one in self.predicted])

    @property
    def runtime_interval_s(self) -> LowHigh | None:
        """The sums of the low and of the high ends.

        It is as wide as if all were wrong in the same direction at once.
        """
        ends = [one.runtime_interval_s for one in self.predicted]
        low_s = _sum([one and one[0] for one in ends])
        high_s = _sum([one and one[1] for one in ends])
        return None if low_s is None or high_s is None else (low_s, high_s)

    @property
    def energy_j(self) -> float | None:
        """Energy of all that was predicted; None where it is not known of every site of that."""
        return _sum([one.energy_j for one in self.predicted])

    @property
    def flops(self) -> int:
        """Operations of all matrix multiplications, predicted or not."""
        return sum(one.flops for one in self.sites)

    @property
    def predicted_flops(self) -> int:
        """Operations of the matrix multiplications that runtime_s has."""
        return sum(one.flops for one in self.predicted)

    @property
    def in_domain_flops(self) -> int:
        """Operations of those predicted that are like what the model was trained on."""
        return sum(one.flops for one in self.sites if one.in_domain)

    @property
    def uncounted_flops(self) -> int:
        """Operations of other operators, as far as they are known."""
        return sum(one.flops or 0 for one in self.uncounted)

    @property
    def coverage(self) -> float | None:
        """Share of all known operations that runtime_s has, from 0 to 1; None of none at all."""
        known = self.flops + self.uncounted_flops
        return self.predicted_flops / known if known else None

    def __str__(self) -> str:
        return self.table()

    def table(self, rows: int | None = 20) -> str:
        """Return the estimate as a text table, the longest runtime first.

        Sites that differ in a number of their module's path alone, as the layers of a model do,
        share a line. rows: at most how many lines of sites; all without it.

        Raises InputError where `rows` is no number from 1 on.
        """
        from ._table import table_of

        return table_of(self, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON types by name; the unit is in each name."""
        totals = (
            "runtime_s runtime_interval_s energy_j flops predicted_flops in_domain_flops "
            "uncounted_flops coverage"
        )
        figures = {name: _json(getattr(self, name)) for name in totals.split()}
        fields = {name: _json(value) for name, value in asdict(self).items()}
        return {**fields, **figures}

    def chrome_trace(self) -> dict[str, Any]:
        """Return the predicted timeline as JSON types, for Chrome's trace viewer or Perfetto.

        One launch after the other, as if nothing else ran; those that were not predicted are
        marks without a length, each with its reason.
        """
        from ._chrome import trace_of

        return trace_of(self)


def estimate_of(
    launches: Sequence[Launch],
    others: Sequence[Other],
    answers: Mapping[Asked, Answer | str],
    notes: tuple[str, ...] = (),
    **about: Any,
) -> Estimate:
    """Return the estimate of what ran.

    notes: those that hold for all of it, so that no site has them; about: the fields that say of
    which GPU and model it is.
    """
    counts = Counter(launches)
    places = {launch: place for place, launch in enumerate(counts)}
    sites = [_site(launch, count, answers, notes) for launch, count in counts.items()]
    total_s = sum(one.runtime_s for one in sites if one.runtime_s is not None)
    shared = (
        one if one.runtime_s is None else replace(one, share=one.runtime_s / total_s)
        for one in sites
    )
    return Estimate(
        sites=tuple(shared),
        order=tuple(places[launch] for launch in launches),
        uncounted=_uncounted(others),
        notes=notes,
        **about,
    )


def _site(
    launch: Launch,
    count: int,
    answers: Mapping[Asked, Answer | str],
    of_all: tuple[str, ...],
) -> Site:
    told = launch._asdict()
    remarks, notes, reason = (told.pop(name) for name in ("remarks", "notes", "reason"))
    site = Site(**told, launches=count, flops=count * launch.flops)
    answer = reason or answers[asked_of(launch)]
    if isinstance(answer, str):
        return replace(site, reason=answer, notes=(*remarks, *notes))
    if answer.timed == "quantise+gemm" and launch.operator.startswith("aten._scaled_mm"):
        notes = (*notes, _QUANTISED)
    low_s, high_s = answer.runtime_interval_s
    return replace(
        site,
        runtime_s=count * answer.runtime_s,
        runtime_interval_s=(count * low_s, count * high_s),
        energy_j=None if answer.energy_j is None else count * answer.energy_j,
        bound=answer.bound,
        kernel=answer.kernel,
        timed=answer.timed,
        in_domain=answer.in_domain and not remarks,
        notes=(*(one for one in answer.notes if one not in of_all), *remarks, *notes),
    )


def _uncounted(others: Sequence[Other]) -> tuple[Uncounted, ...]:
    calls: Counter[tuple[str, str]] = Counter()
    flops: dict[tuple[str, str], int | None] = {}
    for one in others:
        key = (one.operator, one.phase)
        calls[key] += 1
        before = flops.get(key, 0)
        flops[key] = None if one.flops is None or before is None else before + one.flops
    found = [Uncounted(*key, count, flops[key]) for key, count in calls.items()]
    return tuple(sorted(found, key=lambda one: (-(one.flops or 0), -one.calls, one.operator)))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) if known and len(known) == len(values) else None


def _json(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    return value
