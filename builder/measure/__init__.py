"""Measuring: the rules by which a label is made, on any `Device`."""
