"""Speed and accuracy beside the peers, each in one run: `python -m benchmarks --help`."""
