"""Graphs of torch.fx: run node by node, each node under the module that it came from."""

from __future__ import annotations

import re
from typing import Any

import torch

from .. import InputError
from ._recorder import Recorder

_OWNER = re.compile(r"^L\['\w+'\]\.?|^L__self___?")
"""The way in which a graph calls the module that was compiled."""


class Walk(torch.fx.Interpreter):
    """A graph that tells a recorder where it is."""

    def __init__(self, graph: torch.fx.GraphModule, recorder: Recorder) -> None:
        super().__init__(graph)
        self._recorder = recorder

    def run_node(self, n: torch.fx.Node) -> Any:
        is_backward = bool(n.meta.get("autograd_backward"))
        with self._recorder.within(_path_of(n), is_backward=is_backward):
            return super().run_node(n)


def _path_of(node: torch.fx.Node) -> str:
    """Return the path of the module that a node came from, "" where it does not tell."""
    own = node.meta.get("nn_module_stack") or node.meta.get("fwd_nn_module_stack") or {}
    paths = [str(place[0]) for place in own.values()]
    if node.op == "call_module":
        paths.append(str(node.target))
    return _OWNER.sub("", paths[-1] if paths else "")


class GraphRun(torch.nn.Module):
    """A graph as a module that tells a recorder where it is; without arguments, on its own."""

    def __init__(self, graph: torch.fx.GraphModule, recorder: Recorder) -> None:
        super().__init__()
        self.graph_module = graph
        self._recorder = recorder

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise InputError(f"kwargs must be empty for a graph (got {' '.join(kwargs)})")
        return Walk(self.graph_module, self._recorder).run(*args)


def own_inputs(graph: torch.fx.GraphModule) -> tuple[Any, ...]:
    """Return the inputs that a graph was made with, or raise InputError where it does not tell."""
    nodes = [node for node in graph.graph.nodes if node.op == "placeholder"]
    unknown = [node.name for node in nodes if "val" not in node.meta]
    if unknown:
        raise InputError(f"inputs must be given for this graph (it tells none for {unknown[0]})")
    return tuple(node.meta["val"] for node in nodes)


def is_graph(module: torch.nn.Module) -> bool:
    """True for a graph of operators; a graph of modules is followed like any other module."""
    return isinstance(module, torch.fx.GraphModule) and any(
        isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes
    )
