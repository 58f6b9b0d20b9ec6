"""The dtypes of a GPU that were not measured there, for which a generic model answers."""

from __future__ import annotations

from gpperf_lite._artefact import Artefact
from gpperf_lite._generic import Generic
from gpperf_lite._kernel import LIBRARY


def with_other_dtypes(artefact: Artefact, generic: Generic) -> Artefact:
    """Return an artefact that answers for its GPU's other dtypes as the generic model does.

    Each of those estimators has the remark that it comes from the data sheet, so that its
    predictions are out of their domain. Stand-ins of the artefact's own stay.
    """
    measured = {one.dtype for one in artefact.estimators if one.target == "runtime"}
    own = {*measured, *artefact.stand_ins}
    if generic.dtypes_for(artefact.gpu) <= own:
        return artefact
    rest = generic.artefact_for(artefact.gpu, own)
    kernels = tuple(dict.fromkeys((*artefact.kernels, LIBRARY)))
    library = (kernels.index(LIBRARY),)
    others = [
        one._replace(kernels=library, remarks=(*one.remarks, *rest.remarks))
        for one in rest.estimators
    ]
    origin = {"name": generic.name, "version": generic.version}
    return artefact._replace(
        kernels=kernels,
        estimators=(*artefact.estimators, *others),
        stand_ins={**artefact.stand_ins, **rest.stand_ins},
        provenance={**artefact.provenance, "other_dtypes_from": origin},
    )
