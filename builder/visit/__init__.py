"""A visit to a GPU that is lent for minutes: rehearsed without one, and kept once it is over.

`tests/gpu/visit.sh` is the visit. `rehearse` walks through it on the simulated GPU, and finds what
is not ready; `keep` makes of the archive that comes back a dataset, a model, and the figures of how
far its measurements repeat.
"""

from .archive import VisitError, read_visit
from .keep import Kept, keep
from .rehearsal import Rehearsal, rehearse, unready

__all__ = ["Kept", "Rehearsal", "VisitError", "keep", "read_visit", "rehearse", "unready"]
