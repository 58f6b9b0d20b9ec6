"""Collecting: a sweep becomes a dataset, whatever happens on the way."""
