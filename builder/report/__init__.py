"""Generated pages: accuracy, unseen GPUs, noise, features, dataset."""

from .accuracy import study_lines, write_report
from .dataset import dataset_page
from .features import feature_page
from .noise import floor_lines
from .unseen import unseen_page

__all__ = [
    "dataset_page",
    "feature_page",
    "floor_lines",
    "study_lines",
    "unseen_page",
    "write_report",
]
