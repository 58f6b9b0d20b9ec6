"""Integrations: the predictor where other programs are. Each is imported by its own name.

`gpperf_lite` imports none of them, and each imports its library alone: `integrations.torch` needs
PyTorch, which the extra `torch` installs; `integrations.cutlass` needs CUTLASS's Operator API, the
extra `cutlass`; `integrations.triton` needs nothing.
"""
