"""The offline half of gpperf-lite: GPUs measured, tables imported, models trained and judged.

`python -m builder` is its command line. Each folder is a stage, or what stages share:
`docs/architecture.md` has the table. The runtime, `gpperf_lite`, never imports it.
"""
