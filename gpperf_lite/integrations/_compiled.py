"""Modules of torch.compile: compiled anew, so that their graphs are recorded when they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.exc import Unsupported
from torch._functorch.aot_autograd import make_boxed_func

from .. import InputError
from ._graph import Walk
from ._recorder import Recorder

_RECORDER: ContextVar[Recorder] = ContextVar("recorder of what was compiled")


def _recording(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
    """Return a function that runs a graph under whichever recorder there is by then."""

    def ran(*args: Any) -> Any:
        recorder = _RECORDER.get()
        with recorder:
            return Walk(graph, recorder).run(*args)

    boxed: Callable[..., Any] = make_boxed_func(ran)
    return boxed


# One for all, so that a module that is estimated again is not compiled again.
_BACKEND = aot_autograd(fw_compiler=_recording, bw_compiler=_recording)


def compiled(module: torch.nn.Module) -> torch.nn.Module:
    """Return a compiled module, compiled anew so that its graphs are recorded as they run."""
    made = torch.compile(module._orig_mod, backend=_BACKEND, fullgraph=True, dynamic=False)
    assert isinstance(made, torch.nn.Module)
    return made


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Let compiled modules be recorded; InputError where one cannot be compiled as a whole."""
    token = _RECORDER.set(recorder)
    try:
        yield
    except Unsupported as error:
        raise InputError(
            "module must be compiled as one graph to be estimated compiled (torch.compile says: "
            f"{str(error).splitlines()[0]}): estimate the module without torch.compile"
        ) from error
    finally:
        _RECORDER.reset(token)
