"""The recorder: every operator that runs under it, with the module and the phase that it is of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .. import InputError
from ._launch import BACKWARD, FORWARD, Launch, Other
from ._operators import Call, is_counted, is_product, launch_of, other_of, starts_no_kernel

_PLAIN = (torch.Tensor, torch.nn.Parameter, FakeTensor)


class ModulePath:
    """The path of the module that is running, and of the one that made a node of autograd.

    A node of autograd has the number that it was made with, and numbers rise. So the numbers at
    which modules began and ended tell which of them a node is of, when it runs backward.
    """

    def __init__(self) -> None:
        self._running: list[str] = []
        self._starts: list[int] = []
        self._paths: list[str] = []

    @property
    def current(self) -> str:
        return self._running[-1] if self._running else ""

    def of_node(self, number: int) -> str:
        place = bisect_right(self._starts, number) - 1
        return self._paths[place] if place >= 0 else ""

    def enter(self, path: str) -> None:
        self._running.append(path)
        self._mark()

    def leave(self) -> None:
        self._running.pop()
        self._mark()

    def _mark(self) -> None:
        self._starts.append(torch.autograd._get_sequence_nr())
        self._paths.append(self.current)

    @contextmanager
    def followed_in(self, module: torch.nn.Module) -> Iterator[None]:
        """Follow a module and all within it, by hooks that are gone afterwards."""
        with ExitStack() as stack:
            for name, one in module.named_modules():
                for handle in (
                    one.register_forward_pre_hook(self._entering(name), prepend=True),
                    one.register_forward_hook(lambda *_: self.leave(), always_call=True),
                ):
                    stack.callback(handle.remove)
            yield

    def _entering(self, name: str) -> Callable[..., None]:
        return lambda *_: self.enter(name)


class Recorder(TorchDispatchMode):
    """What ran: launches of matrix multiplications in their order, and calls of other operators.

    path: where the module that is running is told.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.path = ModulePath()
        self.launches: list[Launch] = []
        self.others: list[Other] = []
        self._is_backward = False

    def place(self) -> tuple[str, str]:
        """Return the path of the module and the phase of what runs now."""
        node = torch._C._current_autograd_node()
        if node is None:
            return self.path.current, BACKWARD if self._is_backward else FORWARD
        # A checkpoint runs modules forward again, within backward.
        return self.path.current or self.path.of_node(node._sequence_nr()), BACKWARD

    @contextmanager
    def within(self, path: str, *, is_backward: bool) -> Iterator[None]:
        """Let what runs be of a module, and of the backward where a graph has it in itself."""
        before, self._is_backward = self._is_backward, is_backward
        self.path.enter(path)
        try:
            yield
        finally:
            self.path.leave()
            self._is_backward = before

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if any(one not in _PLAIN for one in types):
            return NotImplemented  # a wrapper of tensors: what it does with them comes back here
        if not isinstance(func, torch._ops.OpOverload):
            return self._higher_order(func, args, kwargs)
        if not is_counted(func) and not starts_no_kernel(func):
            with self:
                taken_apart = func.decompose(*args, **kwargs)
            if taken_apart is not NotImplemented:
                return taken_apart
        output = func(*args, **kwargs)
        self._record(Call(func, args, kwargs, output))
        return output

    def _higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator that is more than one, where nothing within it is hidden from us."""
        call = Call(func, args, kwargs, None)
        is_known = func in flop_registry
        if not is_known and any(callable(one) for one in tree_leaves((args, kwargs))):
            raise InputError(
                f"module must not choose or repeat functions by the values of tensors (got {func}, "
                "whose functions cannot be seen): estimate each of them by itself"
            )
        output = func(*args, **kwargs)
        self.others.append(other_of(call._replace(output=output), self.place()[1]))
        return output

    def _record(self, call: Call) -> None:
        if starts_no_kernel(call.func):
            return
        module, phase = self.place()
        if is_product(call.func):
            self.launches.append(launch_of(call, module, phase))
        else:
            self.others.append(other_of(call, phase))
