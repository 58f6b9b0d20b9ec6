"""Integrations: the predictor where other programs are. Each is imported by its own name.

`gpperf_lite` imports none of them, and each imports its library alone: `integrations.torch` needs
PyTorch, which the extra `torch` installs; `integrations.triton` needs nothing.
"""
